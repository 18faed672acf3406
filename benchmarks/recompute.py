"""What computing activations anew saves and costs (``hardware.recompute``), against the same step without it.

    python benchmarks/recompute.py [--models svfap_base] [--device cuda --batch 32] [--precision bf16] [--json FILE]

Whole training steps (forward, loss, backward, AdamW) on random clips of 16 x 160 x 160, with and without in turns in
one process. Printed as ratios of with to without: what the forward pass needs up to the loss, most of which waits for
the backward pass; the peak of a whole step; both beyond what lies in memory before it (resident memory on a processor);
and the median time of a step. The losses must be the same bits.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.models.device import device_named
from mien.nn.recompute import recompute
from train_step import Trainer, peak_of, seconds_of

MODELS = ("videomae_base", "svfap_base", "maedfer_base")
STAGES = ("pretraining", "fine-tuning")


def forward(trainer: Trainer) -> Tensor:
    """Up to the loss, with all that waits for the backward pass."""
    with trainer.autocast():
        return trainer.loss_of()


def measure(trainer: Trainer, steps: int) -> dict[str, Any]:
    """Peaks in MiB and median seconds, each without and with, and their ratios."""
    found: dict[str, list[float]] = {"forward_mib": [], "step_mib": [], "seconds": []}
    losses: list[float] = []
    times: tuple[list[float], list[float]] = ([], [])
    with trainer.form("mien"):
        trainer.step("mien")  # buffers of the optimiser, kernels
        for on in (False, True):
            recompute(trainer.module, on)
            losses.append(float(forward(trainer).detach()))
        if losses[0] != losses[1]:
            raise SystemExit(f"losses differ: {losses[0]!r} without, {losses[1]!r} with")
        for on in (False, True):
            recompute(trainer.module, on)
            found["forward_mib"].append(peak_of(partial(forward, trainer), trainer.device))
            found["step_mib"].append(peak_of(partial(trainer.step, "mien"), trainer.device))
        for _ in range(steps):
            for on in (False, True):
                recompute(trainer.module, on)
                times[on].append(seconds_of(partial(trainer.step, "mien"), trainer.device))
    found["seconds"] = [statistics.median(each) for each in times]
    ratios = {f"{name}_ratio": round(with_ / without, 3) for name, (without, with_) in found.items()}
    told = {name: [round(value, 2) for value in values] for name, values in found.items()}
    return told | ratios


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, default=2, help="clips of a step")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    device = device_named(chosen.device)
    rows = []
    print(f"{'model':14} {'stage':12} {'kept':>6} {'peak':>6} {'time':>6}   with / without, batch {chosen.batch}")
    for model in chosen.models:
        for stage in chosen.stages:
            row = measure(Trainer(model, stage, chosen.precision, device, chosen.batch), chosen.steps)
            rows.append({"model": model, "stage": stage, **row})
            ratios = " ".join(f"{row[f'{name}_ratio']:6.2f}" for name in ("forward_mib", "step_mib", "seconds"))
            print(f"{model:14} {stage:12} {ratios}", flush=True)
    if chosen.json:
        facts = {"device": str(device), "precision": chosen.precision, "batch": chosen.batch, "rows": rows}
        chosen.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
