"""Log-mel and MFCC against librosa, and against numbers of librosa 0.8.1, which padded by reflection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import UsageError
from mien.media import log_mel, mfcc
from mien.media.features import mel_filters

CASES: list[tuple[int, int, dict[str, Any]]] = [
    (16000, 16000, {"n_fft": 512, "hop": 160, "window": 400, "bands": 64}),
    (22050, 50000, {}),
    (44100, 30001, {"n_fft": 1024, "hop": 441, "bands": 40, "low": 50.0, "high": 8000.0}),
    (8000, 5000, {"n_fft": 257, "hop": 100, "bands": 20}),
    (16000, 100_000, {"n_fft": 256, "hop": 64, "bands": 32}),
    (16000, 100, {}),
    (16000, 1, {}),
]


def as_librosa(options: dict[str, Any]) -> dict[str, Any]:
    names = {"n_fft": "n_fft", "hop": "hop_length", "window": "win_length", "bands": "n_mels", "low": "fmin"}
    return {names.get(key, "fmax"): value for key, value in options.items()}


@pytest.mark.filterwarnings("ignore:n_fft=")
@pytest.mark.parametrize(("padding", "pad_mode"), [("zeros", "constant"), ("reflect", "reflect")])
@pytest.mark.parametrize(("rate", "length", "options"), CASES)
def test_equal_to_librosa(rate: int, length: int, options: dict[str, Any], padding: Any, pad_mode: str) -> None:
    librosa = pytest.importorskip("librosa")
    samples = (np.random.default_rng(length).standard_normal(length) * 0.1).astype(np.float32)
    given = as_librosa(options)
    power = librosa.feature.melspectrogram(y=samples, sr=rate, pad_mode=pad_mode, **given)
    mel = log_mel(samples, rate, padding=padding, **options)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel, librosa.power_to_db(power), atol=1e-4)
    cepstrum = librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=13, pad_mode=pad_mode, **given)
    np.testing.assert_allclose(mfcc(samples, rate, 13, padding=padding, **options), cepstrum, atol=1e-3)
    unlimited = librosa.power_to_db(power, top_db=None)
    np.testing.assert_allclose(log_mel(samples, rate, padding=padding, top_db=None, **options), unlimited, atol=1e-4)


def test_filters_equal_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    truth = librosa.filters.mel(sr=22050, n_fft=2048, n_mels=128)
    np.testing.assert_allclose(mel_filters(22050, 2048, 128, 0.0, 11025.0), truth, atol=1e-8)


def test_equal_to_stored_numbers() -> None:
    """A voice-like waveform of 3.6 s that is silent after 2.5 s; 10 coefficients by librosa 0.8.1 and 0.10.2."""
    stored = np.load(Path(__file__).parent / "data" / "mfcc.npz")
    samples = np.zeros(79380, np.float32)
    samples[: len(stored["samples"])] = stored["samples"] / 32768
    np.testing.assert_allclose(mfcc(samples, 22050, 10, padding="reflect"), stored["coefficients"], atol=5e-4)
    np.testing.assert_allclose(mfcc(samples, 22050, 10), stored["zeros"], atol=5e-4)


def test_a_tone_lies_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    mel = log_mel(tone, 16000, n_fft=1024, hop=256, bands=40)
    centre = np.average(
        np.fft.rfftfreq(1024, 1 / 16000), weights=mel_filters(16000, 1024, 40, 0.0, 8000.0)[mel[:, 30].argmax()]
    )
    assert abs(centre - 1000) < 60


@pytest.mark.parametrize(
    "options",
    [{"window": 4096}, {"hop": 0}, {"bands": 0}, {"low": 9000.0}, {"high": 20000.0}, {"low": -1.0}],
)
def test_contradictions_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="log_mel: window"):
        log_mel(np.ones(100, np.float32), 16000, **options)


def test_no_samples_and_too_many_coefficients_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one sample"):
        log_mel(np.ones(0, np.float32), 16000)
    with pytest.raises(UsageError, match="at least one sample"):
        log_mel(np.ones((2, 10), np.float32), 16000)
    with pytest.raises(UsageError, match="give 1 to 128"):
        mfcc(np.ones(10, np.float32), 16000, coefficients=129)
