"""Step time and peak memory of pretraining and fine-tuning, against a plain form of the same arithmetic.

    python benchmarks/train_step.py [--models svfap_base] [--device cuda --batch 32] [--precision bf16] [--compile]
        [--json FILE]

Each base model takes whole training steps (forward, loss, backward, AdamW) on random clips of 16 x 160 x 160, in
float32 and under bfloat16 autocast. The plain form has the same weights and the same results up to rounding; it is
written as the published programs write it: attention by explicit scores and softmax, in masked pretraining all tubelets
embedded before masked ones are dropped, and every decoder block on all positions; and it computes as torch does by
itself: its choice of matrix products, AdamW as it comes, memory handed back to the system as soon as it is freed.

Both forms take turns in one process, and the median step is compared, so that a busy machine slows both. The first
ratio compares like with like, bfloat16 with bfloat16; the second is what a user gains over the plain form in float32.
Ratios above 1 are in mien's favour.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from mien.data.manifest import Row
from mien.memory import keep_freed_memory
from mien.models.device import device_named
from mien.models.registry import default_inputs
from mien.models.specification import TaskConfig
from mien.nn import TubeletEmbedding, take_tokens
from mien.nn.products import quick_products
from mien.pretext import create_pretext
from mien.pretext.masked_autoencoder import Decoder
from mien.tasks import create_model, create_task
from mien.training.hardware import computing
from mien.training.optim import make_optimiser, parameter_groups
from mien.training.schema import Optimiser

MODELS = ("videomae_base", "svfap_base", "maedfer_base", "maedfer_ca_add")
FRAMES, SIZE, CLASSES = 16, 160, 7
Form = Literal["mien", "plain"]


def explicit_attention(
    query: Tensor, key: Tensor, value: Tensor, *, dropout: float = 0.0, scale: float | None = None
) -> Tensor:
    """Softmax of scores, then the weighted sum; the scores are in memory."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    weights = ((query * scale) @ key.transpose(-2, -1)).softmax(dim=-1)
    return nn.functional.dropout(weights, dropout) @ value


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
    keep_freed_memory(2**26, 2**25)  # what glibc comes to by itself once large tensors have been freed
    with (
        patch("mien.nn.attention.scaled_dot_products", explicit_attention),
        patch.object(TubeletEmbedding, "forward", embed_all),
        patch.object(Decoder, "forward", decode_all),
    ):
        yield


class Trainer:
    """Training steps of one model on fixed random clips."""

    def __init__(
        self, model: str, stage: str, precision: str, device: torch.device, batch: int, compile_: bool = False
    ) -> None:
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
            self.loss_of: Callable[[], Tensor] = lambda: pretext.loss(self.batch)[0]
        else:
            task = create_task(TaskConfig(kind="classification", outputs=tuple(map(str, range(CLASSES)))))
            self.batch["target"] = torch.arange(batch) % CLASSES
            self.module = create_model(model, task, **arguments)
            self.loss_of = lambda: task.loss(self.module(self.batch), self.batch)
        self.module.to(device)
        self.batch = {name: value.to(device) for name, value in self.batch.items()}
        settings = Optimiser(lr=1e-5)
        self.optimiser = make_optimiser(parameter_groups(self.module, settings.weight_decay), settings)
        self._quick = torch.compile(self.loss_of) if compile_ else self.loss_of

    def form(self, name: Form) -> AbstractContextManager[None]:
        """Inside, steps are taken in that form."""
        for group in self.optimiser.param_groups:
            group["fused"] = name == "mien"
        for state in self.optimiser.state.values():  # the plain loop would wait for a counter that lies on a GPU
            state["step"] = state["step"].to(self.device if name == "mien" else "cpu")
        return self._quickly() if name == "mien" else plainly()

    @contextmanager
    def _quickly(self) -> Iterator[None]:
        with computing(self.device), quick_products(self.device):
            yield

    def step(self, name: Form) -> Tensor:
        """One whole step in a form that holds; returns the loss."""
        with self.autocast():
            loss = (self._quick if name == "mien" else self.loss_of)()
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return loss.detach()

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def loss(self, name: Form) -> float:
        """Without dropout, in that form."""
        self.module.eval()
        with torch.no_grad(), self.autocast(), self.form(name):
            value = float(self.loss_of())
        self.module.train()
        return value


