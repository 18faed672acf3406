"""Self-supervised objectives around an encoder."""
