"""The first sheet of an Excel file as rows of text, read with the standard library: what official lists need of it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from mien.errors import UsageError

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_MOST_BYTES = 256 * 1024**2  # of one part when unpacked; a list of 16,372 clips has some 10 MiB


def read_sheet(path: Path) -> list[list[str]]:
    """Rows of the first sheet; cells that the file leaves out are "". Formulas count as the value that was stored.

    Form: ECMA-376, Office Open XML.

    Raises:
        UsageError: the file is no such workbook, or asks for too much memory.
    """
    try:
        with zipfile.ZipFile(path) as book:
            texts = [_text(item) for item in _parse(book, "xl/sharedStrings.xml")] if _has_texts(book) else []
            return [_row(row, texts) for row in _parse(book, _first_sheet(book)).iter(f"{_MAIN}row")]
    except (OSError, zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, IndexError, StopIteration,
            RuntimeError, NotImplementedError) as error:  # fmt: skip
        why = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path}: not a workbook of Excel ({why}); take the official file") from None


def _first_sheet(book: zipfile.ZipFile) -> str:
    """Name of the part that holds the sheet shown first, wherever the program that wrote it has put it."""
    wanted = next(_parse(book, "xl/workbook.xml").iter(f"{_MAIN}sheet")).attrib[_LINK]
    parts = {link.attrib["Id"]: link.attrib["Target"] for link in _parse(book, "xl/_rels/workbook.xml.rels")}
    target = parts[wanted]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _has_texts(book: zipfile.ZipFile) -> bool:
    return "xl/sharedStrings.xml" in book.namelist()


def _parse(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    """One part. Document types, with which XML can swell without end, occur in no workbook and are refused."""
    with book.open(name) as part:
        content = part.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{name} has more than {_MOST_BYTES // 1024**2} MiB")
    if b"<!DOCTYPE" in content or b"\x00" in content:
        raise ValueError(f"{name} is no plain XML in UTF-8")
    return ElementTree.fromstring(content)


def _row(row: ElementTree.Element, texts: list[str]) -> list[str]:
    cells = dict(_cells(row, texts))
    return [cells.get(place, "") for place in range(max(cells, default=-1) + 1)]


def _cells(row: ElementTree.Element, texts: list[str]) -> Iterator[tuple[int, str]]:
    """Column from 0 and text of every cell that is there; one without a name follows the one before."""
    place = -1
    for cell in row.iter(f"{_MAIN}c"):
        letters = re.match(r"[A-Z]{1,3}", cell.attrib.get("r", ""))
        place = _column(letters[0]) if letters else place + 1
        value = cell.findtext(f"{_MAIN}v") or ""
        kind = cell.attrib.get("t", "n")
        if kind == "s":
            value = texts[int(value)]
        elif kind == "inlineStr":
            value = _text(cell)
        yield place, value.strip()


def _column(letters: str) -> int:
    """``A`` is 0, ``Z`` 25, ``AA`` 26."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _text(item: ElementTree.Element) -> str:
    """Text of an item, which formatting may cut into runs; how it is pronounced (``rPh``) does not belong to it."""
    spoken = {id(text) for run in item.iter(f"{_MAIN}rPh") for text in run.iter(f"{_MAIN}t")}
    return "".join(text.text or "" for text in item.iter(f"{_MAIN}t") if id(text) not in spoken)
