"""Check a bundle from end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mien.checkpoints.bundle import Bundle, load, locate
from mien.checkpoints.files import config_digest_matches
from mien.errors import MienError, UsageError
from mien.models import Recogniser
from mien.models.specification import Inputs


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, whether it holds, and what was found."""

    name: str
    ok: bool
    found: str


def verify(source: Path | str) -> list[Check]:
    """Checks of a bundle: it loads strictly, config and weights belong together, weights are finite, it runs.

    Raises:
        UsageError: there is no bundle to be checked.
    """
    try:
        folder = locate(source)
    except UsageError:
        raise
    except MienError as error:
        return [Check("loads", False, str(error))]
    try:
        bundle = load(folder)
    except MienError as error:
        return [Check("loads", False, str(error))]
    count = sum(parameter.numel() for parameter in bundle.model.parameters())
    checks: tuple[Callable[[Bundle], Check], ...] = (_belongs_together, _finite, _runs)
    return [Check("loads", True, f"{bundle.specification.model}, {count:,} parameters"), *(c(bundle) for c in checks)]


def _belongs_together(bundle: Bundle) -> Check:
    matches = config_digest_matches(bundle.folder)
    found = {None: "the weights do not say which config.json they were saved with", True: "config.json is unchanged"}
    return Check(
        "config and weights belong together",
        matches is not False,
        found.get(matches, "config.json was changed after the weights were saved"),
    )


def _finite(bundle: Bundle) -> Check:
    broken = [name for name, tensor in bundle.model.state_dict().items() if not bool(torch.isfinite(tensor).all())]
    return Check("weights are finite", not broken, f"NaN or infinite: {', '.join(broken[:3])}" if broken else "all are")


def _blank(inputs: Inputs) -> dict[str, Tensor]:
    """A clip of zeros: picture and streams; models take any subset of their modalities, so sound can be left out."""
    blank = {stream.name: torch.zeros(1, stream.steps or 16, stream.width) for stream in inputs.streams}
    if (video := inputs.video) is not None:
        channels = 1 if video.channels == "grey" else 3
        blank["video"] = torch.zeros(1, channels, video.frames or 16, video.size, video.size)
    return blank


@torch.inference_mode()
def _runs(bundle: Bundle) -> Check:
    inputs = _blank(bundle.specification.inputs)
    if not inputs:
        return Check("runs on a blank clip", True, "not tried: the model takes sound alone")
    if isinstance(bundle.model, Recogniser):
        output: Tensor = bundle.model(inputs)
    else:
        output = bundle.model.forward_features(inputs).pooled
    ok = bool(torch.isfinite(output).all())
    return Check("runs on a blank clip", ok, f"output {tuple(output.shape)}, {'finite' if ok else 'not finite'}")
