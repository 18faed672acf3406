"""Recipes and the fit loop."""
