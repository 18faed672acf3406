"""Step time and peak memory of pretraining and fine-tuning, against a plain form of the same arithmetic.

    python benchmarks/train_step.py [--models svfap_base] [--device cuda --batch 32] [--compile] [--json FILE]

Each base model takes whole training steps (forward, loss, backward, AdamW) on random clips of 16 x 160 x 160, in
float32 and under bfloat16 autocast. The plain form has the same weights and the same results up to rounding; it is
written as the published programs write it: attention by explicit scores and softmax, in masked pretraining all tubelets
embedded before masked ones are dropped, and every decoder block on all positions. Both forms take turns in one process,
and the median step is compared, so that a busy machine slows both. Ratios above 1 are in mien's favour.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from mien.data.manifest import Row
from mien.models.registry import default_inputs
from mien.models.specification import TaskConfig
from mien.nn import TubeletEmbedding, take_tokens
from mien.pretext import create_pretext
from mien.pretext.masked_autoencoder import Decoder
from mien.tasks import create_model, create_task

MODELS = ("videomae_base", "svfap_base", "maedfer_base", "maedfer_ca_add")
FRAMES, SIZE, CLASSES = 16, 160, 7
Step = Callable[[], Tensor]


def explicit_attention(
    query: Tensor, key: Tensor, value: Tensor, *, dropout_p: float = 0.0, scale: float | None = None
) -> Tensor:
    """Softmax of scores, then the weighted sum; the scores are in memory."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    weights = ((query * scale) @ key.transpose(-2, -1)).softmax(dim=-1)
    return nn.functional.dropout(weights, dropout_p) @ value


def embed_all(self: TubeletEmbedding, video: Tensor, keep: Tensor | None = None) -> Tensor:
    """Every tubelet by a 3-D convolution, then those that are kept."""
    tokens = nn.Conv3d.forward(self, video).flatten(2).transpose(1, 2)
    return tokens if keep is None else take_tokens(tokens, keep)


def decode_all(self: Decoder, tokens: Tensor, predict: int) -> Tensor:
    """Every block on all positions; predictions from the last ones."""
    for block in self.blocks:
        tokens = block(tokens)
    predictions: Tensor = self.head(self.norm(tokens[:, -predict:]))
    return predictions


@contextmanager
def plainly() -> Iterator[None]:
    """Inside, mien's modules compute in the plain form."""
    with (
        patch("mien.nn.attention.F.scaled_dot_product_attention", explicit_attention),
        patch.object(TubeletEmbedding, "forward", embed_all),
        patch.object(Decoder, "forward", decode_all),
    ):
        yield


