"""Files that others publish on a model hub: what there is (size, licence, commit), and fetching of exactly that commit.

Two places answer alike: the hub itself, and a folder that imitates it (``MIEN_HUB``), for machines without a network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import yaml

from mien.errors import MienError, UsageError

# Of a checkpoint in the hub's layout: settings, tokens, and weights in one form.
SETTINGS = ("*.json", "merges.txt")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Offer:
    """What would be fetched.

    Attributes:
        repository: ``owner/name``.
        revision: the commit; exactly this one is fetched.
        files: names and sizes in bytes.
        licence: as its owner states it; empty where nothing is stated.
    """

    repository: str
    revision: str
    files: tuple[tuple[str, int], ...]
    licence: str

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(size for _, size in self.files)

    def line(self) -> str:
        """Name, size, commit and licence in one line."""
        licence = self.licence or "none stated: all rights reserved"
        return f"{self.repository} @ {self.revision[:12]}: {self.size / 1e6:,.1f} MB, licence {licence}"


class Place(Protocol):
    """Where files are published."""

    def offer(self, repository: str, wanted: Callable[[str], bool]) -> Offer:
        """What a repository holds now of the files that are wanted."""
        ...

    def fetch(self, offer: Offer, folder: Path) -> None:
        """Put the offer's files into a folder."""
        ...


def place() -> Place:
    """The folder that ``MIEN_HUB`` names, else the hub."""
    folder = os.environ.get("MIEN_HUB")
    return HubFolder(Path(folder)) if folder else Hub()


class HubFolder:
    """``<root>/<owner>/<name>/<files>`` with a ``README.md`` whose front matter states the licence."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UsageError(f"MIEN_HUB={root} is no folder; unset it, or give a folder that imitates the hub")
        self.root = root

    def offer(self, repository: str, wanted: Callable[[str], bool]) -> Offer:
        """See ``Place.offer``; the commit is a digest of names and contents.

        Raises:
            MienError: the folder has no such repository.
        """
        folder = self.root / repository
        if not folder.is_dir():
            raise MienError(f"{repository} is not in {self.root}, which stands in for the hub")
        files = sorted(path for path in folder.iterdir() if path.is_file() and wanted(path.name))
        digest = hashlib.sha1(usedforsecurity=False)
        for path in files:
            digest.update(path.name.encode() + path.read_bytes())
        sizes = tuple((path.name, path.stat().st_size) for path in files)
        return Offer(repository, digest.hexdigest(), sizes, _licence(folder / "README.md"))

    def fetch(self, offer: Offer, folder: Path) -> None:
        """See ``Place.fetch``."""
        for name, _ in offer.files:
            shutil.copyfile(self.root / offer.repository / name, folder / name)


class Hub:
    """The Hugging Face hub; needs the extra ``mien[hub]``."""

    def __init__(self) -> None:
        try:
            self.library: Any = import_module("huggingface_hub")
        except ImportError as error:
            raise UsageError("the hub needs an extra; install it with: pip install 'mien[hub]'") from error

    def offer(self, repository: str, wanted: Callable[[str], bool]) -> Offer:
        """See ``Place.offer``.

        Raises:
            MienError: no network, or no such repository.
        """
        try:
            found = self.library.HfApi().model_info(repository, files_metadata=True)
        except Exception as error:  # the library raises its own, httpx's and the system's errors
            raise MienError(f"{repository} cannot be looked up, is there a network? ({_first_line(error)})") from error
        files = tuple(sorted((one.rfilename, int(one.size or 0)) for one in found.siblings if wanted(one.rfilename)))
        licence = getattr(found.card_data, "license", None) if found.card_data else None
        return Offer(repository, str(found.sha), files, str(licence or ""))

    def fetch(self, offer: Offer, folder: Path) -> None:
        """See ``Place.fetch``; of the commit that the offer names.

        Raises:
            MienError: the download broke off.
        """
        try:
            self.library.snapshot_download(
                offer.repository,
                revision=offer.revision,
                local_dir=str(folder),
                allow_patterns=[name for name, _ in offer.files],
            )
        except Exception as error:  # as above
            raise MienError(f"{offer.repository} cannot be downloaded ({_first_line(error)}); try again") from error


def checkpoint_offer(at: Place, repository: str) -> Offer:
    """Offer of a checkpoint in the hub's layout: settings, tokens, and safe weights where there are any."""
    offer = at.offer(repository, lambda name: name in WEIGHTS or any(fnmatchcase(name, one) for one in SETTINGS))
    names = {name for name, _ in offer.files}
    weights = next((name for name in WEIGHTS if name in names), None)
    if weights is None:
        raise MienError(f"{repository} holds no {' or '.join(WEIGHTS)}")
    kept = tuple((name, size) for name, size in offer.files if name not in WEIGHTS or name == weights)
    return Offer(offer.repository, offer.revision, kept, offer.licence)


def fetched(at: Place, offer: Offer, cache: Path) -> Path:
    """The folder with an offer's files: ``<cache>/<repository>/<revision>``; fetched only where it is not there."""
    folder = cache / offer.repository / offer.revision
    if folder.is_dir():
        return folder
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    at.fetch(offer, part)
    for name, size in offer.files:
        if not (part / name).is_file() or (size and (part / name).stat().st_size != size):
            raise MienError(f"{offer.repository}: {name} did not arrive whole; try again")
    os.replace(part, folder)
    return folder


def _licence(card: Path) -> str:
    if not card.is_file():
        return ""
    parts = card.read_text(encoding="utf-8").split("---")
    try:
        head = yaml.safe_load(parts[1]) if len(parts) > 2 else {}
    except yaml.YAMLError:
        return ""
    return str(head.get("license", "")) if isinstance(head, dict) else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
