"""Recordings made for the tests: every frame tells its number, every sample of sound its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

SIZE = (96, 64)


def picture(index: int, width: int = SIZE[0], height: int = SIZE[1]) -> NDArray[np.uint8]:
    """A moving gradient with noise of its own, so that no two frames are alike."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 3 + index * 5, y * 3 + index * 3, np.full(x.shape, index * 9)], axis=-1) % 256
    noise = np.random.default_rng(index).integers(0, 256, smooth.shape)
    return (0.7 * smooth + 0.3 * noise).astype(np.uint8)


def chirp(rate: int, seconds: float) -> NDArray[np.float32]:
    """A tone that rises from 200 to 3000 Hz: every stretch of it lies at one place only."""
    time = np.arange(int(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * (200 * time + 1400 * time**2 / seconds))).astype(np.float32)


class Recorder:
    """Writes recordings with PyAV alone, independent of mien's own writer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def video(
        self,
        name: str,
        codec: str = "libx264",
        frames: int = 60,
        size: tuple[int, int] = SIZE,
        pixels: str = "yuv420p",
        times: Sequence[int] | None = None,
        unit: Fraction = Fraction(1, 25),
        gop: int = 12,
        options: dict[str, str] | None = None,
        muxing: dict[str, str] | None = None,
        container: str | None = None,
        aspect: Fraction | None = None,
        turned: int = 0,
    ) -> Path:
        """Pictures ``picture(0), picture(1), ...`` shown at ``times`` (in units of ``unit``; None: 0, 1, ...)."""
        path = self.folder / name
        with av.open(str(path), "w", format=container, options=muxing or {}) as out:
            stream = out.add_stream(codec, rate=25, options=options or {})
            if turned:
                stream.set_display_rotation(turned)
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = *size, pixels
            context.time_base, context.gop_size, context.thread_count = unit, gop, 1
            if aspect is not None:
                context.sample_aspect_ratio = aspect
            for packet in pictures(stream, frames, size, pixels, times or range(frames), unit):
                out.mux(packet)
        return path

    def sound(
        self,
        name: str,
        codec: str = "aac",
        rate: int = 44100,
        seconds: float = 3.0,
        offset: float = 0.0,
        pictures_at: tuple[float, int] | None = (0.0, 75),
        picture_codec: str = "libx264",
        gap: tuple[float, float] | None = None,
        layout: str = "mono",
        container: str | None = None,
    ) -> Path:
        """``chirp`` from ``offset`` on, halved in a second channel; ``pictures_at``: (start, number) at 25 fps."""
        path = self.folder / name
        packets: list[Any] = []
        with av.open(str(path), "w", format=container) as out:
            if pictures_at is not None:
                video = out.add_stream(picture_codec, rate=25)
                video.codec_context.width, video.codec_context.height, video.codec_context.pix_fmt = 64, 48, "yuv420p"
                first = round(pictures_at[0] * 25)
                times = range(first, first + pictures_at[1])
                packets += pictures(video, pictures_at[1], (64, 48), "yuv420p", times, Fraction(1, 25))
            stream = out.add_stream(codec, rate=rate, layout=layout)
            wave = chirp(rate, seconds)
            for at in range(0, len(wave), 1024):
                if gap is not None and gap[0] <= at / rate < gap[1]:
                    continue
                channels = np.stack([wave[at : at + 1024], wave[at : at + 1024] / 2][: stream.codec_context.channels])
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), format="fltp", layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = at + round(offset * rate)
                packets += stream.encode(frame)
            packets += stream.encode(None)
            for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
                out.mux(packet)
        return path


def pictures(
    stream: Any, frames: int, size: tuple[int, int], pixels: str, times: Sequence[int], unit: Fraction
) -> list[Any]:
    """Encoded packets of ``picture(0)`` to ``picture(frames - 1)``."""
    packets: list[Any] = []
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24").reformat(format=pixels)
        frame.pts, frame.time_base = times[index], unit
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    """Every picture by plain sequential decoding: the truth for random access. Damaged frames are left out."""
    images: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            images += [frame.to_ndarray(format="rgb24") for frame in frames if not frame.is_corrupt]
    return images


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


@pytest.fixture(name="picture")
def picture_fixture() -> Callable[..., NDArray[np.uint8]]:
    return picture


@pytest.fixture(name="decoded")
def decoded_fixture() -> Callable[[Path], list[NDArray[np.uint8]]]:
    return decoded


@pytest.fixture(name="chirp")
def chirp_fixture() -> Callable[[int, float], NDArray[np.float32]]:
    return chirp
