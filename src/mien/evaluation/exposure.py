"""What the ledger of weights says about the corpus that they are judged on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.models.specification import UNKNOWN_CORPUS, Exposure

SEEN = "corpus seen in training"  # what tables call it
Level = Literal["unknown", "unseen", "corpus", "perhaps", "clips"]
# From the least to the most that weights can have seen of what they are judged on, as every table says it.
MARKS: dict[Level, str] = {
    "unknown": "not recorded",
    "unseen": "no: corpus not in the ledger",
    "corpus": "in-sample corpus, held-out clips",
    "perhaps": "in-sample corpus, perhaps these clips",
    "clips": "in-sample: these clips",
}
# The same for what is said of all stages together: one that nobody recorded is more than one that saw nothing.
RANK: tuple[Level, ...] = ("unseen", "unknown", "corpus", "perhaps", "clips")


@dataclass(frozen=True)
class Seen:
    """What weights have seen of the judged corpus.

    Attributes:
        level: the most of what any stage of training has seen; see ``MARKS``.
        stages: ``(stage, corpus, level)`` of every entry of the ledger, in its order.
    """

    level: Level
    stages: tuple[tuple[str, str, Level], ...] = ()

    @property
    def mark(self) -> str:
        """As tables say it."""
        return MARKS[self.level]

    @property
    def in_sample(self) -> bool:
        """True where the corpus is in the ledger, whichever of its clips."""
        return self.level in ("corpus", "perhaps", "clips")

    def sentences(self) -> list[str]:
        """For the notes of a result: what a reader would not expect of a held-out part."""
        said = {
            "clips": "{} has seen every clip of this manifest, the judged ones among them",
            "perhaps": "{} has seen clips of {} under another division: the judged ones may be among them",
            "unknown": "what {} has seen is not recorded: the judged clips may be among it",
        }
        return [said[level].format(stage, corpus) for stage, corpus, level in self.stages if level in said]


def what_was_seen(
    manifest: Manifest,
    protocol: Protocol,
    ledger: Iterable[Exposure],
    trained_under: Protocol | None = None,
    corpus: str = "",
    ids: Sequence[str] | None = None,
) -> Seen:
    """Compare the ledger with the judged corpus, by digest of the protocol and by name.

    Args:
        manifest: the corpus; its names are ``corpus`` or its folder's, and those in its column ``corpus``.
        protocol: under which its clips are judged.
        ledger: of the weights; empty: nothing is known, as of an entry ``UNKNOWN_CORPUS``.
        trained_under: protocol of the run that made the weights; it has been compared clip by clip.
        corpus: name of the corpus in ledgers.
        ids: the judged clips; by default the test part. Where the manifest holds several corpora and these clips are of
            another one than those that trained, their corpus was not seen.
    """
    entries = tuple(ledger)
    if not entries:
        return Seen("unknown")
    everything = Protocol(train=tuple(manifest.ids)).digest
    held_out = {protocol.digest} | ({trained_under.digest} if trained_under else set())
    names = {(corpus or manifest.root.name).casefold()}
    if manifest.has("corpus"):
        names |= {str(name).casefold() for name in manifest.column("corpus").dropna()}
    stages: list[tuple[str, str, Level]] = []
    for entry in entries:
        if entry.protocol and entry.protocol in held_out:
            foreign = _of_other_corpora(manifest, trained_under or protocol, ids or protocol.test)
            stages.append((entry.stage, entry.corpus, "unseen" if foreign else "corpus"))
        elif entry.protocol == everything:
            stages.append((entry.stage, entry.corpus, "clips"))
        elif entry.corpus.casefold() in names:
            stages.append((entry.stage, entry.corpus, "perhaps"))
        else:
            stages.append((entry.stage, entry.corpus, "unknown" if entry.corpus == UNKNOWN_CORPUS else "unseen"))
    return Seen(max((level for _, _, level in stages), key=RANK.index), tuple(stages))


def _of_other_corpora(manifest: Manifest, trained: Protocol, judged: Sequence[str]) -> bool:
    """Whether the manifest names the corpora of all clips, and training and judged ones have none in common."""
    if not manifest.has("corpus"):
        return False
    known = manifest.column("corpus").dropna().astype("str").to_dict()
    sides = [{known.get(id_) for id_ in ids} for ids in ((*trained.train, *trained.validation), judged)]
    return all(sides) and None not in sides[0] | sides[1] and not sides[0] & sides[1]
