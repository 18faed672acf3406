"""Features of sound: log-mel spectrogram and mel-frequency cepstral coefficients, number for number as librosa's."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import UsageError

_FLOOR = 1e-10  # power below which the logarithm is cut off: -100 dB
_BLOCK = 512  # spectra computed at once, which bounds the memory for long sound

Padding = Literal["zeros", "reflect"]


def log_mel(
    samples: NDArray[np.float32],
    rate: int,
    n_fft: int = 2048,
    hop: int = 512,
    window: int | None = None,
    bands: int = 128,
    low: float = 0.0,
    high: float | None = None,
    padding: Padding = "zeros",
    top_db: float | None = 80.0,
) -> NDArray[np.float32]:
    """Power in mel bands, in decibels relative to 1.

    Periodic Hann window, frame ``l`` centred on sample ``l * hop``; triangular bands of equal area on Slaney's mel
    scale (Auditory Toolbox, 1998). Equal to ``librosa.power_to_db(librosa.feature.melspectrogram(...))``.

    Args:
        samples: float32 ``(S,)``, at least one sample.
        rate: samples per second.
        n_fft: length of the Fourier transform in samples.
        hop: samples between frames.
        window: length of the window in samples, at most ``n_fft``; None: ``n_fft``.
        bands: number of mel bands F.
        low, high: edges in Hz; ``high`` None: ``rate / 2``.
        padding: what lies beyond the ends: ``zeros`` (librosa from 0.10 on) or ``reflect`` (before).
        top_db: values lower than the highest one of the whole sound by more are raised to that; None: off.

    Returns:
        float32 ``(F, L)`` with ``L = 1 + S // hop`` (for an even ``n_fft``).

    Raises:
        UsageError: no samples, or options that contradict each other.
    """
    high = rate / 2 if high is None else high
    window = n_fft if window is None else window
    if samples.ndim != 1 or not len(samples):
        raise UsageError(f"features need mono sound of at least one sample, got shape {samples.shape}")
    if not (1 <= window <= n_fft and hop >= 1 and bands >= 1 and 0 <= low < high <= rate / 2):
        raise UsageError(
            f"log_mel: window {window}, n_fft {n_fft}, hop {hop}, bands {bands}, {low}-{high} Hz at {rate} Hz; needs "
            "window <= n_fft, positive hop and bands, and 0 <= low < high <= rate / 2"
        )
    mel = mel_filters(rate, n_fft, bands, float(low), float(high)) @ _power(samples, n_fft, hop, window, padding)
    decibels = 10 * np.log10(np.maximum(mel, _FLOOR))
    if top_db is not None:
        decibels = np.maximum(decibels, decibels.max() - top_db)
    return decibels.astype(np.float32)


def mfcc(
    samples: NDArray[np.float32],
    rate: int,
    coefficients: int = 20,
    n_fft: int = 2048,
    hop: int = 512,
    window: int | None = None,
    bands: int = 128,
    low: float = 0.0,
    high: float | None = None,
    padding: Padding = "zeros",
    top_db: float | None = 80.0,
) -> NDArray[np.float32]:
    """First ``coefficients`` of the orthonormal DCT-II of ``log_mel`` along the bands: float32 ``(F, L)``.

    Equal to ``librosa.feature.mfcc``; the other arguments are those of ``log_mel``.
    """
    if not 1 <= coefficients <= bands:
        raise UsageError(f"mfcc: {coefficients} coefficients of {bands} bands; give 1 to {bands}")
    spectrum = log_mel(samples, rate, n_fft, hop, window, bands, low, high, padding, top_db)
    return (_cosines(coefficients, bands) @ spectrum.astype(np.float64)).astype(np.float32)


@lru_cache(maxsize=16)
def mel_filters(rate: int, n_fft: int, bands: int, low: float, high: float) -> NDArray[np.float64]:
    """Weights ``(bands, n_fft // 2 + 1)`` of triangular mel bands, each of area 1 over frequency in units of 2 Hz."""
    edges = _mel_to_hz(np.linspace(_hz_to_mel(low), _hz_to_mel(high), bands + 2))
    frequencies = np.fft.rfftfreq(n_fft, 1 / rate)
    slopes = (frequencies - edges[:, None]) / np.diff(edges, append=np.inf)[:, None]
    rising = slopes[:-2]
    falling = 1 - slopes[1:-1]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    filters.setflags(write=False)
    return filters


def _hz_to_mel(hz: float) -> float:
    """Slaney's scale: linear (200/3 Hz per mel) up to 1000 Hz, then a factor of 6.4 every 27 mel."""
    return 15 + 27 * float(np.log(hz / 1000) / np.log(6.4)) if hz >= 1000 else hz * 3 / 200


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel >= 15, 1000 * 6.4 ** ((mel - 15) / 27), mel * 200 / 3)


def _power(samples: NDArray[np.float32], n_fft: int, hop: int, window: int, padding: Padding) -> NDArray[np.float64]:
    """Power spectrum ``(n_fft // 2 + 1, L)``."""
    hann = np.zeros(n_fft)
    at = (n_fft - window) // 2
    hann[at : at + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(samples.astype(np.float64), n_fft // 2, mode="constant" if padding == "zeros" else "reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    power = np.empty((n_fft // 2 + 1, len(frames)))
    for first in range(0, len(frames), _BLOCK):
        block = np.fft.rfft(frames[first : first + _BLOCK] * hann, axis=1)
        power[:, first : first + _BLOCK] = (block.real**2 + block.imag**2).T
    return power


@lru_cache(maxsize=16)
def _cosines(coefficients: int, bands: int) -> NDArray[np.float64]:
    """Rows of the orthonormal DCT-II."""
    k = np.arange(coefficients)[:, None]
    rows = np.cos(np.pi * k * (2 * np.arange(bands) + 1) / (2 * bands)) * np.sqrt(2 / bands)
    rows[0] /= np.sqrt(2)
    rows.setflags(write=False)
    return rows
