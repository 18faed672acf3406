"""How SS-VAERR's cases are run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity import vaerr_data, vaerr_losses
from tests.parity.collect import Case
from tests.parity.compare import BACKWARD, FORWARD, assert_summary, close
from tests.parity.detweights import input_for, state_for
from torch import Tensor, nn

from mien.checkpoints.convert.base import get_converter
from mien.checkpoints.strict import load_strictly
from mien.errors import MienError
from mien.models import Recogniser, create_encoder
from mien.models.contract import Features
from mien.tasks import create_model
from mien.tasks.binned import Binned
from mien.tasks.recurrent import RecurrentHead
from mien.training.optim import parameter_groups
from mien.training.schedules import held_cosine

CONVERTER = get_converter("vaerr")
STAGES = {f"trunk.layer{i + 1}": i for i in range(4)}
# what a training step's case says beside the model's arguments
STEP = {"loss_type", "optimizer", "lr", "weight_decay", "target_case"}
MODES = {"FT": "none", "Frozen3DConv": "stem", "FullyFrozen": "all"}


def run(case: Case) -> None:
    kinds: dict[str, Callable[[dict[str, Any]], None]] = {
        "forward_eval": forward,
        "error": refused,
        "gru_only": head_alone,
        "init": initialisation,
        "train_step": train_step,
        "frozen": frozen,
        "schedule": schedule,
        **vaerr_losses.KINDS,
        **vaerr_data.KINDS,
    }
    if case.data.get("kind") not in kinds:
        pytest.fail(f"no way to run {case}")
    kinds[case.data["kind"]](case.data)


def built(kwargs: dict[str, Any], shapes: dict[str, Any], **options: Any) -> tuple[Recogniser, Binned]:
    """The case's model through the converter; checks names and the way back."""
    plan = CONVERTER.plan_arguments(kwargs)
    assert plan.task is not None
    task = Binned(plan.task.model_copy(update={"options": plan.task.options | options}))
    model = create_model(plan.model, task, **plan.arguments)
    assert isinstance(model, Recogniser)
    published = state_for(shapes)
    load_strictly(model, CONVERTER.to_mien(published, plan), "the case")
    back = CONVERTER.to_published(model.state_dict(), plan)
    assert back.keys() == published.keys()
    assert all(torch.equal(back[name], value) for name, value in published.items())
    assert CONVERTER.plan_state(published, {}).arguments == plan.arguments
    return model.eval(), task


def fed(video: Tensor, lengths: list[int]) -> dict[str, Tensor]:
    """Published order of axes → ours. Published code ignores the length of a lone clip."""
    inputs = {"video": video[:, None]}
    return inputs if len(video) == 1 else inputs | {"length": torch.tensor(lengths)}


def columns(task: Binned, outputs: Tensor) -> Tensor:
    """The published 42 columns: bins and value of arousal, then of valence."""
    values, bins = task.read(outputs), task.details(outputs).unflatten(-1, (2, -1))
    return torch.cat([bins, values[..., None]], dim=-1).flatten(-2)


def forward(data: dict[str, Any]) -> None:
    model, task = built(data["kwargs"], data["state"])
    assert sum(p.numel() for p in model.parameters()) == data["params"]
    seen: dict[str, Tensor] = {}
    encoder = model.encoder
    watched = {f"frontend3D.{i}": layer for i, layer in enumerate(encoder.stem)} | {"frontend3D": encoder.stem}
    watched |= {name: encoder.stages[i] for name, i in STAGES.items()}
    watched |= {f"{name}.{j}": unit for name, i in STAGES.items() for j, unit in enumerate(encoder.stages[i])}
    for name, module in watched.items():
        module.register_forward_hook(lambda _module, _inputs, output, name=name: seen.__setitem__(name, output))
    lengths = list(data["kwargs"]["lengths"])
    inputs = fed(input_for(data["input_case"], data["input_shape"]), lengths)
    # published code cuts what is past the longest length; ours answers for every frame
    steps = max(lengths) if "length" in inputs else inputs["video"].shape[2]
    with torch.inference_mode():
        outputs = model(inputs)[:, :steps]
        features = encoder.forward_features(inputs)
        states = model.head._states(features.frames, inputs.get("length"))[:, :steps]
    seen |= {"trunk": features.frames.flatten(0, 1), "gru.gru": states}
    seen |= dict.fromkeys(("gru (42 logits)", f"gru ({outputs.shape[-1]} logits)"), outputs)
    for name, summary in data["intermediates"].items():
        if name not in seen:
            pytest.fail(f"no way to see {name!r}")
        assert_summary(seen[name], summary, FORWARD, name)
    published = columns(task, outputs)
    assert_summary(published, data["output"], FORWARD, "output")
    bins = (published.shape[-1] - 2) // 2
    parts = {
        "arousal_bins": published[..., :bins],
        "arousal": published[..., bins],
        "valence_bins": published[..., bins + 1 : -1],
        "valence": published[..., -1],
    }
    for name, summary in data["parts"].items():
        assert_summary(parts[name], summary, FORWARD, name)


