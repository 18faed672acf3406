"""Bundles and safe reading of weights."""
