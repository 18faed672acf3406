"""The hub: asked only when an id is given; its library stands in here, since tests do not go out."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mien.checkpoints import hub
from mien.checkpoints.bundle import load, save
from mien.errors import MienError, UsageError
from mien.models import Recogniser
from mien.models.specification import Specification


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the hub's library was asked for; downloads give ``tmp_path/remote``."""
    seen: dict[str, Any] = {}

    def download(repository: str, **options: Any) -> str:
        seen["download"] = (repository, options)
        return str(tmp_path / "remote")

    api = SimpleNamespace(
        create_repo=lambda repository, **options: seen.update(create=(repository, options)),
        upload_folder=lambda **options: seen.update(upload=options) or "https://hub/commit/1",
    )
    library = SimpleNamespace(snapshot_download=download, HfApi=lambda: api)
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    return seen


def test_an_id_is_fetched_and_loaded(
    tmp_path: Path, calls: dict[str, Any], model: Recogniser, specification: Specification
) -> None:
    save(model, specification, tmp_path / "remote")
    bundle = load("someone/model@v2")
    assert bundle.specification == specification
    repository, options = calls["download"]
    assert (repository, options["revision"]) == ("someone/model", "v2")
    assert set(options["allow_patterns"]) == {"config.json", "model.safetensors", "README.md"}


def test_paths_never_reach_the_network(tmp_path: Path, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for path in ("runs/typo", "./someone/model", "a/b/c", "model", str(tmp_path / "x")):
        assert not hub.is_hub_id(path)
        with pytest.raises(MienError, match="does not exist"):
            load(path)
    assert not calls


def test_push_makes_a_private_repository_with_the_bundle_alone(
    tmp_path: Path, calls: dict[str, Any], model: Recogniser, specification: Specification
) -> None:
    save(model, specification, tmp_path / "bundle")
    assert hub.push(tmp_path / "bundle", "me/model") == "https://hub/commit/1"
    assert calls["create"] == ("me/model", {"private": True, "exist_ok": True})
    assert calls["upload"]["folder_path"] == str(tmp_path / "bundle")
    with pytest.raises(UsageError, match="write owner/name"):
        hub.push(tmp_path / "bundle", "model")
    with pytest.raises(MienError, match="does not exist"):
        hub.push(tmp_path / "nothing", "me/model")


def test_what_the_hub_says_comes_out_as_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("401 Client Error.\n\nRepository not found: see the docs")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=fail))
    with pytest.raises(MienError, match=r"^someone/model cannot be fetched from the hub: 401 Client Error\.$"):
        hub.pull("someone/model")


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'mien\[hub\]'"):
        hub.pull("someone/model")
