"""What case builders share: models from published arguments, filled through the converter, watched while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.compare import BACKWARD, FORWARD, assert_summary, close
from tests.parity.detweights import state_for
from torch import Tensor, nn

from mien.checkpoints.convert.base import Converter, Plan
from mien.checkpoints.strict import load_strictly
from mien.data.sampling import even_views
from mien.models import Recogniser, create_encoder
from mien.models.specification import VideoInput
from mien.nn.drop_path import DropPath
from mien.nn.initialise import SkipInitialisation
from mien.pretext import create_pretext
from mien.pretext.masked_autoencoder import MaskedAutoencoder
from mien.pretext.masking import split_mask
from mien.tasks.heads import ClipHead, FrameHead
from mien.tasks.losses import cross_entropy
from mien.training.mixing import mix
from mien.training.optim import parameter_groups
from mien.training.schema import Mixing

PUBLISHED = VideoInput(stride=4)


class Drawn:
    """A legacy source of chance (``numpy.random.RandomState``, ``random.Random``) with the methods that mien asks for.

    The reference runs drew from these; mien itself draws from ``numpy.random.Generator``.
    """

    def __init__(self, source: Any) -> None:
        self.source = source

    def integers(self, high: int) -> int:
        """A number in 0 ... high - 1."""
        return int(self.source.randrange(high) if hasattr(self.source, "randrange") else self.source.randint(high))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


def build(plan: Plan) -> nn.Module:
    """The recogniser or pretext of a plan."""
    if plan.form == "pretraining":
        return create_pretext(plan.pretext_kind, plan.model, plan.arguments, PUBLISHED, plan.pretext)
    encoder = create_encoder(plan.model, **plan.arguments)
    head = FrameHead if plan.head.get("per_frame") else ClipHead
    return Recogniser(encoder, head(encoder.feature_dim, plan.outputs))


def filled(converter: Converter, plan: Plan, data: Mapping[str, Any], aliases: Mapping[str, str] | None = None) -> Any:
    """The case's model through the converter; checks names, shapes, count and the way back.

    ``aliases``: attention names that share the weights of another one, whose values the file holds last.
    """
    with SkipInitialisation():
        model = build(plan)
    published = state_for(data["state"])
    load_strictly(model, converter.to_mien(published, plan), "the case")
    assert sum(p.numel() for p in model.parameters()) == data["n_params"]
    back = converter.to_published(model.state_dict(), plan)
    assert back.keys() == published.keys()
    for name, value in back.items():
        source = name
        for alias, last in (aliases or {}).items():
            source = source.replace(f".{alias}.", f".{last}.")
        assert torch.equal(value, published[source]), name
    return model.eval()


def predictions(model: nn.Module, plan: Plan, inputs: Mapping[str, Tensor]) -> Tensor:
    """Outputs as the published model gives them: activation applied, one row per clip."""
    outputs: Tensor = model(inputs)
    activation = plan.head.get("activation")
    if activation not in (None, "none"):
        outputs = getattr(torch, activation)(outputs)
    return outputs.flatten(1)


def compare_output(output: Tensor, data: Mapping[str, Any]) -> None:
    """What a model gives, its fingerprint and, where the case holds it, all of it."""
    assert_summary(output, data["output"], FORWARD, "output")
    if "output_full" in data:
        close(output.numpy(), data["output_full"], FORWARD, FORWARD * output.abs().max().item(), "whole output")


def watch(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """What each module returns, once the model has run."""
    seen: dict[str, Tensor] = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda _module, _inputs, output, name=name: seen.__setitem__(name, output))
    return seen


def seen_in_pretraining(model: MaskedAutoencoder) -> dict[str, Tensor]:
    """Intermediates of masked pretraining under the names that the files use."""
    blocks = {f"encoder block {i} output": block for i, block in enumerate(model.encoder.blocks)}
    seen = watch(
        {
            **blocks,
            "encoder output, visible tokens (B,Nvis,C)": model.encoder.norm,
            "after projection to decoder width (B,Nvis,Cd)": model.bridge,
        }
    )
    model.decoder.blocks[0].register_forward_pre_hook(
        lambda _module, inputs: seen.__setitem__(
            "decoder input: visible then mask tokens, positions added (B,N,Cd)", inputs[0]
        )
    )
    return seen


def compare_all(expected: Mapping[str, Any], seen: Mapping[str, Tensor], tolerance: float) -> None:
    """Every intermediate that the case names; one that nobody can see fails."""
    for name, summary in expected.items():
        if name not in seen:
            pytest.fail(f"no way to see {name!r}")
        assert_summary(seen[name], summary, tolerance, name)


def compare_gradients(model: nn.Module, converter: Converter, plan: Plan, expected: Mapping[str, Any]) -> None:
    """Norm of all gradients, and the gradients that the case names, after a backward pass."""
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    norm = torch.stack([g.norm() for g in gradients.values()]).norm()
    close(norm.item(), expected["grad_norm"], BACKWARD, 0.0, "gradient norm")
    published = converter.to_published(gradients, plan)
    nothing = 1e-6 * expected["grad_norm"]
    for name, summary in expected["grads"].items():
        assert_summary(published[name], summary, BACKWARD, f"gradient of {name}", nothing)


def compare_supervised(
    model: nn.Module, converter: Converter, plan: Plan, video: Tensor, expected: Mapping[str, Any]
) -> None:
    """Cross entropy in eval mode and its gradients; without those where the reference could not differentiate."""
    target = torch.tensor(expected.get("targets", list(range(len(video)))))
    loss = cross_entropy(predictions(model, plan, {"video": video}), target)
    close(loss.item(), expected["loss"], FORWARD, 0.0, "loss")
    loss.backward()
    if "grads" in expected:
        compare_gradients(model, converter, plan, expected)
    else:
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    if "without_gradient" in expected:
        table = converter.renaming(plan)
        idle = [table.to_published(name) for name, p in model.named_parameters() if p.grad is None]
        assert sorted(map(str, idle)) == sorted(expected["without_gradient"])


def train_without_chance(model: nn.Module) -> None:
    """Training mode, but for dropout and drop path."""
    for module in model.modules():
        module.train(not isinstance(module, DropPath | nn.Dropout))


def compare_training_mode(
    model: nn.Module, converter: Converter, plan: Plan, video: Tensor, expected: Mapping[str, Any]
) -> None:
    """One forward pass in training mode, which moves the batch norms' statistics; dropout and drop path off."""
    train_without_chance(model)
    with torch.no_grad():
        output = predictions(model, plan, {"video": video})
    assert_summary(output, expected["output"], BACKWARD, "output in training mode")
    buffers = converter.to_published(model.state_dict(), plan)
    for name, summary in expected.get("buffers", {}).items():
        assert_summary(buffers[name].double(), summary, FORWARD, name)


