"""The page on a manifest, put together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.look import drawing
from mien.data.look.sampling import Facts, draw, read_facts, thumbnail
from mien.data.look.tables import balance, people, quality_columns, target_columns
from mien.data.manifest import Manifest
from mien.data.sources import files_of
from mien.data.tables import read_table
from mien.errors import MienError
from mien.files import complete
from mien.pages import bullets, card, grid, note, page, sheet

Progress = Callable[[int, int], None]

_DIGEST = re.compile(r"[0-9a-f]{16}(-|$)")


@dataclass(frozen=True)
class LookSettings:
    """How much is looked at.

    Attributes:
        pictures: clips on the contact sheet.
        blurred: pictures are blurred beyond recognition.
        files: clips whose files are opened for lengths and sizes.
        curves: recordings whose labels over time are drawn.
    """

    pictures: int = 24
    blurred: bool = True
    files: int = 300
    curves: int = 6


@dataclass
class Overview:
    """What the page says; ``facts`` by id of the drawn clips, ``failed`` with the reason, ``pictures`` as JPEG."""

    manifest: Manifest
    settings: LookSettings
    facts: dict[str, Facts] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def html(self) -> str:
        """The page."""
        frame = self.manifest.frame
        parts = [
            f"<h1>{escape(_title(self.manifest))}</h1>",
            f'<p class="soft">{escape(self._counted())}</p>',
            self._warnings(),
            *(card(title, html) for title, html in balance(frame)),
            *(card(title, html) for title, html in people(frame)),
            self._lengths(),
            self._faces(),
            self._values(),
            self._curves(),
            self._sheet(),
        ]
        return page(_title(self.manifest), "".join(parts), drawing.STYLE)

    def _counted(self) -> str:
        frame = self.manifest.frame
        text = f"{len(frame):,} clips"
        if self.manifest.has("subject"):
            text += f" of {frame['subject'].nunique():,} people"
        if self.manifest.has("corpus"):
            text += f"; {', '.join(sorted(set(frame['corpus'].dropna().astype('str'))))}"
        return f"{text}. Lengths and sizes are those of {len(self.facts):,} drawn clips."

    def _warnings(self) -> str:
        sentences = []
        if not self.manifest.has("subject"):
            sentences.append("Nobody is named: whether the same people train and test cannot be checked.")
        if self.failed:
            first = next(iter(self.failed.values()))
            sentences.append(f"{len(self.failed):,} of the drawn clips cannot be read, for example {first}")
        silent = sum(facts.sound is False for facts in self.facts.values())
        if silent:
            sentences.append(f"{silent:,} of the {len(self.facts):,} drawn clips have no sound.")
        return note(bullets(sentences)) if sentences else ""

    def _lengths(self) -> str:
        seconds = np.array([facts.seconds for facts in self.facts.values()], dtype=np.float64)
        frames = np.array([facts.frames for facts in self.facts.values()], dtype=np.float64)
        parts = []
        if np.isfinite(seconds).any():
            total = float(np.nanmean(seconds)) * len(self.manifest)
            said = f"{total / 3600:,.1f} hours" if total >= 3600 else f"{total / 60:.1f} minutes"
            parts.append(f"<h3>Seconds</h3>{drawing.histogram(seconds, 's')}<p class='soft'>about {said} in all</p>")
        if len(frames):
            few = int((frames < 16).sum())
            text = f"<p class='soft'>{few:,} of {len(frames):,} have fewer than 16</p>"
            parts.append(f"<h3>Frames</h3>{drawing.histogram(frames, 'frames')}{text}")
        return card("Lengths", grid(parts)) if parts else ""

    def _faces(self) -> str:
        """Sizes of pictures, and what the preparation measured."""
        sides = np.array([min(facts.width, facts.height) for facts in self.facts.values()], dtype=np.float64)
        parts = [f"<h3>Shorter side of the picture</h3>{drawing.histogram(sides, 'px')}"] if len(sides) else []
        for column, title, unit in quality_columns(self.manifest.frame):
            values = pd.to_numeric(self.manifest.frame[column], errors="coerce").to_numpy(dtype=np.float64)
            parts.append(f"<h3>{escape(title)}</h3>{drawing.histogram(values, unit)}")
        return card("Faces and pictures", grid(parts)) if parts else ""

    def _values(self) -> str:
        parts = []
        for column in target_columns(self.manifest.frame):
            values = self.manifest.frame[column].to_numpy(dtype=np.float64)
            parts.append(f"<h3>{escape(column)}</h3>{drawing.histogram(values, '')}")
        return card("Values of clips", grid(parts)) if parts else ""

    def _curves(self) -> str:
        if not self.manifest.has("labels"):
            return ""
        found: dict[str, drawing.Lines] = {}
        for id_ in draw(self.manifest, len(self.manifest)):
            if len(found) == self.settings.curves:
                break
            row = self.manifest.row(id_)
            if row.labels is None:
                continue
            try:
                file = files_of(row).labels
                assert file is not None
                table = read_table(file, "time").apply(pd.to_numeric, errors="coerce")
            except MienError as error:
                self.failed[f"labels of {id_}"] = str(error)
                continue
            names = [str(name) for name in table.columns if name != "time" and table[name].notna().any()]
            lines = {name: (table["time"].to_numpy(float), table[name].to_numpy(float)) for name in names}
            if lines:
                found[id_] = lines
        if not found:
            return ""
        bounds = drawing.limits(found.values())
        names = list(dict.fromkeys(name for lines in found.values() for name in lines))
        parts = [f"<h3>{escape(id_)}</h3>{drawing.courses(lines, bounds, names)}" for id_, lines in found.items()]
        return card("Labels over time", drawing.legend(names) + grid(parts))

    def _sheet(self) -> str:
        if not self.pictures:
            return ""
        text = "The middle pictures of drawn clips"
        text += ", blurred whole, since a detector could miss a face." if self.settings.blurred else "."
        return card(
            "Contact sheet", sheet((content, self._caption(id_)) for id_, content in self.pictures.items()), text
        )

    def _caption(self, id_: str) -> str:
        row = self.manifest.frame.iloc[int(self.manifest.positions([id_])[0])]
        shown = [str(row[column]) for column in ("label", "subject") if column in row and pd.notna(row[column])]
        # ids that preparation makes of names say nothing; those of public corpora are the official names
        digest = "source" in row and _DIGEST.match(id_)
        return " · ".join([*shown, str(row["source"]) if digest else id_])


def look(manifest: Manifest, settings: LookSettings | None = None, progress: Progress | None = None) -> Overview:
    """Open some clips of a manifest and gather what the page says.

    Args:
        manifest: the corpus.
        settings: how much to look at.
        progress: called with (clips done, clips in all).
    """
    settings = settings or LookSettings()
    ids = draw(manifest, max(settings.files, settings.pictures))
    overview = Overview(manifest, settings)
    for at, id_ in enumerate(ids, start=1):
        facts, failed = read_facts(manifest, [id_])
        overview.facts |= facts
        overview.failed |= failed
        if facts and len(overview.pictures) < settings.pictures:
            try:
                overview.pictures[id_] = thumbnail(manifest.row(id_), settings.blurred)
            except MienError as error:
                overview.failed[id_] = str(error)
        if progress is not None:
            progress(at, len(ids))
    return overview


def write_page(overview: Overview, path: Path | str) -> None:
    """Write the page as one HTML file."""
    with complete(os.fspath(path)) as part:
        part.write_text(overview.html(), encoding="utf-8")


def _title(manifest: Manifest) -> str:
    path = Path(manifest.name)
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name
