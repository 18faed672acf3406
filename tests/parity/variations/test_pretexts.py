"""Heads, losses, schedules and encoders of pretexts in sizes that no file holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.parity.detweights import input_for
from tests.parity.reference.pretexts import dino_head, dino_loss, half_cosine, ramp
from tests.parity.reference.vaerr import trunk
from tests.parity.reference.weights import Weights, fingerprint
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import case_of

HEADS: dict[str, dict[str, Any]] = {
    "two layers, lengths learned": {"in_dim": 12, "out_dim": 20, "nlayers": 2, "norm_last_layer": False},
    "four layers": {"in_dim": 12, "out_dim": 20, "nlayers": 4, "hidden_dim": 16, "bottleneck_dim": 8},
    "four layers with norms": {"in_dim": 12, "out_dim": 9, "nlayers": 4, "use_bn": True, "hidden_dim": 16},
    "two layers with norms": {"in_dim": 7, "out_dim": 9, "nlayers": 2, "use_bn": True, "norm_last_layer": True},
    "one layer, lengths learned": {"in_dim": 7, "out_dim": 9, "nlayers": 1, "norm_last_layer": False, "use_bn": True},
}


@pytest.mark.parametrize("name", HEADS)
def test_dino_heads(name: str) -> None:
    kwargs, w = HEADS[name], Weights()
    shape = [3, kwargs["in_dim"]]
    sizes = {"hidden": kwargs.get("hidden_dim", 2048), "narrow": kwargs.get("bottleneck_dim", 256)}
    layers, norms = kwargs["nlayers"], kwargs.get("use_bn", False)
    made = dino_head(w, input_for(name, shape).double(), kwargs["out_dim"], layers, norms, **sizes)
    run_whole(
        case_of(
            "pretext",
            name,
            w,
            kind="module",
            kwargs=kwargs,
            input_shape=shape,
            input_case=name,
            output=fingerprint(made.pop("output")),
            intermediates={key: fingerprint(value) for key, value in made.items()},
            weight_g_at_init=1.0,
            frozen=["last_layer.weight_g"] if kwargs.get("norm_last_layer", True) else [],
        )
    )


# crops, clips, outputs, scale, temperatures, warm-up, epochs of the steps
LOSSES = {
    "small": (4, 2, 6, 2.0, 0.04, 0.07, 2, [0, 1, 1, 5]),
    "one clip": (3, 1, 5, 1.0, 0.05, 0.05, 0, [0, 3]),
    "warm-up of one epoch": (2, 3, 8, 0.5, 0.03, 0.06, 1, [0, 1]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_dino_losses(name: str) -> None:
    crops, clips, width, scale, begin, end, warmup, epochs = LOSSES[name]
    shapes = [crops * clips, width], [2 * clips, width]
    cases = [[f"{name} student {step}", f"{name} teacher {step}"] for step in range(len(epochs))]
    centre, steps = torch.zeros(1, width).double(), []
    for number, (epoch, (student, teacher)) in enumerate(zip(epochs, cases, strict=True)):
        rows = (scale * input_for(student, shapes[0]).double()).requires_grad_()
        targets = scale * input_for(teacher, shapes[1]).double()
        temperature = ramp(begin, end, warmup, epoch)
        loss = dino_loss(rows, targets, centre, crops, temperature)
        loss.backward()
        before, centre = centre, 0.9 * centre + 0.1 * targets.mean(0, keepdim=True)
        steps.append(
            {
                "step": number,
                "epoch": epoch,
                "teacher_temp": temperature,
                "center_before": fingerprint(before),
                "loss": loss.item(),
                "grad_student": fingerprint(rows.grad),
                "center_after": fingerprint(centre),
            }
        )
    kwargs = {"out_dim": width, "ncrops": crops, "batch": clips, "scale": scale, "nepochs": 9}
    kwargs |= {"warmup_teacher_temp": begin, "teacher_temp": end, "warmup_teacher_temp_epochs": warmup}
    run_whole(
        case_of(
            "pretext",
            name,
            Weights(),
            kind="dino_loss",
            kwargs=kwargs,
            student_shape=shapes[0],
            teacher_shape=shapes[1],
            input_cases=cases,
            state={"center": [1, width]},
            steps=steps,
            terms=2 * (crops - 1),
        )
    )


def test_schedules() -> None:
    rows: list[dict[str, Any]] = [
        {
            "name": "teacher_temp",
            "kwargs": [0.04, 0.07, epochs, 6],
            "values": [ramp(0.04, 0.07, epochs, e) for e in range(6)],
        }
        for epochs in (0, 1, 2, 6)
    ]
    for name, base, final, epochs, each, warmup in (
        ("lr", 1e-3, 1e-6, 5, 3, 2),
        ("lr", 1e-3, 1e-6, 5, 1, 1),
        ("lr", 1e-3, 1e-6, 2, 4, 2),
        ("lr", 1e-3, 0.0, 3, 4, 0),
        ("weight_decay", 0.04, 0.4, 2, 7, 0),
        ("momentum", 0.9, 1.0, 1, 5, 0),
    ):
        values = half_cosine(base, final, epochs * each, warmup * each)
        rows.append({"name": name, "base": base, "final": final, "epochs": epochs, "niter": each})
        rows[-1] |= {"warmup_epochs": warmup, "values": values}
    run_whole(case_of("pretext", "schedules", Weights(), kind="schedule", rows=rows))


@pytest.mark.slow
@torch.inference_mode()
def test_encoder_of_small_pictures() -> None:
    name, shape, w, seen = "encoder", [2, 3, 31, 40], Weights(), {}
    frames = trunk(w, input_for(name, shape).double(), "relu", False, seen).unflatten(0, (2, 3))
    run_whole(
        case_of(
            "pretext",
            name,
            w,
            kind="module",
            kwargs={},
            input_shape=shape,
            input_case=name,
            output=fingerprint(frames.mean(1)),
            intermediates={"frontend3D": fingerprint(seen["frontend3D"])},
            params=w.count,
        )
    )
