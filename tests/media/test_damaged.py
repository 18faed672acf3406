"""What can be read of a broken file is read; what cannot is one clear line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import MienError
from mien.media import VideoReader, read_sound

Decoded = Callable[[Path], list[NDArray[np.uint8]]]

STREAMS: dict[str, dict[str, Any]] = {
    "a.mkv": {"options": {"bf": "3"}, "gop": 25},
    "a.webm": {"codec": "libvpx"},
    "a.ts": {"options": {"bf": "3"}, "gop": 25},
    "a.mpg": {"codec": "mpeg1video", "container": "mpeg", "options": {"bf": "2"}},
    "fragmented.mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "table_first.mp4": {"options": {"bf": "3"}, "muxing": {"movflags": "+faststart"}},
}


def truncate(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


@pytest.mark.parametrize("share", [0.4, 0.55, 0.9, 0.995])
@pytest.mark.parametrize("name", STREAMS)
def test_a_truncated_file_is_read_up_to_its_end(recorder: Any, decoded: Decoded, name: str, share: float) -> None:
    whole = decoded(recorder.video(name, **STREAMS[name]))
    path = truncate(recorder.folder / name, share)
    with VideoReader(path) as video:
        assert len(decoded(path)) - 3 <= len(video) <= len(whole)
        streamed = list(video.frames())
        assert [frame.index for frame in streamed] == list(range(len(video)))
        images = video.at_indices(np.arange(len(video))[::-1])[::-1]
        assert all(np.array_equal(frame.image, image) for frame, image in zip(streamed, images, strict=True))
        known = round(25 * video.times[-1]) + 1  # a missing reference may leave a hole near the end
        matching = sum(np.array_equal(f.image, whole[round(25 * f.time)]) for f in streamed)
        assert matching >= known - 3


def test_a_file_whose_table_is_cut_off_is_refused(recorder: Any) -> None:
    path = truncate(recorder.video("a.mp4"), 0.9)
    with pytest.raises(MienError, match=r"a\.mp4: is no readable video or sound: another kind of file, cut off"):
        VideoReader(path)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("seed", range(4))
def test_bytes_changed_anywhere_never_break_the_reader(recorder: Any, name: str, seed: int) -> None:
    path = recorder.video(name, **STREAMS[name])
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(data), 4):
        data[at : at + rng.choice([1, 4, 100, 1500])] ^= 0x5A
    path.write_bytes(data.tobytes())
    try:
        video = VideoReader(path)
    except MienError as error:
        line = str(error)
        assert "\n" not in line
        return
    seen = [frame.index for frame in video.frames()]
    assert seen == sorted(set(seen))
    assert set(seen) <= set(range(len(video)))
    for index in rng.integers(0, len(video), 8):
        try:
            assert video.at_indices([index]).shape == (1, 64, 96, 3)
        except MienError as error:
            assert "does not decode; the file is damaged there" in str(error)  # noqa: PT017
    video.close()


def test_a_damaged_stretch_is_passed_over_or_refused(recorder: Any, decoded: Decoded) -> None:
    path = recorder.video("a.mkv", gop=10, options={"bf": "0"})
    with VideoReader(path) as video:
        truth = video.at_indices(range(60))
    data = path.read_bytes()
    # Find the packets by their bytes, and destroy the one of picture 20 (an entry point) up to picture 30.
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    broken = list(range(20, 30))
    for index in broken:
        at = data.index(packets[index])
        data = data[: at + 8] + b"\xff" * (len(packets[index]) - 8) + data[at + len(packets[index]) :]
    path.write_bytes(data)
    with VideoReader(path) as video:
        seen = {frame.index: frame.image for frame in video.frames()}
        assert set(range(60)) - set(broken) <= set(seen)
        assert all(np.array_equal(seen[index], truth[index]) for index in seen if index not in broken)
        missing = next(index for index in broken if index not in seen)
        with pytest.raises(MienError, match=f"frame {missing} .* does not decode"):
            video.at_indices([missing])
        assert np.array_equal(video.at_indices([35])[0], truth[35])


def test_sound_of_a_truncated_file(recorder: Any) -> None:
    path = recorder.sound("a.mkv", codec="flac")
    whole = read_sound(path, 44100)
    assert whole is not None
    cut = read_sound(truncate(path, 0.5), 44100)
    assert cut is not None
    assert 0.3 * len(whole.samples) < len(cut.samples) < 0.8 * len(whole.samples)
    assert np.array_equal(cut.samples, whole.samples[: len(cut.samples)])


def test_sound_with_a_damaged_stretch_keeps_its_clock(recorder: Any) -> None:
    path = recorder.sound("a.ts", codec="mp2", pictures_at=None)
    whole = read_sound(path, 44100)
    data = bytearray(path.read_bytes())
    middle = len(data) // 376 * 188
    data[middle : middle + 40 * 188] = b"\x00" * (40 * 188)
    path.write_bytes(bytes(data))
    broken = read_sound(path, 44100)
    assert whole is not None
    assert broken is not None
    assert len(broken.samples) == len(whole.samples)
    assert np.array_equal(broken.samples[:50000], whole.samples[:50000])
    assert np.count_nonzero(broken.samples[60000:90000] == 0) > 5000
    assert np.array_equal(broken.samples[-30000:], whole.samples[-30000:])
