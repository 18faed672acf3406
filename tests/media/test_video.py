"""VideoReader: what a time means, how a picture is shown, what is refused."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import MienError
from mien.media import VideoReader, VideoWriter, probe


@pytest.fixture(scope="module")
def irregular(tmp_path_factory: pytest.TempPathFactory) -> VideoReader:
    """40 pictures at irregular times; the grey level of picture ``i`` is ``6 i``."""
    path = tmp_path_factory.mktemp("video") / "irregular.mp4"
    times = np.cumsum(np.random.default_rng(3).uniform(0.005, 0.4, 40))
    with VideoWriter(path, (32, 32), gop=7, quality=5) as out:
        for index, time in enumerate(times - times[0]):
            out.write(np.full((32, 32), index * 6, np.uint8), time=time)
    return VideoReader(path, grey=True)


def level(images: np.ndarray) -> np.ndarray:
    """The numbers of the pictures, read from their grey."""
    return np.rint(images[:, 8:24, 8:24, 0].mean(axis=(1, 2)) / 6).astype(int)


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 12), min_size=1, max_size=8))
def test_the_picture_at_a_time_is_the_last_that_came(irregular: VideoReader, seconds: list[float]) -> None:
    expected = [max((i for i, time in enumerate(irregular.times) if time <= t), default=0) for t in seconds]
    assert irregular.indices_at(seconds).tolist() == expected
    assert level(irregular.at_times(seconds)).tolist() == expected


@settings(max_examples=40)
@given(st.lists(st.integers(0, 39), max_size=8))
def test_pictures_by_number_in_any_order(irregular: VideoReader, numbers: list[int]) -> None:
    images = irregular.at_indices(numbers)
    assert images.shape == (len(numbers), 32, 32, 1)
    assert level(images).tolist() == numbers


@settings(max_examples=40)
@given(st.floats(-1, 12), st.one_of(st.none(), st.floats(-1, 12)))
def test_a_stretch_holds_the_pictures_that_come_in_it(irregular: VideoReader, start: float, end: float | None) -> None:
    stop = np.inf if end is None else end
    expected = [i for i, time in enumerate(irregular.times) if start <= time < stop]
    frames = list(irregular.frames(start, end))
    assert [frame.index for frame in frames] == expected
    assert [frame.time for frame in frames] == irregular.times[expected].tolist()
    if frames:
        assert level(np.stack([frame.image for frame in frames])).tolist() == expected


def test_the_exact_time_of_a_picture_shows_it(irregular: VideoReader) -> None:
    assert irregular.indices_at(irregular.times).tolist() == list(range(40))


@pytest.mark.parametrize("numbers", [[-1], [40], [0, 100], [0.5], [[0, 1]]])
def test_numbers_that_are_not_there_are_refused(irregular: VideoReader, numbers: list[Any]) -> None:
    with pytest.raises(MienError, match=r"irregular\.mp4: frame"):
        irregular.at_indices(numbers)


@pytest.mark.parametrize("times", [[np.nan], [np.inf], [[0.0]]])
def test_times_that_are_none_are_refused(irregular: VideoReader, times: list[Any]) -> None:
    with pytest.raises(MienError, match="finite seconds"):
        irregular.at_times(times)


@pytest.mark.parametrize(("turned", "quarters"), [(90, 1), (180, 2), (270, 3)])
def test_turned_pictures_stand_upright(recorder: Any, decoded: Any, turned: int, quarters: int) -> None:
    path = recorder.video("turned.mp4", turned=turned)
    stored = decoded(path)[5]
    with VideoReader(path) as video:
        assert np.array_equal(video.at_indices([5])[0], np.rot90(stored, quarters))
        assert video.info.picture is not None
        assert (video.info.picture.width, video.info.picture.height) == np.rot90(stored, quarters).shape[1::-1]
        assert video.info.picture.orientation.rotation == 360 - turned


def test_turned_pictures_equal_opencvs(recorder: Any) -> None:
    cv2 = pytest.importorskip("cv2")
    path = recorder.video("turned.mp4", turned=90)
    seen, image = cv2.VideoCapture(str(path)).read()
    assert seen
    with VideoReader(path) as video:
        assert np.array_equal(video.at_indices([0])[0], image[:, :, ::-1])


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda image: np.rot90(image.transpose(1, 0, 2), 2)),
    ],
)
def test_mirrored_pictures(recorder: Any, decoded: Any, matrix: tuple[int, int, int, int], turn: Any) -> None:
    path = recorder.video("plain.mp4", frames=3)
    a, b, c, d = (value * 65536 for value in matrix)
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40  # version 0: nine numbers follow 40 bytes of other fields
    plain = np.array([65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30], ">i4").tobytes()
    assert data[at : at + 36] == plain
    path.write_bytes(data[:at] + np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes() + data[at + 36 :])
    with VideoReader(path) as video:
        assert video.info.picture is not None
        assert video.info.picture.orientation.mirrored
        assert np.array_equal(video.at_indices([1])[0], turn(decoded(path)[1]))


@pytest.mark.parametrize("name", ["wide.mp4", "wide.mkv"])
def test_pixels_are_made_square(recorder: Any, name: str) -> None:
    path = recorder.video(name, aspect=Fraction(4, 3))
    with VideoReader(path) as video:
        assert video.info.picture is not None
        assert (video.info.picture.width, video.info.picture.height) == (128, 64)
        assert video.info.picture.stored == (96, 64)
        assert video.at_indices([0]).shape == (1, 64, 128, 3)


def test_size_and_grey(recorder: Any) -> None:
    path = recorder.video("turned.mp4", turned=90)
    with VideoReader(path, size=(40, 50)) as video:
        assert video.at_indices([3]).shape == (1, 50, 40, 3)
    with VideoReader(path) as colour, VideoReader(path, grey=True) as grey:
        luma = colour.at_indices([3])[0] @ [0.299, 0.587, 0.114]
        assert np.abs(grey.at_indices([3])[0, :, :, 0] - luma).mean() < 2


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p"])
@pytest.mark.parametrize("size", [None, (60, 40)])
def test_white_is_white_and_grey_is_grey(tmp_path: Path, pixels: str, size: tuple[int, int] | None) -> None:
    deep = 2 if "10" in pixels else 0
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.codec_context.width, stream.codec_context.height, stream.codec_context.pix_fmt = 96, 64, pixels
        for index, luma in enumerate((16, 126, 235)):
            frame = av.VideoFrame(96, 64, pixels)
            for plane, value in zip(frame.planes, (luma, 128, 128), strict=True):
                kind = np.uint16 if deep else np.uint8
                plane.update(np.full(plane.buffer_size // kind().itemsize, value << deep, kind).tobytes())
            frame.pts = index
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    with VideoReader(tmp_path / "a.mkv", size=size) as video:
        images = video.at_indices([0, 1, 2]).reshape(3, -1).astype(int)
    expected = np.array([0, (126 - 16) * 255 / 219, 255])
    assert np.abs(images - expected[:, None]).max() <= 1


def test_the_larger_stream_is_read_and_cover_art_is_not(recorder: Any, tmp_path: Path) -> None:
    small, large = recorder.video("s.mp4", size=(64, 48)), recorder.video("l.mp4")
    with av.open(str(tmp_path / "two.mkv"), "w") as out:
        sources = [av.open(str(path)) for path in (small, large)]
        copies = [out.add_stream_from_template(source.streams.video[0]) for source in sources]
        for source, copy in zip(sources, copies, strict=True):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
            source.close()
    info = probe(tmp_path / "two.mkv")
    assert info.picture is not None
    assert (info.picture.stream, info.picture.width) == (1, 96)


def test_cover_art_is_no_video(recorder: Any, tmp_path: Path, picture: Any) -> None:
    song = recorder.sound("song.mp3", codec="libmp3lame", pictures_at=None)
    with av.open(str(song)) as source, av.open(str(tmp_path / "covered.mp3"), "w") as out:
        sound = out.add_stream_from_template(source.streams.audio[0])
        cover = out.add_stream("mjpeg", rate=1)
        cover.codec_context.width, cover.codec_context.height, cover.codec_context.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(picture(0), format="rgb24")
        for packet in [*cover.encode(frame), *cover.encode(None)]:
            out.mux(packet)
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = sound
                out.mux(packet)
    info = probe(tmp_path / "covered.mp3")
    assert info.picture is None
    assert info.sound is not None
    with pytest.raises(MienError, match="has no picture"):
        VideoReader(tmp_path / "covered.mp3")


def test_streaming_holds_one_picture(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "long.mp4", (320, 240)) as out:
        for index in range(300):
            out.write(np.full((240, 320), index % 256, np.uint8))
    with VideoReader(tmp_path / "long.mp4") as video:
        tracemalloc.start()
        count = sum(1 for _ in video.frames())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 300
    assert peak < 10 * 320 * 240 * 3


@pytest.mark.parametrize("name", ["live.webm", "a.ts", "a.mpg", "raw.h264"])
def test_duration_where_the_file_declares_none_or_a_wrong_one(recorder: Any, name: str) -> None:
    codec = {"live.webm": "libvpx", "a.mpg": "mpeg1video"}.get(name, "libx264")
    container = {"a.mpg": "mpeg", "raw.h264": "h264"}.get(name)
    info = probe(recorder.video(name, codec=codec, container=container, muxing={"live": "1"} if "live" in name else {}))
    assert info.duration == pytest.approx(2.4, abs=0.002)
    assert info.picture is not None
    assert info.picture.frames == 60
    assert info.picture.fps == pytest.approx(25, abs=0.02)
