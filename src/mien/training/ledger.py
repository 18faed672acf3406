"""What a run adds to the ledger of its weights: the corpora whose clips it trained on."""

from __future__ import annotations

from pathlib import Path

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.models.specification import Exposure
from mien.training.schema import Recipe


def exposures(recipe: Recipe, manifest: Manifest, protocol: Protocol) -> tuple[Exposure, ...]:
    """One entry for each corpus of the training clips, the largest first.

    The manifest's column ``corpus`` names them, since a joined manifest has several and is never judged under its own
    name; clips without such a name are of ``data.corpus``, else of the manifest's folder.
    """
    rest = recipe.data.corpus or Path(recipe.data.manifest).absolute().parent.name
    if manifest.has("corpus"):
        named = manifest.column("corpus", protocol.train).astype("str").where(lambda names: names.notna(), rest)
        clips = {str(name): int(count) for name, count in named.value_counts().items()}
    else:
        clips = {rest: len(protocol.train)}
    return tuple(
        Exposure(corpus=name, stage=recipe.stage, protocol=protocol.digest, clips=count)
        for name, count in clips.items()
    )