def refused(data: dict[str, Any]) -> None:
    """What the published code cannot do: lengths in any order work here, and published costs refuse short clips."""
    kwargs = data["kwargs"]
    if "T" in kwargs:
        return vaerr_losses.too_short(data)
    if "lengths" not in kwargs:
        with pytest.raises(MienError):
            CONVERTER.plan_arguments(kwargs)
        return None
    lengths, clips = kwargs["lengths"], data["input_shape"][0]
    assert clips == len(lengths)
    model = create_encoder("vaerr_test")
    head = RecurrentHead(model.feature_dim, 42).eval()
    frames = input_for("lengths", (clips, max(lengths), model.feature_dim))
    with torch.inference_mode():
        both = head(Features(frames.mean(1), frames=frames), {"length": torch.tensor(lengths)})
        for row, length in enumerate(lengths):
            alone = head(Features(frames[:1, 0], frames=frames[row : row + 1, :length]), {})
            torch.testing.assert_close(both[row, :length], alone[0], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(both[row, length:], head.linear.bias.expand(max(lengths) - length, -1))
    return None


def head_alone(data: dict[str, Any]) -> None:
    kwargs = data["kwargs"]
    every = RecurrentHead(kwargs["input_size"], kwargs["num_classes"], kwargs["hidden_size"], kwargs["num_layers"])
    names = {"gru": every.gru, "fc": every.linear}
    state = {f"{prefix}.{name}": p for prefix, module in names.items() for name, p in module.state_dict().items()}
    prefix = data.get("prefix", "")
    assert data["state"] == {prefix + name: list(value.shape) for name, value in state.items()}
    filled = state_for(data["state"])
    for name, value in state.items():
        value.copy_(filled[prefix + name])
    last = RecurrentHead(
        kwargs["input_size"], kwargs["num_classes"], kwargs["hidden_size"], kwargs["num_layers"], every_frame=False
    )
    last.load_state_dict(every.state_dict())
    frames = input_for(data["input_case"], data["input_shape"])
    # published code ignores the length of a lone clip, and cuts what is past the longest of several
    lengths = list(kwargs["lengths"])
    inputs = {"length": torch.tensor(lengths)} if len(frames) > 1 else {}
    features = Features(frames.mean(1), frames=frames)
    with torch.inference_mode():
        outputs = every.eval()(features, inputs)[:, : max(lengths) if inputs else None]
        # published code takes the last padded step; ours the last valid one
        if not kwargs["every_frame"]:
            assert_summary(outputs[:, -1], data["output"], FORWARD, "last padded step")
            ends = lengths if inputs else [frames.shape[1]]
            valid = torch.stack([outputs[row, length - 1] for row, length in enumerate(ends)])
            torch.testing.assert_close(last.eval()(features, inputs), valid)
        else:
            assert_summary(outputs, data["output"], FORWARD, "output")


def initialisation(data: dict[str, Any]) -> None:
    """Standard deviations of fresh weights, within four standard errors of the two samples."""
    plan = CONVERTER.plan_arguments(data.get("kwargs", {}))
    assert plan.task is not None
    torch.manual_seed(0)
    model = create_model(plan.model, Binned(plan.task), **plan.arguments)
    state = CONVERTER.to_published(model.state_dict(), plan)
    for name, expected in data["std"].items():
        slack = 4 * (2 / (2 * expected["n"])) ** 0.5 + 1e-3
        close(state[name].std().item(), expected["observed"], slack, 0.0, name)


def optimiser_of(model: nn.Module, kwargs: dict[str, Any]) -> torch.optim.Optimizer:
    """The published choice by name; SGD has momentum 0.9."""
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
        "sgd": functools.partial(torch.optim.SGD, momentum=0.9),
    }
    if kwargs["optimizer"] not in kinds:
        pytest.fail(f"no way to step with {kwargs['optimizer']}")
    return kinds[kwargs["optimizer"]](model.parameters(), lr=kwargs["lr"], weight_decay=kwargs["weight_decay"])


