"""Random access gives the sequential decoder's frames, whatever the codec and the container."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.media import VideoReader

Decoded = Callable[[Path], list[NDArray[np.uint8]]]

B_FRAMES = {"options": {"bf": "3", "b-pyramid": "normal"}}
OPEN_GOP = {"options": {"bf": "3", "x264-params": "open-gop=1"}}
X265 = {"codec": "libx265", "options": {"x265-params": "log-level=none:open-gop=1:keyint=12:min-keyint=12:bframes=3"}}
VPX = {"options": {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}, "gop": 20}
IRREGULAR = np.cumsum(np.random.default_rng(0).integers(2, 90, 60)).tolist()
VFR: dict[str, Any] = {"times": IRREGULAR, "unit": Fraction(1, 1000)}

RECORDINGS: dict[str, dict[str, Any]] = {
    "long_gop.mp4": {**B_FRAMES, "gop": 250},
    "open_gop.mp4": OPEN_GOP,
    "open_gop.mkv": OPEN_GOP,
    "open_gop.ts": OPEN_GOP,
    "open_gop.flv": OPEN_GOP,
    "reordered.avi": B_FRAMES,
    "raw.h264": {**B_FRAMES, "container": "h264"},
    "gradual_refresh.mp4": {"options": {"x264-params": "intra-refresh=1:bframes=0"}, "gop": 15},
    "every_second_key.mp4": {"options": {"bf": "1"}, "gop": 2},
    "fragmented.mp4": {**B_FRAMES, "muxing": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}},
    "interlaced.mp4": {"options": {"x264-params": "interlaced=1:tff=1", "bf": "2"}},
    "hevc.mp4": X265,
    "hevc.mkv": X265,
    "vp8.webm": {"codec": "libvpx", **VPX},
    "vp9.webm": {"codec": "libvpx-vp9", **VPX},
    "live.webm": {"codec": "libvpx", "muxing": {"live": "1"}},
    "mpeg1.mpg": {"codec": "mpeg1video", "container": "mpeg", "options": {"bf": "2"}},
    "mpeg2.vob": {"codec": "mpeg2video", "container": "vob", "options": {"bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "flv1.flv": {"codec": "flv"},
    "wmv2.wmv": {"codec": "wmv2", "container": "asf"},
    "irregular.mp4": {**VFR, **B_FRAMES},
    "irregular.mkv": {**VFR, **B_FRAMES},
    "irregular.webm": {**VFR, "codec": "libvpx"},
    "ten_bit.mkv": {"codec": "ffv1", "pixels": "yuv420p10le"},
    "grey.mkv": {"codec": "ffv1", "pixels": "gray"},
    "odd.webm": {"codec": "libvpx", "size": (97, 63)},
    "one.mp4": {"frames": 1},
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_random_access_equals_sequential_decoding(recorder: Any, decoded: Decoded, name: str) -> None:
    path = recorder.video(name, **RECORDINGS[name])
    truth = decoded(path)
    assert len(truth) == RECORDINGS[name].get("frames", 60)
    exact = RECORDINGS[name].get("pixels") != "yuv420p10le"  # which mien converts more accurately
    with VideoReader(path) as video:
        streamed = [frame.image for frame in video.frames()]
        assert len(streamed) == len(video) == len(truth)
        if exact:
            assert all(np.array_equal(a, b) for a, b in zip(streamed, truth, strict=True))
        order = np.random.default_rng(1).permutation(len(truth))
        for index in order:
            assert np.array_equal(video.at_indices([index])[0], streamed[index]), index
        together = video.at_indices(order)
        assert np.array_equal(together, np.stack(streamed)[order])


@pytest.mark.parametrize("name", ["irregular.mp4", "irregular.mkv", "irregular.webm"])
def test_times_are_the_files_own(recorder: Any, name: str) -> None:
    path = recorder.video(name, **RECORDINGS[name])
    with VideoReader(path) as video:
        np.testing.assert_allclose(video.times, (np.array(IRREGULAR) - IRREGULAR[0]) / 1000, atol=6e-4)


def remux(source: Path, target: Path, shift: int, muxing: dict[str, str]) -> Path:
    """Copy packets with their times moved by ``shift`` frames of 1/25 s."""
    with av.open(str(source)) as given, av.open(str(target), "w", options=muxing) as out:
        stream = given.streams.video[0]
        copy = out.add_stream_from_template(stream)
        ticks = int(shift / 25 / stream.time_base)
        for packet in given.demux(stream):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, copy
                out.mux(packet)
    return target


@pytest.mark.parametrize(("name", "hidden"), [("cut.mp4", 17), ("cut.mov", 45)])
def test_pictures_hidden_by_an_edit_list_stay_hidden(
    recorder: Any, decoded: Decoded, picture: Any, tmp_path: Path, name: str, hidden: int
) -> None:
    whole = recorder.video("whole.mp4", frames=80, gop=30, **B_FRAMES)
    path = remux(whole, tmp_path / name, -hidden, {"avoid_negative_ts": "disabled"})
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 80  # what the header says
    with VideoReader(path) as video:
        assert len(video) == 80 - hidden
        assert video.times[0] == 0.0
        images = video.at_indices(np.arange(len(video))[::-1])[::-1]
        assert np.array_equal(images, np.stack(decoded(path)))
        differences = [np.abs(images[0].astype(float) - picture(index)).mean() for index in range(80)]
        assert np.argmin(differences) == hidden


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts", "late.mpg"])
def test_a_late_start_is_time_zero(recorder: Any, decoded: Decoded, tmp_path: Path, name: str) -> None:
    codec = {"codec": "mpeg1video"} if name.endswith("mpg") else B_FRAMES
    whole = recorder.video("whole.mp4", **codec)
    path = remux(whole, tmp_path / name, 45, {})
    with VideoReader(path) as video:
        assert video.info.picture is not None
        assert video.info.picture.zero >= 45 / 25 - 1e-3
        np.testing.assert_allclose(video.times, np.arange(60) / 25, atol=1e-3)
        assert np.array_equal(video.at_indices([59, 0, 31]), np.stack(decoded(path))[[59, 0, 31]])


def test_streams_do_not_disturb_each_other(recorder: Any) -> None:
    with VideoReader(recorder.video("a.mp4", **B_FRAMES)) as video:
        truth = video.at_indices(range(60))
        one, two = video.frames(), video.frames(start=1.0)
        for index, (a, b) in enumerate(zip(one, two, strict=False)):
            assert np.array_equal(a.image, truth[index])
            assert np.array_equal(b.image, truth[index + 25])
            assert np.array_equal(video.at_indices([59 - index])[0], truth[59 - index])


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_change_nothing(recorder: Any, threads: int) -> None:
    path = recorder.video("a.mp4", **B_FRAMES)
    with VideoReader(path) as one, VideoReader(path, threads=threads) as many:
        assert all(np.array_equal(a.image, b.image) for a, b in zip(one.frames(), many.frames(), strict=True))
        assert np.array_equal(one.at_indices([33, 2, 59]), many.at_indices([33, 2, 59]))
