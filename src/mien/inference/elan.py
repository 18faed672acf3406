"""Timelines for ELAN, the annotation tool (EAF 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd)."""

from __future__ import annotations

import mimetypes
import os
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import pandas as pd

from mien.files import complete
from mien.inference.timeline import NOBODY, Timeline
from mien.models.abstention import NO_FACE

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
# The four stereotypes that every ELAN document lists.
_CONSTRAINTS = {
    "Time_Subdivision": "Divides the parent annotation's time without gaps",
    "Symbolic_Subdivision": "Ordered parts of a parent annotation without times",
    "Symbolic_Association": "Belongs to exactly one parent annotation",
    "Included_In": "Lies within the parent annotation's time, gaps are allowed",
}

Span = tuple[int, int, str]  # start and end in milliseconds, text


class _Document:
    """An EAF under construction: hands out time slots and annotation ids."""

    def __init__(self) -> None:
        self.slots: list[tuple[int, str]] = []
        self.tiers: list[xml.Element] = []
        self.annotations = 0

    def slot(self, milliseconds: int) -> str:
        name = f"ts{len(self.slots) + 1}"
        self.slots.append((milliseconds, name))
        return name

    def add_tier(self, name: str, participant: str, kind: str, spans: list[Span]) -> None:
        tier = xml.Element("TIER", TIER_ID=name, PARTICIPANT=participant, ANNOTATOR="mien", LINGUISTIC_TYPE_REF=kind)
        for start, end, text in spans:
            self.annotations += 1
            reference = {
                "ANNOTATION_ID": f"a{self.annotations}",
                "TIME_SLOT_REF1": self.slot(start),
                "TIME_SLOT_REF2": self.slot(end),
            }
            holder = xml.SubElement(xml.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", reference)
            xml.SubElement(holder, "ANNOTATION_VALUE").text = text
        self.tiers.append(tier)


def write_eaf(timeline: Timeline, path: str | os.PathLike[str]) -> Path:
    """Write a timeline of one file as an ELAN document; see ``Timeline.to_eaf``.

    Tiers are called ``face <id> <output>`` and hold one annotation per row with the value to three decimals; a
    classification also has ``face <id> prediction``, in which neighbouring rows of one class are one annotation.
    ``face <id> abstain`` says where and why the model should not be asked.
    Where sound was used, ``face <id> used`` says what values come from. Spans in which nothing was seen stay empty.
    """
    (info,) = timeline.files.values()
    listens = timeline.frame["used"].str.contains("sound").any()
    document = _Document()
    for track in (*timeline.faces(), NOBODY):
        rows = timeline.of(track)
        if rows.empty:
            continue
        label = "nobody" if track == NOBODY else f"face {track}"
        if "prediction" in rows:
            document.add_tier(f"{label} prediction", label, "prediction", _runs(rows, "prediction"))
        if "abstain" in rows:
            unanswered = rows[~rows["abstain"].isin(["", NO_FACE])]
            document.add_tier(f"{label} abstain", label, "abstain", _runs(unanswered, "abstain"))
        if listens:
            document.add_tier(f"{label} used", label, "used", _runs(rows[rows["used"] != ""], "used"))
        for name in timeline.outputs:
            document.add_tier(f"{label} {name}", label, "value", _values(rows, name))
    root = _root(document, Path(info.path), Path(path))
    xml.indent(root, "  ")
    with complete(path) as part:
        xml.ElementTree(root).write(part, encoding="UTF-8", xml_declaration=True)
    return Path(path)


def _spans(rows: pd.DataFrame, name: str) -> list[tuple[int, int, object]]:
    """Rows that hold a value, in milliseconds; two spans of a tier never overlap and none is empty."""
    kept = rows[rows[name].notna()]
    starts, ends = (np.rint(kept.index.get_level_values(edge).to_numpy(float) * 1000) for edge in ("start", "end"))
    return [(int(a), int(b), value) for a, b, value in zip(starts, ends, kept[name], strict=True) if b > a]


def _values(rows: pd.DataFrame, name: str) -> list[Span]:
    return [(start, end, f"{value:.3f}") for start, end, value in _spans(rows, name)]


def _runs(rows: pd.DataFrame, name: str) -> list[Span]:
    runs: list[Span] = []
    for start, end, value in _spans(rows, name):
        if runs and runs[-1][1] == start and runs[-1][2] == value:
            runs[-1] = (runs[-1][0], end, str(value))
        else:
            runs.append((start, end, str(value)))
    return runs


def _root(document: _Document, video: Path, target: Path) -> xml.Element:
    """The document in the schema's order of elements."""
    root = xml.Element(
        "ANNOTATION_DOCUMENT",
        {
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
            "AUTHOR": "mien",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
        },
    )
    header = xml.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    absolute = video.resolve()
    medium = {"MEDIA_URL": absolute.as_uri(), "MIME_TYPE": mimetypes.guess_type(video.name)[0] or "video/mp4"}
    xml.SubElement(header, "MEDIA_DESCRIPTOR", medium | _relative(absolute, target))
    last = xml.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId")
    last.text = str(document.annotations)
    order = xml.SubElement(root, "TIME_ORDER")
    for milliseconds, name in sorted(document.slots, key=lambda slot: slot[0]):
        xml.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(milliseconds))
    root.extend(document.tiers)
    for kind in ("prediction", "value", "abstain", "used"):
        attributes = {"LINGUISTIC_TYPE_ID": kind, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
        xml.SubElement(root, "LINGUISTIC_TYPE", attributes)
    for stereotype, description in _CONSTRAINTS.items():
        xml.SubElement(root, "CONSTRAINT", STEREOTYPE=stereotype, DESCRIPTION=description)
    return root


def _relative(video: Path, target: Path) -> dict[str, str]:
    """Path of the recording as seen from the document's folder, as ELAN writes it: from ``./`` or ``../``."""
    try:
        path = Path(os.path.relpath(video, target.resolve().parent)).as_posix()
    except ValueError:  # on another drive of Windows
        return {}
    return {"RELATIVE_MEDIA_URL": path if path.startswith("../") else f"./{path}"}
