"""Video in, Timeline out."""
