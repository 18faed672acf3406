"""Public corpora of faces and emotion, one file each: layout, labels, folds, counts, and how a copy is read."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from mien.data.corpora.contract import Choice, Corpus, Counts, Finding, Label, Scan
from mien.errors import UsageError, nearest
from mien.plugins import enter, load_plugins

__all__ = ["Choice", "Corpus", "Counts", "Finding", "Label", "Scan", "corpora", "get_corpus", "register_corpus"]

_MODULES = (
    "dfew", "ferv39k", "mafw", "crema_d", "ravdess", "enterface05", "voxceleb2", "lrs3", "sewa", "recola", "msp_face",
    "hume_reaction", "werewolf_xl", "avcaffe", "first_impressions", "class_folders", "frame_folders",
)  # fmt: skip


_others: dict[str, Corpus] = {}


def corpora() -> dict[str, Corpus]:
    """All corpora by name."""
    load_plugins()
    return _own() | _others


@cache
def _own() -> dict[str, Corpus]:
    modules = (import_module(f"mien.data.corpora.{name}") for name in _MODULES)
    found: list[Corpus] = [module.CORPUS for module in modules]
    return {corpus.name: corpus for corpus in found}


def register_corpus(corpus: Corpus) -> Corpus:
    """Register a corpus under its name; ``mien.plugins`` says how corpora of other packages are found.

    Raises:
        UsageError: another corpus has the name, or it is not written as names of corpora are (``my-corpus``).
    """
    if corpus.name != _spelled(corpus.name):
        raise UsageError(f"corpus {corpus.name!r}: names of corpora are written like {_spelled(corpus.name)!r}")
    if corpus.name in _own():
        raise UsageError(f"corpus {corpus.name!r} is registered already; choose another name")
    enter(_others, corpus.name, corpus, "corpus", corpus.look)
    return corpus


def _spelled(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def get_corpus(name: str) -> Corpus:
    """A corpus by name; raises ``UsageError`` with the nearest name."""
    known = corpora()
    wanted = _spelled(name)
    if wanted not in known:
        raise UsageError(f"no corpus {name!r}; {nearest(wanted, known)}")
    return known[wanted]
