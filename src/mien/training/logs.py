"""What a run writes while it trains: CSV always, TensorBoard where it is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mien.files import complete


class Log:
    """Scalars by step, one CSV per kind (``train.csv``, ``validation.csv``) and TensorBoard events beside them.

    A run that is resumed at step s forgets what was logged after s, so no step appears twice.

    Args:
        folder: where the files go.
        resumed_at: step to go on from; 0 for a new run.
    """

    def __init__(self, folder: Path, resumed_at: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        for file in folder.glob("*.csv"):
            _forget_after(file, resumed_at)
        self._board: Any = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder), purge_step=resumed_at + 1 if resumed_at else None)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Add one row; new columns may appear later, their earlier cells stay empty."""
        row = {"step": step, **values}
        path = self._folder / f"{kind}.csv"
        columns = _columns(path)
        if set(row) - set(columns):
            columns = [*columns, *(name for name in row if name not in columns)]
            _rewrite(path, columns, _rows(path))
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, columns).writerow(row)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def picture(self, name: str, step: int, pixels: np.ndarray) -> None:
        """Show uint8 ``(H, W, 3)`` in TensorBoard, where it is installed."""
        if self._board is not None:
            self._board.add_image(name, pixels, step, dataformats="HWC")

    def close(self) -> None:
        """Write what TensorBoard has not written yet; the CSV files are whole after every row."""
        if self._board is not None:
            self._board.close()


def _columns(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, restval=""))


def _forget_after(path: Path, step: int) -> None:
    """Drop rows of later steps, and a last row that a kill cut short."""
    rows = _rows(path)
    if rows and not path.read_text(encoding="utf-8").endswith("\n"):
        rows.pop()
    _rewrite(path, _columns(path), [row for row in rows if int(row["step"]) <= step])


def _rewrite(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with complete(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
