"""From pretraining to fine-tuning: carry an encoder's weights over and say what was and was not carried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mien.checkpoints.bundle import locate
from mien.checkpoints.files import read_specification, read_weights
from mien.checkpoints.strict import brief
from mien.errors import MienError, UsageError
from mien.models.contract import Encoder


@dataclass(frozen=True)
class HandOver:
    """What happened to every tensor, by sorted names.

    Attributes:
        carried: from the source into the encoder (the encoder's names).
        dropped: in the source but not used (the source's names).
        new: in the encoder but started anew (the encoder's names).
    """

    carried: tuple[str, ...]
    dropped: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.carried)} tensors carried, {len(self.dropped)} dropped, {len(self.new)} new"


def hand_over(source: Mapping[str, Tensor], encoder: Encoder, pretrained: bool = True) -> HandOver:
    """Carry weights into ``encoder``.

    Args:
        source: state of an encoder, or of a pretext or recogniser (then its ``encoder.*`` counts, the rest is dropped).
        encoder: gets the weights; where it adds a branch to another encoder (``Encoder.core``), the source may be
            that one's, and the branch starts anew.
        pretrained: the source was pretrained without labels: parameters under ``encoder.fresh`` keep their start
            values, as published hand-overs do.

    Raises:
        MienError: a tensor that should be carried is missing in the source, unknown to the encoder, or of another
            shape. Nothing is skipped silently.
    """
    own = encoder.state_dict()
    inner, _ = encoder.core()
    branch = {name.split(".")[0] for name in own if not name.startswith(inner)}
    if inner and not any(name.removeprefix("encoder.").split(".")[0] in branch for name in source):
        return _into_core(source, encoder, pretrained)
    wrapped = any(name.removeprefix("encoder.") in own for name in source if name.startswith("encoder."))
    prefix = "encoder." if wrapped else ""
    given = {name.removeprefix(prefix): value for name, value in source.items() if name.startswith(prefix)}
    fresh = {name for name in own.keys() | given.keys() if pretrained and name.startswith(encoder.fresh)}
    wanted, offered = own.keys() - fresh, given.keys() - fresh
    if wanted != offered:
        lacking, strange = wanted - offered, offered - wanted
        raise MienError(
            f"these weights are of another model: missing {brief(lacking) or 'nothing'}, "
            f"unknown {brief(strange) or 'nothing'}; build the encoder with the arguments of the pretraining"
        )
    for name in sorted(wanted):
        if own[name].shape != given[name].shape:
            raise MienError(
                f"{name} is {tuple(given[name].shape)} in the weights but {tuple(own[name].shape)} in the model; "
                "build the encoder with the arguments of the pretraining"
            )
    encoder.load_state_dict({name: given[name] for name in wanted}, strict=False)
    outside = {name for name in source if not name.startswith(prefix)}
    dropped = outside | {prefix + name for name in given.keys() & fresh}
    return HandOver(tuple(sorted(wanted)), tuple(sorted(dropped)), tuple(sorted(own.keys() & fresh)))


def _into_core(source: Mapping[str, Tensor], encoder: Encoder, pretrained: bool) -> HandOver:
    """Hand over to the encoder inside ``encoder``; names of the result are those of ``encoder``."""
    prefix, core = encoder.core()
    done = hand_over(source, core, pretrained)
    branch = {name for name in encoder.state_dict() if not name.startswith(prefix)}
    carried, new = ({prefix + name for name in names} for names in (done.carried, done.new))
    return HandOver(tuple(sorted(carried)), done.dropped, tuple(sorted(new | branch)))


def _into_part(source: Mapping[str, Tensor], encoder: Encoder, modality: str, pretrained: bool) -> HandOver:
    """Hand over to the part of one modality; names of the result are those of ``encoder``."""
    part, whole = encoder.parts()[modality], encoder.state_dict(keep_vars=True)
    done = hand_over(source, part, pretrained)
    names = {id(tensor): name for name, tensor in whole.items()}
    here = {name: names[id(tensor)] for name, tensor in part.state_dict(keep_vars=True).items()}
    carried = {here[name] for name in done.carried}
    return HandOver(tuple(sorted(carried)), done.dropped, tuple(sorted(whole.keys() - carried)))


def initialise_from(source: Path | str, encoder: Encoder, modality: str | None = None) -> HandOver:
    """Start an encoder from a bundle or run (folder or hub id); a bundle without a task counts as pretrained.

    Args:
        source: a model of the same kind, or one that ``encoder`` holds as a part.
        encoder: gets the weights.
        modality: which of ``encoder.parts()`` is meant, where they are several; None: all of ``encoder``, or its core.

    Raises:
        UsageError: there is no such part, or the source does not take that modality.
        MienError: the weights do not fit.
    """
    folder = locate(source)
    specification = read_specification(folder)
    weights, pretrained = read_weights(folder), specification.task is None
    if modality is None:
        return hand_over(weights, encoder, pretrained)
    if modality not in encoder.parts():
        known = ", ".join(encoder.parts()) or "none; give the source of the whole model"
        raise UsageError(f"this model has no part {modality!r} that starts on its own; its parts: {known}")
    taken = [name for name in ("video", "sound") if getattr(specification.inputs, name) is not None]
    if taken != [modality]:
        raise UsageError(f"{source} takes {' and '.join(taken) or 'streams'}; it cannot start the part for {modality}")
    return _into_part(weights, encoder, modality, pretrained)
