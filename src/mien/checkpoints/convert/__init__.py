"""The formats of published checkpoints, one file per system."""
