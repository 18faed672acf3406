"""What verbs ask of the place that results go to, before the work."""

from __future__ import annotations

from pathlib import Path

from mien.errors import UsageError
from mien.files import check_writable


def check_results(folder: Path) -> None:
    """Refuse a folder that cannot be written, and that of a run: its own figures and report have the same names."""
    if (folder / "recipe.yaml").is_file():
        raise UsageError(f"--out {folder} is a run, which has a report of its own; name {folder / 'evaluation'}")
    check_writable(folder, "--out")
