"""The frame of every page: head, style, main column and foot."""

from __future__ import annotations

from html import escape
from importlib.resources import files as resources

FOOTER = "Made by mien on this machine; the page loads nothing from elsewhere."


def page(title: str, body: str, style: str = "", script: str = "", footer: str = FOOTER) -> str:
    """A complete HTML document.

    Args:
        title: plain text.
        body: HTML below the title, which stands in the head only.
        style: CSS beyond the common one.
        script: inline JavaScript; a page must be whole without it.
        footer: HTML of the last line.
    """
    common = resources("mien.pages").joinpath("style.css").read_text("utf-8")
    code = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{common}{style}</style></head><body><main>{body}"
        f"<footer>{footer}</footer></main>{code}</body></html>\n"
    )
