"""Tables of the page: classes by part, people by part, and which columns hold figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape

import pandas as pd

from mien.data.manifest import COLUMNS, Manifest
from mien.data.protocol import PARTS, Protocol
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError
from mien.pages import Table, bullets, scrolled

_QUALITY = {
    "face_size": ("Size of the face", "px"),
    "face_share": ("Share of frames with the face", ""),
    "face_score": ("Confidence of the detector", ""),
    "sharpness": ("Sharpness", ""),
    "light": ("Light", ""),
    "brightness": ("Brightness", ""),
    "loudness": ("Sound level", "dB"),
    "sound_level": ("Sound level", "dB"),
}
_LABEL = ("label", "class")
_MEASURED = {*_QUALITY, "track", "frames", "source_start", "source_end"}


def balance(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Clips by class and part, with a bar as long as the share of the class; parts are splits, else folds."""
    by = _divided(frame)
    parts = frame[by].astype("str") if by else pd.Series("", index=frame.index)
    names = _ordered(parts[frame[by].notna()].unique()) if by else []
    for column in class_columns(frame):
        labels = frame[column].astype("str").where(frame[column].notna(), "(none)")
        counts = Counter(labels)
        inside = Counter(zip(labels, parts, strict=True))
        most, least = max(counts.values()), min(counts.values())
        lines = ""
        for name, count in counts.most_common():
            bar = f'<span class="bar" style="width:{100 * count / most:.1f}%"></span>'
            cells = "".join(f"<td>{inside[name, part]:,}</td>" for part in names)
            lines += f'<tr><th scope="row">{escape(name)}</th><td class="bars" style="text-align:left">{bar}</td>'
            lines += f"<td>{count:,}</td><td>{100 * count / len(frame):.1f} %</td>{cells}</tr>"
        heads = (column, "clips", "share", *(_part(by, name) for name in names))
        own, *others = (f'<th scope="col">{escape(title)}</th>' for title in heads)
        top = f'<tr>{own}<td class="bars"></td>{"".join(others)}</tr>'
        whole = scrolled(f"<table><thead>{top}</thead><tbody>{lines}</tbody></table>", f"Classes: {column}")
        table = f'<div class="plain">{whole}</div>'
        text = f"The largest class has {most / least:.3g} times the clips of the smallest."
        text = text if most > least else "All classes have the same number of clips."
        yield f"Classes: {column}", f'{table}<p class="soft">{text}</p>'


def people(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """People and clips by part, and what parts share."""
    by = _divided(frame)
    named = "subject" in frame
    rows = []
    for part in ["all", *(_ordered(frame[by].dropna().astype("str").unique()) if by else [])]:
        inside = frame if part == "all" else frame[frame[by].astype("str") == part]
        cells = [part if part == "all" else _part(by, part), f"{len(inside):,}"]
        if named:
            clips = inside["subject"].value_counts()
            cells += [f"{len(clips):,}"]
            cells += [f"{clips.min():,}", f"{clips.median():g}", f"{clips.max():,}"] if len(clips) else ["–"] * 3
        rows.append(tuple(cells))
    head = ("part", "clips", "people", "fewest", "median", "most") if named else ("part", "clips")
    table = Table("parts", "Parts and people", head, tuple(rows))
    said = '<p class="soft">Fewest, median and most: clips of one person.</p>' if named else ""
    yield "Parts and people", f'<div class="plain">{table.html()}</div>{said}{_shared(frame, by)}'


def _shared(frame: pd.DataFrame, by: str | None) -> str:
    """What a protocol by the column would say; folds are judged by the first one."""
    if by is None:
        return '<p class="soft">The manifest names no parts.</p>'
    table = Manifest(frame, "/")
    fold = None if by == "split" else str(sorted(frame[by].dropna().astype("str"))[0])
    try:
        settings = ProtocolSettings(by="split" if by == "split" else "fold", fold=fold, published=True)
        notes = Protocol.from_manifest(table, settings).notes
    except UsageError as error:
        notes = (str(error),)
    plain = tuple(text.removesuffix(", as in the published protocol") for text in notes)
    first = "" if by == "split" else f"<p class='soft'>With {by} {escape(str(fold))} as the test:</p>"
    return first + (bullets(plain) if plain else "<p class='soft'>Parts share no people, groups or files.</p>")


def _part(by: str | None, name: str) -> str:
    """``train``, ``fold 1``."""
    return f"fold {name}" if by == "fold" else name


def class_columns(frame: pd.DataFrame, most: int = 40) -> list[str]:
    """Columns with a few different words or whole numbers, which stand for classes; the label first.

    What is the same for all clips divides nothing, unless it is the label.
    """
    found: list[str] = []
    for column in _targets(frame):
        values = frame[column].dropna()
        words = not pd.api.types.is_numeric_dtype(values)
        whole = not words and bool((values % 1 == 0).all()) and column in _LABEL
        named = column in _LABEL
        if len(values) and (words or whole) and (1 if named else 2) <= values.nunique() <= most:
            found.append(column)
    return sorted(found, key=lambda column: column not in _LABEL)


def target_columns(frame: pd.DataFrame, most: int = 8) -> list[str]:
    """Columns with numbers for whole clips."""
    classes = set(class_columns(frame))
    numbers = [column for column in _targets(frame) if column not in classes]
    return [
        column for column in numbers if pd.api.types.is_numeric_dtype(frame[column]) and frame[column].notna().any()
    ][:most]


def quality_columns(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Columns that the preparation measured: name, title, unit."""
    return [(name, *texts) for name, texts in _QUALITY.items() if name in frame and frame[name].notna().any()]


def _targets(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame.columns if name not in COLUMNS and name not in _MEASURED and name != "source"]


def _divided(frame: pd.DataFrame) -> str | None:
    return next((name for name in ("split", "fold") if name in frame and frame[name].notna().any()), None)


def _ordered(names: Iterable[object]) -> list[str]:
    known = {name: at for at, name in enumerate(PARTS)}
    return sorted((str(name) for name in names), key=lambda name: (known.get(name, 9), len(name), name))