def draw_masks(rule: Mapping[str, Any], clips: int, draw: Callable[[Any], np.ndarray]) -> dict[str, Tensor]:
    """Visible and masked places of every clip by ``draw(rng)``, one after the other from seed 0; checked against the
    places that the case states."""
    rng = np.random.RandomState(0)
    drawn = [draw(rng) for _ in range(clips)]
    for mask, places in zip(drawn, rule["visible_positions_per_frame"], strict=True):
        assert all(np.flatnonzero(~frame).tolist() == places for frame in mask.reshape(rule["window"][0], -1))
    assert drawn[0].sum() == rule["masked_total"]
    split = [split_mask(mask) for mask in drawn]
    return {name: torch.stack([s[name] for s in split]) for name in ("visible", "masked")}


def compare_layers(
    model: nn.Module, converter: Converter, plan: Plan, expected: Mapping[str, Any], rate: float, decay: float
) -> None:
    """Layer, scale of the learning rate and weight decay of every published parameter, ``[layer, scale, decay]``."""
    groups = parameter_groups(model, weight_decay=decay, layer_decay=rate)
    found = {name: group for group in groups for name in group["names"]}
    table = converter.renaming(plan)
    for published, (layer, scale, weight_decay) in expected.items():
        name = table.to_mien(published)
        assert name in found, published
        assert model.layer_of(name) == layer, published
        assert found[name]["weight_decay"] == weight_decay, published
        close(found[name]["lr_scale"], scale, 1e-6, 0.0, published)


def compare_mixing(seed: int, video: Tensor, labels: list[int], expected: dict[str, Any]) -> None:
    """One batch mixed by the published draws: pictures, and targets with smoothing as the loss applies it."""
    rng = Drawn(np.random.RandomState(seed))
    rng.random()  # whether to mix at all: the published scripts draw it and always do
    classes = len(expected["target"][0])
    mixed = mix({"video": video, "target": torch.tensor(labels)}, classes, Mixing(mixup=0.8, cutmix=1.0), rng)
    assert_summary(mixed["video"], expected["output"], FORWARD, f"seed {seed}")
    smooth = mixed["target"] * 0.9 + 0.1 / classes
    close(smooth.numpy(), expected["target"], FORWARD, 0.0, f"targets of seed {seed}")


def compare_views(count: int, stride: int, expected: list[list[int]]) -> None:
    """Evenly spaced views; equal ones, which the published test runs twice, are taken once."""
    video = VideoInput(frames=len(expected[0]), stride=stride)
    views = even_views(np.arange(count) / 25, video, len(expected))
    assert [view.indices.tolist() for view in views] == list(map(list, dict.fromkeys(map(tuple, expected))))
