"""Pages that people read: one frame, one style, and the few parts that every report is made of.

A page holds everything it needs (style, pictures, script), loads nothing from elsewhere, fits a phone and prints well.
"""

from mien.pages.frame import FOOTER, page
from mien.pages.parts import bullets, card, chapter, command, contents, grid, heat, image, note, sheet, words
from mien.pages.tables import Estimate, Marked, PValue, Table, number, scrolled

__all__ = [
    "FOOTER",
    "Estimate",
    "Marked",
    "PValue",
    "Table",
    "bullets",
    "card",
    "chapter",
    "command",
    "contents",
    "grid",
    "heat",
    "image",
    "note",
    "number",
    "page",
    "scrolled",
    "sheet",
    "words",
]
