"""Only regular files in known, self-contained formats are opened; each refusal is one line with the remedy."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import av
import pytest

from mien.errors import MienError
from mien.media import Limits, VideoReader, probe, read_sound


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """The address of a local web server and the list of what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()
    http.server_close()


def refusal(path: str | Path) -> str:
    """The line with which every way of reading refuses ``path``."""
    lines = set()
    for read in (probe, VideoReader, read_sound):
        with pytest.raises(MienError) as error:
            read(path)
        lines.add(str(error.value))
    assert len(lines) == 1
    line = lines.pop()
    assert "\n" not in line
    assert line.startswith(str(path))
    return line


def test_missing(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.mp4")


def test_folder(tmp_path: Path) -> None:
    assert "is a folder; give one recording" in refusal(tmp_path)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("text", ["hello\n" * 100, "\x00" * 5000, "x"])
def test_another_kind_of_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.mp4").write_text(text)
    assert "is no readable video or sound" in refusal(tmp_path / "a.mp4")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_device() -> None:
    assert "is not a regular file" in refusal("/dev/zero")


def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "is not a regular file" in refusal(tmp_path / "pipe.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(recorder: Any) -> None:
    path = recorder.video("a.mp4", frames=2)
    path.chmod(0)
    assert "permission denied" in refusal(path)


def test_addresses_are_not_opened(server: tuple[str, list[str]]) -> None:
    address, asked = server
    assert "mien reads files only; save it as a file first" in refusal(f"{address}/a.mp4")
    assert asked == []


@pytest.mark.parametrize("form", ["file:{}", "concat:{}|{}", "subfile,,start,0,end,0,,:{}", "cache:{}"])
def test_protocols_are_names_like_any_other(recorder: Any, form: str) -> None:
    path = recorder.video("a.ts", frames=2)
    assert "no such file" in refusal(form.format(path, path))


@pytest.mark.parametrize("name", ["concat:a.mp4", "http:a.mp4", "%03d.mp4", "-i.mp4"])
def test_odd_names_of_real_files_are_read(recorder: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shutil.copy(recorder.video("plain.mp4", frames=5), recorder.folder / name)
    monkeypatch.chdir(recorder.folder)
    info = probe(name).picture
    assert info is not None
    assert info.frames == 5


def playlists(address: str) -> dict[str, str]:
    """Text files that name other media."""
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n"
    return {
        "local.m3u8": f"{head}real.ts\n#EXT-X-ENDLIST\n",
        "remote.m3u8": f"{head}{address}/a.ts\n#EXT-X-ENDLIST\n",
        "renamed.mp4": f"{head}real.ts\n#EXT-X-ENDLIST\n",
        "list.txt": "ffconcat version 1.0\nfile real.ts\n",
        "list.mp4": "ffconcat version 1.0\nfile real.ts\n",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "manifest.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet mimeType="video/mp4">'
        f'<Representation id="1" bandwidth="1"><BaseURL>{address}/a.mp4</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>",
    }


def test_files_that_name_other_files_are_not_followed(recorder: Any, server: tuple[str, list[str]]) -> None:
    address, asked = server
    recorder.video("real.ts")
    followed = 0
    for name, text in playlists(address).items():
        (recorder.folder / name).write_text(text)
        assert "is no readable video or sound" in refusal(recorder.folder / name)
        if "remote" not in name and "mpd" not in name:
            try:
                av.open(str(recorder.folder / name)).close()
                followed += 1
            except av.FFmpegError:
                pass
    assert followed >= 2  # FFmpeg by itself would have followed these
    assert asked == []


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        (Limits(bytes=100), r"bytes, over the limit of 100; see Limits\(bytes=\.\.\.\)"),
        (Limits(duration=1.0), r"2\.4 seconds, over the limit of 1; see Limits\(duration"),
        (Limits(frames=10), r"11 frames, over the limit of 10; see Limits\(frames"),
        (Limits(pixels=1000), r"6,144 pixels per frame, over the limit of 1,000; see Limits\(pixels"),
        (Limits(seconds=0.0), r"see Limits\(seconds"),
    ],
)
def test_limits(recorder: Any, limits: Limits, line: str) -> None:
    path = recorder.video("a.mkv")
    for read in (probe, VideoReader):
        with pytest.raises(MienError, match=line):
            read(path, limits=limits)


def test_limits_of_sound(recorder: Any) -> None:
    path = recorder.sound("a.wav", codec="pcm_s16le", pictures_at=None)
    with pytest.raises(MienError, match=r"over the limit of 2; see Limits\(duration"):
        read_sound(path, limits=Limits(duration=2.0))
    with pytest.raises(MienError, match=r"see Limits\(bytes"):
        read_sound(path, limits=Limits(bytes=10))


def test_time_between_frames_does_not_count(recorder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow consumer is not the reader's work: a clock that jumps between frames trips no limit."""
    import mien.media.limits as module

    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with VideoReader(recorder.video("a.mp4"), limits=Limits(seconds=5.0)) as video:
        for _ in video.frames():
            now[0] += 100.0
