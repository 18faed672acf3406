"""Published ViPER by name (``viper-va``): what it takes to run it, obtained once as a bundle with its extractors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mien.checkpoints.bundle import load, save
from mien.checkpoints.conversion import Settings, convert
from mien.checkpoints.convert.viper import SHA256
from mien.checkpoints.offers import Offer, Place, checkpoint_offer, fetched
from mien.errors import MienError, UsageError
from mien.files import sha256
from mien.models.specification import Specification

OWNER = "VaianiLorenzo"
EPOCHS = {"v": 6, "va": 6, "vf": 6, "vt": 12, "vat": 8, "vaf": 4, "vtf": 4, "vatf": 7}  # in the files' names
STREAMS = {"v": "visual", "a": "audio", "t": "text", "f": "fau"}
IN21K, AGE = "google/vit-base-patch16-224-in21k", "nateraw/vit-age-classifier"
SOURCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "audio": ("wavlm", ("microsoft/wavlm-base-plus-sv",)),
    "text": ("clip", ("openai/clip-vit-base-patch32", "FacebookAI/roberta-base")),
    "fau": ("pyfeat", ()),
}


def is_published(name: str) -> bool:
    """Whether a published model is meant: ``viper-va`` and its like, where no folder has that name."""
    return name.startswith("viper-") and name.removeprefix("viper-") in EPOCHS and not Path(name).exists()


def cache_folder() -> Path:
    """Where downloads and converted bundles are kept: ``MIEN_CACHE``, else ``~/.cache/mien``."""
    given = os.environ.get("MIEN_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mien"


@dataclass(frozen=True)
class Plan:
    """What a published model needs.

    Attributes:
        name: for example ``viper-va``.
        weights: its own file.
        sources: stream → kind of extractor and the checkpoints that it loads.
    """

    name: str
    weights: Offer
    sources: Mapping[str, tuple[str, tuple[Offer, ...]]]

    @property
    def offers(self) -> list[Offer]:
        """All downloads."""
        return [self.weights, *(offer for _, offers in self.sources.values() for offer in offers)]

    def explain(self) -> str:
        """What would be downloaded: names, sizes, licences, and what differs from how the authors ran it."""
        lines = [f"{self.name} is not on this machine. To run it, mien would download:"]
        lines += [f"  {offer.line()}" for offer in self.offers]
        lines.append(f"in all {sum(offer.size for offer in self.offers) / 1e6:,.1f} MB, into {cache_folder()}")
        if "text" in self.sources:
            lines.append("The authors' fine-tuned CLIP is not public: the text stream comes from the general one.")
        if "fau" in self.sources:
            lines.append("Action units need the library py-feat (pip install py-feat), which downloads its own models.")
        return "\n".join(lines)


def local_bundle(name: str) -> Path | None:
    """The bundle of a published model that was obtained before."""
    folder = cache_folder() / "published" / name
    return folder if (folder / "config.json").is_file() else None


def plan(name: str, at: Place) -> Plan:
    """Look up what a published model needs; ``MienError`` in one line where the hub cannot be reached."""
    letters = name.removeprefix("viper-")
    if letters not in EPOCHS:
        raise UsageError(f"{name!r} is no published ViPER; there are {', '.join(f'viper-{key}' for key in EPOCHS)}")
    file = f"perceiver_{EPOCHS[letters]}.model"
    weights = at.offer(f"{OWNER}/ViPER-{letters.upper()}", lambda found: found == file)
    if not weights.files:
        raise MienError(f"{weights.repository} does not hold {file} any more")
    sources = {}
    for letter in letters:
        stream = STREAMS[letter]
        kind, repositories = SOURCES.get(stream, ("vit", (AGE if letters == "vatf" else IN21K,)))
        sources[stream] = (kind, tuple(checkpoint_offer(at, one) for one in repositories))
    return Plan(name, weights, sources)


def obtain(plan: Plan, at: Place) -> Path:
    """Download, verify and convert; returns the bundle, whose Specification names the extractors' folders."""
    cache = cache_folder()
    file = fetched(at, plan.weights, cache / "hub") / plan.weights.files[0][0]
    _verify(plan.name.removeprefix("viper-").upper(), file)
    found = {}
    for stream, (kind, offers) in plan.sources.items():
        folders = "+".join(str(fetched(at, offer, cache / "hub")) for offer in offers)
        revisions = "+".join(f"{offer.repository}@{offer.revision}" for offer in offers)
        found[stream] = {"extractor": f"{kind}:{folders}" if folders else kind, "revision": revisions}
    bundle = cache / "published" / plan.name
    convert("viper", file, bundle, Settings(licence=plan.weights.licence))
    loaded = load(bundle)
    save(loaded.model, _told(loaded.specification, found), bundle)
    return bundle


def _told(specification: Specification, found: Mapping[str, Mapping[str, str]]) -> Specification:
    """The Specification with every stream's extractor and the commits that it was fetched at."""
    streams = tuple(stream.model_copy(update=found.get(stream.name, {})) for stream in specification.inputs.streams)
    return specification.model_copy(update={"inputs": specification.inputs.model_copy(update={"streams": streams})})


def _verify(letters: str, file: Path) -> None:
    """The digest where the published one is known; a folder that imitates the hub has files of its own."""
    if letters not in SHA256 or os.environ.get("MIEN_HUB"):
        return
    digest = sha256(file)
    if digest != SHA256[letters]:
        raise MienError(f"{file} is not the published file: sha256 {digest}, expected {SHA256[letters]}; remove it")
