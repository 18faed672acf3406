"""Bundles on a model hub. Nothing here runs unless a hub id is given; needs the extra ``mien[hub]``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mien.checkpoints.files import CARD, CONFIG, WEIGHTS, find_bundle
from mien.errors import MienError, UsageError
from mien.files import check_writable

_ID = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")


def is_hub_id(source: str) -> bool:
    """Whether ``owner/name[@revision]`` is meant: it looks so, and nothing local has that name or its first part."""
    return bool(_ID.fullmatch(source)) and not Path(source).exists() and not Path(source.split("/")[0]).exists()


def pull(hub_id: str, folder: Path | str | None = None) -> Path:
    """Download a bundle: into ``folder``, or into the hub's cache. Only the three files of a bundle are fetched.

    Raises:
        UsageError: no hub id, the extra is not installed, or the repository is no bundle.
        MienError: the hub cannot be reached, has no such repository, or the bundle lacks a file.
    """
    match = _ID.fullmatch(hub_id)
    if match is None:
        raise UsageError(f"{hub_id!r} is no hub id; write owner/name or owner/name@revision")
    hub = _library()
    if folder is not None:
        check_writable(folder)
    try:
        local = hub.snapshot_download(
            match["repo"],
            revision=match["revision"],
            local_dir=None if folder is None else str(folder),
            allow_patterns=[CONFIG, WEIGHTS, CARD],
        )
    except Exception as error:  # the library raises its own, httpx's and the system's errors
        raise MienError(f"{hub_id} cannot be fetched from the hub: {_first_line(error)}") from error
    return find_bundle(Path(local))


def push(folder: Path | str, repository: str, private: bool = True, message: str = "Upload a mien bundle") -> str:
    """Upload a bundle to ``owner/name``, which is made if need be; returns the address of the commit.

    Raises:
        UsageError: no hub id, the extra is not installed, or the folder is no bundle.
        MienError: the bundle lacks a file, or the hub refuses.
    """
    match = _ID.fullmatch(repository)
    if match is None or match["revision"]:
        raise UsageError(f"{repository!r} is no repository of a hub; write owner/name")
    bundle = find_bundle(Path(folder))
    api = _library().HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=str(bundle),
            allow_patterns=[CONFIG, WEIGHTS, CARD],
            commit_message=message,
        )
    except Exception as error:  # as above
        raise MienError(f"{repository} cannot be pushed to the hub: {_first_line(error)}") from error
    return str(commit)


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UsageError("the hub needs an extra; install it with: pip install 'mien[hub]'") from error
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
