"""Public corpora of faces and emotion, one file each: layout, labels, folds, counts, and how a copy is read."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from mien.data.corpora.contract import Choice, Corpus, Counts, Finding, Label, Scan
from mien.errors import UsageError, nearest

__all__ = ["Choice", "Corpus", "Counts", "Finding", "Label", "Scan", "corpora", "get_corpus"]

_MODULES = (
    "dfew", "ferv39k", "mafw", "crema_d", "ravdess", "enterface05", "voxceleb2", "lrs3", "sewa", "recola", "msp_face",
    "hume_reaction", "werewolf_xl", "avcaffe", "first_impressions", "class_folders", "frame_folders",
)  # fmt: skip


@cache
def corpora() -> dict[str, Corpus]:
    """All corpora by name."""
    modules = (import_module(f"mien.data.corpora.{name}") for name in _MODULES)
    found: list[Corpus] = [module.CORPUS for module in modules]
    return {corpus.name: corpus for corpus in found}


def get_corpus(name: str) -> Corpus:
    """A corpus by name; raises ``UsageError`` with the nearest name."""
    known = corpora()
    wanted = name.strip().lower().replace("_", "-")
    if wanted not in known:
        raise UsageError(f"no corpus {name!r}; {nearest(wanted, known)}")
    return known[wanted]
