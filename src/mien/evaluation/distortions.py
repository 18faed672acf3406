"""Modalities missing on purpose: what a model is shown in place of what it should not have.

``absent`` takes a modality away and says so, as in prediction. ``zeros``, ``noise`` and ``addnoise`` are those of
Chumachenko, Iosifidis and Gabbouj (arXiv 2201.11095): the model is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from mien.data.modalities import modalities_of, take_out
from mien.errors import UsageError, nearest

Distortion = Literal["absent", "zeros", "noise", "addnoise"]
DISTORTIONS: tuple[Distortion, ...] = ("absent", "zeros", "noise", "addnoise")


def keep_only(
    batch: Mapping[str, Tensor], keep: str, distortion: Distortion | None, generator: torch.Generator
) -> dict[str, Tensor]:
    """The batch with everything but one modality distorted.

    ``noise`` puts standard normal numbers in the place of the values; ``addnoise`` adds ``mean + std * noise`` with
    both moments over the whole tensor of the batch (std with n - 1), so it depends on which clips stand together.

    Args:
        batch: of the loader.
        keep: the modality that stays as it is, or ``both``.
        distortion: what happens to the others; None leaves them.
        generator: on the CPU, where noise comes from.
    """
    names = modalities_of(batch)
    if keep != "both" and keep not in names:
        raise UsageError(f"the model has no modality {keep!r}; it takes {', '.join(names)}")
    if keep == "both" or distortion is None:
        return dict(batch)
    if distortion not in DISTORTIONS:
        raise UsageError(f"distortion {distortion!r} is not known; {nearest(distortion, DISTORTIONS)}")
    changed = dict(batch)
    for name in names:
        if name == keep:
            continue
        values = batch[name]
        if distortion in ("absent", "zeros"):
            everyone = torch.ones(len(values), dtype=torch.bool)
            changed = take_out(changed, name, everyone, marked=distortion == "absent")
            continue
        noise = torch.randn(values.shape, generator=generator).to(values)
        changed[name] = noise if distortion == "noise" else values + (values.mean() + values.std() * noise)
    return changed
