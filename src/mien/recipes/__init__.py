"""YAML recipes that ship with mien."""
