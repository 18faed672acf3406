"""Confusion of intensities by tenths: which tenth of 0..1 the truth lies in, and which the output."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

TENTHS = 10


def tenths(values: ArrayLike) -> NDArray[np.int64]:
    """The tenth that each value lies in, 0..9: ``floor(10 x)`` clipped; 1e-6 guards 0.3, 0.6, 0.7 in float32."""
    found = np.floor(np.asarray(values, dtype=np.float64) * TENTHS + 1e-6)
    return np.clip(found, 0, TENTHS - 1).astype(np.int64)


def published_tenths(values: ArrayLike) -> NDArray[np.int64]:
    """Bins as ViPER's script makes them: truncation of ``x / 0.1`` in the values' own precision, 9 from 1 on.

    The faults: outputs of -0.1 and less make a bin -1 and below; a float64 truth of exactly 0.3, 0.6 or 0.7 falls
    into the tenth below while a float32 output of the same value does not.
    """
    values = np.asarray(values)
    return np.where(values >= 1, TENTHS - 1, np.trunc(values / values.dtype.type(0.1))).astype(np.int64)


def confusion_by_tenths(truth: ArrayLike, output: ArrayLike, published: bool = False) -> NDArray[np.float64]:
    """Confusion of one emotion's intensities ``(N,)`` over clips; each row divided by its sum, rows are the truth.

    Returns:
        ``(10, 10)``, rows without truth zero. ``published``: only the bins that occur, in order, with NaN in rows
        without truth; its size therefore depends on the data.
    """
    if published:
        rows, columns = published_tenths(truth), published_tenths(output)
        labels = np.union1d(rows, columns)
        rows, columns = np.searchsorted(labels, rows), np.searchsorted(labels, columns)
    else:
        labels, rows, columns = np.arange(TENTHS), tenths(truth), tenths(output)
    counts = np.zeros((len(labels), len(labels)))
    np.add.at(counts, (rows, columns), 1.0)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan if published else 0.0), where=totals > 0)


def dominant_confusion(truth: ArrayLike, output: ArrayLike) -> NDArray[np.int64]:
    """Counts ``(K, K)`` of the strongest emotion, truth in rows, for intensities ``(N, K)``; first of equals."""
    truth, output = np.asarray(truth), np.asarray(output)
    counts = np.zeros((truth.shape[1],) * 2, dtype=np.int64)
    np.add.at(counts, (truth.argmax(axis=1), output.argmax(axis=1)), 1)
    return counts