class Trainer:
    """Training steps of one model on fixed random clips."""

    def __init__(self, model: str, stage: str, precision: str, device: torch.device, batch: int) -> None:
        torch.manual_seed(0)
        self.device, self.bf16 = device, precision == "bf16"
        generator = torch.Generator().manual_seed(1)
        video = torch.randn(batch, 3, FRAMES, SIZE, SIZE, generator=generator)
        self.batch: dict[str, Tensor] = {"video": video}
        arguments = {"frames": FRAMES, "size": SIZE}
        if stage == "pretraining":
            inputs = default_inputs(model).video
            assert inputs is not None
            options = {"target": "motion"} if model.startswith("maedfer") else {}
            pretext = create_pretext("masked_autoencoder", model, arguments, inputs, options)
            assert pretext.extras is not None
            nowhere = Row("", Path())
            drawn = [pretext.extras(np.random.default_rng(i), {"video": clip}, nowhere) for i, clip in enumerate(video)]
            self.batch |= {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
            self.module: nn.Module = pretext
            self._loss: Callable[[], Tensor] = lambda: pretext.loss(self.batch)[0]
        else:
            task = create_task(TaskConfig(kind="classification", outputs=tuple(map(str, range(CLASSES)))))
            self.batch["target"] = torch.arange(batch) % CLASSES
            self.module = create_model(model, task, **arguments)
            self._loss = lambda: task.loss(self.module(self.batch), self.batch)
        self.module.to(device)
        self.batch = {name: value.to(device) for name, value in self.batch.items()}
        self.optimiser = torch.optim.AdamW(self.module.parameters(), lr=1e-5)

    def step(self) -> Tensor:
        """One whole step; returns the loss."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self._loss()
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return loss.detach()

    def compiled(self) -> Step:
        return torch.compile(self.step)


def peak_of(step: Step, device: torch.device) -> float:
    """MiB that a step needs beyond what lies in memory before it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the highest resident size (Linux)
    before = _status("VmRSS")
    step()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def seconds_of(step: Step, device: torch.device) -> float:
    """One step; on a processor its own time, which other programs on the machine hardly change."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    begun = clock()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - begun


def measure(trainer: Trainer, compile_: bool, steps: int) -> dict[str, float]:
    """Median seconds and peak MiB of both forms, which take turns."""
    forms: dict[str, tuple[Step, Any]] = {
        "mien": (trainer.compiled() if compile_ else trainer.step, nullcontext),
        "plain": (trainer.step, plainly),
    }
    times: dict[str, list[float]] = {name: [] for name in forms}
    found = {}
    for name, (step, form) in forms.items():
        with form():
            step()  # buffers of the optimiser, kernels, compilation
            found[f"{name}_mib"] = round(peak_of(step, trainer.device), 1)
    for _ in range(steps):
        for name, (step, form) in forms.items():
            with form():
                times[name].append(seconds_of(step, trainer.device))
    return found | {f"{name}_seconds": round(statistics.median(values), 4) for name, values in times.items()}


def difference(trainer: Trainer) -> float:
    """Largest relative difference of the two forms' losses: they must be the same arithmetic."""
    with torch.no_grad(), torch.autocast(trainer.device.type, torch.bfloat16, enabled=trainer.bf16):
        trainer.module.eval()
        one = float(trainer._loss())
        with plainly():
            two = float(trainer._loss())
        trainer.module.train()
    return abs(one - two) / abs(two)


def stages_of(model: str) -> tuple[str, ...]:
    """The motion branch is fine-tuned only."""
    return ("fine-tuning",) if model.startswith("maedfer_ca") else ("pretraining", "fine-tuning")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1, help="clips of a fine-tuning step")
    parser.add_argument("--pretraining-batch", type=int, help="clips of a pretraining step; default: as --batch")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="mien's form under torch.compile")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    rows: list[dict[str, Any]] = []
    print(
        f"{'model':16} {'stage':12} {'type':5} {'mien s':>8} {'plain s':>8} {'ratio':>6} {'mien MiB':>9} {'plain':>8}  "
    )
    for model in chosen.models:
        for stage in stages_of(model):
            batch = chosen.pretraining_batch or chosen.batch if stage == "pretraining" else chosen.batch
            for precision in ("fp32", "bf16"):
                trainer = Trainer(model, stage, precision, device, batch)
                apart = difference(trainer)
                row = {"model": model, "stage": stage, "precision": precision, "batch": batch, "difference": apart}
                row |= measure(trainer, chosen.compile, chosen.steps)
                row["ratio"] = round(row["plain_seconds"] / row["mien_seconds"], 3)
                row["memory_ratio"] = round(row["plain_mib"] / row["mien_mib"], 3)
                rows.append(row)
                print(
                    f"{model:16} {stage:12} {precision:5} {row['mien_seconds']:8.3f} {row['plain_seconds']:8.3f} "
                    f"{row['ratio']:6.2f} {row['mien_mib']:9.0f} {row['plain_mib']:8.0f}",
                    flush=True,
                )
                del trainer
    for model in chosen.models:
        for stage in stages_of(model):
            one = {row["precision"]: row for row in rows if (row["model"], row["stage"]) == (model, stage)}
            ratio = one["fp32"]["plain_seconds"] / one["bf16"]["mien_seconds"]
            print(f"{model:16} {stage:12} mien in bf16 against the plain form in fp32: {ratio:.2f}")
    if chosen.json:
        facts = {
            "device": str(device),
            "threads": chosen.threads,
            "compile": chosen.compile,
            "torch": torch.__version__,
        }
        chosen.json.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
