"""Writing MP4 (H.264 and AAC): complete under its final name, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from mien.errors import MienError

_TICKS = 90_000  # units per second of the picture's clock: the frame times of all usual rates are whole numbers
_FAILURES = (av.FFmpegError, OSError)
_BT709 = 1  # ITU-T H.273: primaries, transfer and matrix
_LIMITED = 1  # AVCOL_RANGE_MPEG
_BLOCK = 16_384  # samples handed to the encoder at once


class VideoWriter:
    """An MP4 file with H.264 pictures (yuv420p, BT.709; RGB where ``exact``) and, on wish, mono AAC on one clock.

    The file is written as ``<name>.part`` and renamed when ``close`` has succeeded; an error inside the ``with`` block
    leaves nothing behind. H.264 in yuv420p needs even sides: an odd side is made even by repeating the last column or
    row. Sound starts at time 0.

    Args:
        path: the file to be; an existing one is replaced.
        size: (width, height) of the pictures.
        fps: rate of pictures written without ``time``.
        sound_rate: samples per second of the sound; None writes no track of sound.
        gop: most pictures between two that decode alone; short ones make random access quick. None: two seconds.
        quality: constant rate factor of x264, 0 (lossless) to 51; 18 is visually near the original.
        threads: encoder threads. One thread gives the same bytes on every machine; 0 takes what the machine has.
        quick: write what is decoded in half the time (no arithmetic coding, no deblocking) and a little larger.
        exact: keep every pixel as it is (RGB without loss, some ten times larger); ``quality`` then means nothing.

    Raises:
        MienError: the folder is missing or unwritable, pictures do not fit ``size``, times do not increase, or nothing
            was written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size: tuple[int, int],
        fps: float = 25.0,
        sound_rate: int | None = None,
        gop: int | None = None,
        quality: int = 18,
        threads: int = 1,
        quick: bool = False,
        exact: bool = False,
    ) -> None:
        self.path = Path(path)
        self.size = size
        rate = Fraction(fps).limit_denominator(100_000)
        if min(size) < 1 or rate <= 0 or not 0 <= quality <= 51 or (gop is not None and gop < 1):
            raise MienError(f"{path}: size {size}, fps {fps}, gop {gop}, quality {quality}: out of range")
        self._part = self.path.with_name(self.path.name + ".part")
        self._step = _TICKS / rate
        self._count = 0
        self._last = -1
        self._heard = 0
        self._exact = exact
        self._scaler = VideoReformatter()
        try:
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._part.touch()
            self._container: Any = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
        except _FAILURES as error:
            raise self._unwritable(error) from None
        gop = gop or max(1, round(2 * rate))
        self._video = self._picture_stream(rate, gop, 0 if exact else quality, threads, quick)
        self._audio = None if sound_rate is None else self._sound_stream(sound_rate)

    def _picture_stream(self, rate: Fraction, gop: int, quality: int, threads: int, quick: bool) -> Any:
        options = {"crf": str(quality), "preset": "veryfast", **({"tune": "fastdecode"} if quick else {})}
        codec = "libx264rgb" if self._exact else "libx264"
        stream = self._container.add_stream(codec, rate=rate, options=options)
        context = stream.codec_context
        context.width, context.height = (side + side % 2 for side in self.size)
        context.pix_fmt = "rgb24" if self._exact else "yuv420p"
        context.time_base = Fraction(1, _TICKS)
        context.gop_size = gop
        # Macroblock trees read stray memory in x264's AVX-512 code: equal pictures would give unequal files.
        context.options = {**context.options, "mbtree": "0"}
        context.thread_count = threads
        if not self._exact:
            context.colorspace, context.color_primaries, context.color_trc = _BT709, _BT709, _BT709
            context.color_range = _LIMITED
        return stream

    def _sound_stream(self, rate: int) -> Any:
        try:
            stream = self._container.add_stream("aac", rate=rate, layout="mono")
            stream.codec_context.open()
        except (av.FFmpegError, ValueError):
            self._discard()
            raise MienError(f"{self.path}: AAC does not take {rate} Hz; try 16000 or 44100") from None
        return stream

    def write(self, image: NDArray[np.uint8], time: float | None = None) -> None:
        """Append one picture.

        Args:
            image: uint8 ``(H, W, 3)`` RGB, or ``(H, W, 1)`` or ``(H, W)`` grey.
            time: seconds at which it appears, later than the one before; None: the next place at ``fps``.
        """
        ticks = round(self._count * self._step if time is None else time * _TICKS)
        if ticks <= self._last:
            rule = "before 0 s" if self._last < 0 else f"not after the last picture, {self._last / _TICKS:.5f} s"
            raise MienError(f"{self.path}: a picture at {ticks / _TICKS:.5f} s is {rule}")
        frame = av.VideoFrame.from_ndarray(self._padded(image), format="rgb24")
        if not self._exact:
            frame = self._scaler.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts, frame.time_base, frame.duration = ticks, Fraction(1, _TICKS), round(self._step)
        self._last = ticks
        self._count += 1
        self._encode(self._video, frame)

    def _padded(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        width, height = self.size
        image = image[:, :, None] if image.ndim == 2 else image
        if image.dtype != np.uint8 or image.shape not in {(height, width, 3), (height, width, 1)}:
            wanted = f"uint8 ({height}, {width}, 3 or 1)"
            raise MienError(f"{self.path}: a picture {image.shape} of {image.dtype} does not fit {wanted}")
        image = np.repeat(image, 3 // image.shape[2], axis=2)
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return np.ascontiguousarray(image)

    def write_sound(self, samples: NDArray[np.float32]) -> None:
        """Append sound: float32 ``(S,)`` in -1..1 (what lies outside is clipped), directly after what was written."""
        if self._audio is None:
            raise MienError(f"{self.path}: was opened without sound; give sound_rate")
        if samples.ndim != 1:
            raise MienError(f"{self.path}: sound has shape {samples.shape}, it must be mono (S,)")
        samples = np.clip(samples, -1, 1).astype(np.float32, copy=False)
        rate = self._audio.codec_context.sample_rate
        for at in range(0, len(samples), _BLOCK):
            block = np.ascontiguousarray(samples[None, at : at + _BLOCK])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, self._heard, Fraction(1, rate)
            self._heard += block.shape[1]
            self._encode(self._audio, frame)

    def _encode(self, stream: Any, frame: Any) -> None:
        try:
            for packet in stream.encode(frame):
                self._container.mux(packet)
        except _FAILURES as error:
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Finish the file and give it its name; without any picture, raise MienError and leave nothing."""
        if self._container is None:
            return
        try:
            if not self._count:
                raise MienError(f"{self.path}: no picture was written, so there is no video to keep")
            for stream in filter(None, (self._video, self._audio)):
                self._encode(stream, None)
            try:
                self._container.close()
                os.replace(self._part, self.path)
            except _FAILURES as error:
                raise self._unwritable(error) from None
        finally:
            self._discard()

    def _unwritable(self, error: Any) -> MienError:
        return MienError(
            f"{self.path}: cannot be written ({error.strerror}); check its folder and the space on the disk"
        )

    def _discard(self) -> None:
        """Close what is open and remove the unfinished file."""
        if self._container is not None:
            with contextlib.suppress(*_FAILURES):
                self._container.close()
        self._container = None
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.close()
        else:
            self._discard()