def train_step(data: dict[str, Any]) -> None:
    kwargs = data["kwargs"]
    own = {name: value for name, value in kwargs.items() if name not in STEP}
    options = vaerr_losses.options_for(kwargs["loss_type"], "literal")
    model, task = built(own, data["state"], **options)
    optimiser = optimiser_of(model, kwargs)
    model.train()
    video = input_for(data["input_case"], data["input_shape"])
    outputs = model(fed(video, kwargs["lengths"]))
    assert_summary(columns(task, outputs), data["output"], FORWARD, "output")
    loss = task.loss(outputs, {"target": vaerr_losses.target(kwargs["target_case"], *video.shape[:2])})
    close(loss.item(), data["loss"], FORWARD, 0.0, "loss")
    loss.backward()
    plan = CONVERTER.plan_arguments(own)
    named = dict(model.named_parameters())
    gradients = CONVERTER.to_published({k: p.grad for k, p in named.items() if p.grad is not None}, plan)
    without = CONVERTER.to_published({k: p for k, p in named.items() if p.grad is None}, plan)
    assert sorted(without) == sorted(data["params_without_grad"])
    for name, summary in data["grads"].items():
        if summary is None:
            assert name in without, name
        else:
            assert_summary(gradients[name], summary, BACKWARD, f"gradient of {name}")
    for name, norm in data["grad_norms"].items():
        close(gradients[name].norm().item(), norm, BACKWARD, 1e-7, f"norm of the gradient of {name}")
    optimiser.step()
    after = CONVERTER.to_published(model.state_dict(), plan)
    for name, summary in (data["running_stats"] | data["after"]).items():
        flat = after[name].double().flatten().numpy()
        close(flat[summary["index"]], summary["values"], FORWARD, 1e-5, f"{name} after the step")
    assert {g["weight_decay"] for g in parameter_groups(model, kwargs["weight_decay"])} == {0.0, kwargs["weight_decay"]}


def frozen(data: dict[str, Any]) -> None:
    for published, expected in data["modes"].items():
        if published not in MODES:
            pytest.fail(f"no way to freeze as {published!r}")
        plan = CONVERTER.plan_arguments({})
        assert plan.task is not None
        model = create_model(plan.model, Binned(plan.task), frozen=MODES[published])
        sizes = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
        assert sum(sizes.values()) == expected["trainable"]
        held = {n: p for n, p in model.named_parameters() if not p.requires_grad}
        prefixes = {name.split(".")[0] for name in CONVERTER.to_published(held, plan)}
        assert prefixes == set(expected["frozen_prefixes"])
        assert sum(p.numel() for p in model.parameters()) == data["total"]
        model.train()
        assert model.encoder.stem.training is (published == "FT")
    by_module = dict.fromkeys(data["by_module"], 0)
    for name, parameter in CONVERTER.to_published(dict(model.named_parameters()), plan).items():
        by_module[name.split(".")[0]] += parameter.numel()
    assert by_module == data["by_module"]


def schedule(data: dict[str, Any]) -> None:
    for one in data["runs"]:
        rates = held_cosine(one["init_lr"], one["epochs"], 1)
        close(rates[: len(one["lr_used_per_epoch"])], one["lr_used_per_epoch"], 1e-9, 0.0, "learning rates")
        assert len(one["lr_used_per_epoch"]) == int((np.asarray(rates) > 1e-6).sum())