def peak_of(step: Callable[[], Tensor], device: torch.device) -> float:
    """MiB that a step needs beyond what lies in memory before it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the highest resident size (Linux)
    before = _status("VmRSS")
    step()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def seconds_of(step: Callable[[], Tensor], device: torch.device) -> float:
    """One step; on one thread of a processor its own time, which other programs on the machine hardly change."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begun = clock()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - begun


def measure(trainer: Trainer, steps: int) -> dict[str, float]:
    """Median seconds and peak MiB of both forms, which take turns."""
    forms: tuple[Form, Form] = ("mien", "plain")
    times: dict[str, list[float]] = {name: [] for name in forms}
    found = {}
    for name in forms:
        with trainer.form(name):
            trainer.step(name)  # buffers of the optimiser, kernels, compilation
            found[f"{name}_mib"] = round(peak_of(partial(trainer.step, name), trainer.device), 1)
    for _ in range(steps):
        for name in forms:
            with trainer.form(name):
                times[name].append(seconds_of(partial(trainer.step, name), trainer.device))
    return found | {f"{name}_seconds": round(statistics.median(values), 4) for name, values in times.items()}


def stages_of(model: str) -> tuple[str, ...]:
    """The motion branch is fine-tuned only."""
    return ("fine-tuning",) if model.startswith("maedfer_ca") else ("pretraining", "fine-tuning")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, default=1, help="clips of a fine-tuning step")
    parser.add_argument("--pretraining-batch", type=int, help="clips of a pretraining step; default: as --batch")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="mien's form under torch.compile")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    device = device_named(chosen.device)
    rows = [row for model in chosen.models for row in rows_of(model, device, chosen)]
    if chosen.json:
        facts = {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
            "threads": chosen.threads,
            "compile": chosen.compile,
            "torch": torch.__version__,
        }
        chosen.json.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n")


def rows_of(model: str, device: torch.device, chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figures of one model, printed as they come."""
    print(
        f"{'model':16} {'stage':12} {'type':5} {'mien s':>8} {'plain s':>8} {'ratio':>6} {'to fp32':>8} {'memory':>8}"
    )
    for stage in stages_of(model):
        batch = chosen.pretraining_batch or chosen.batch if stage == "pretraining" else chosen.batch
        plain_fp32 = 0.0
        for precision in chosen.precision:
            trainer = Trainer(model, stage, precision, device, batch, chosen.compile)
            ours, theirs = trainer.loss("mien"), trainer.loss("plain")  # must be the same arithmetic
            row = {"model": model, "stage": stage, "precision": precision, "batch": batch}
            row |= {"difference": abs(ours - theirs) / abs(theirs), **measure(trainer, chosen.steps)}
            plain_fp32 = plain_fp32 or (row["plain_seconds"] if precision == "fp32" else 0.0)
            row["ratio"] = round(row["plain_seconds"] / row["mien_seconds"], 3)
            row["ratio_to_plain_fp32"] = round(plain_fp32 / row["mien_seconds"], 3) if plain_fp32 else float("nan")
            row["memory_ratio"] = round(row["plain_mib"] / row["mien_mib"], 3)
            print(
                f"{model:16} {stage:12} {precision:5} {row['mien_seconds']:8.3f} {row['plain_seconds']:8.3f} "
                f"{row['ratio']:6.2f} {row['ratio_to_plain_fp32']:8.2f} {row['memory_ratio']:8.2f}",
                flush=True,
            )
            yield row


if __name__ == "__main__":
    main()
