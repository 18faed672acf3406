"""Metrics, intervals and evaluation on unseen data."""
