"""What ails an installation or a training run: what was seen, why it matters, what to try."""
