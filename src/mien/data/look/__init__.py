"""A look at a manifest: one page on classes, people, lengths, faces and labels over time."""

from mien.data.look.overview import LookSettings, look, write_page

__all__ = ["LookSettings", "look", "write_page"]
