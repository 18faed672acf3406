"""The table of this machine: what works here works there, and what is missing is said with its remedy."""

from __future__ import annotations

import json
import sys

import pytest

from mien.cli.app import run
from mien.diagnosis import installation, speed


def test_this_machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(speed, "SECONDS", 0.0)
    monkeypatch.setattr(speed, "MODEL", "videomae_test")
    monkeypatch.setattr(speed.measure_speed, "__defaults__", ("videomae_test",))
    monkeypatch.setattr(sys, "argv", ["mien", "doctor", "--json"])
    code = run()
    told = json.loads(capsys.readouterr().out)
    checks = {(one["group"], one["name"]): one for one in told["checks"]}
    assert {group for group, _ in checks} == {"versions", "codecs", "devices", "extras", "speed"}
    broken = [name for name, one in checks.items() if one["state"] == "broken"]
    assert (code, told["broken"]) == ((4, len(broken)) if broken else (0, 0))
    assert all(checks["speed", name]["state"] == "ok" for name in ("write video", "decode", "find faces", "model step"))
    assert "with 2.0 faces" in checks["speed", "find faces"]["value"]


def test_a_codec_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(installation.DECODERS, "no_such_codec", "nothing")
    monkeypatch.setitem(installation.ENCODERS, "libx264_gone", "clips")
    monkeypatch.setattr(installation, "NEEDED", installation.NEEDED | {"libx264_gone"})
    checks = {one.name: one for one in installation.check_installation()}
    assert (checks["no_such_codec"].state, checks["no_such_codec"].value) == ("absent", "does not decode nothing")
    assert (checks["libx264_gone"].state, checks["h264"].state) == ("broken", "ok")


def test_a_measurement_that_fails_is_a_line() -> None:
    def fails() -> str:
        raise OSError("no space left")

    check = installation.attempt("speed", "write video", fails)
    assert (check.state, check.value) == ("broken", "OSError: no space left")
