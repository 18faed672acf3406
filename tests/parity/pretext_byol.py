"""How the cases of BYOL and SimSiam are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tests.parity.compare import BACKWARD, FORWARD, assert_summary, close
from tests.parity.detweights import input_for, state_for
from tests.parity.pretext_names import NOTHING, VIEWS, load_encoder, published_encoder, resnet, watch_outputs
from torch import Tensor, nn

from mien.nn.initialise import SkipInitialisation
from mien.pretext import Moment
from mien.pretext.byol import BYOL, distance
from mien.pretext.teacher import follow


def byol_loss(data: dict[str, Any]) -> None:
    a, b = (input_for(data["kwargs"][key], data["input_shape"]) for key in ("a", "b"))
    close(distance(a, b).numpy(), data["per_sample"], FORWARD, 1e-6, "distance")
    close(distance(a, b).mean().item(), data["mean"], FORWARD, 0.0, "mean")
    close(distance(a, a).mean().item(), data["self"], 0.0, 1e-6, "to itself")
    close(distance(a, -a).mean().item(), data["opposite"], FORWARD, 0.0, "to the opposite")


def average(data: dict[str, Any]) -> None:
    kwargs, count = data["kwargs"], len(data["after1"])
    old, new = input_for(kwargs["old"], (count,)), input_for(kwargs["new"], (count,))
    for key in ("after1", "after2"):
        follow([old], [new], kwargs["decay"])
        close(old.numpy(), data[key], FORWARD, 0.0, key)


def byol_of(data: dict[str, Any]) -> BYOL:
    kwargs = dict(data["kwargs"])
    joint = not data["version"].startswith("0.6")
    if kwargs.pop("hidden_layer", -1) != -1:
        pytest.fail("only the encoder's own output is tapped")
    kwargs.pop("image_size", None)
    momentum = kwargs.pop("moving_average_decay", 0.99)
    options = {
        "projection": kwargs.pop("projection_size", 256),
        "hidden": kwargs.pop("projection_hidden_size", 4096),
        "momentum": momentum if kwargs.pop("use_momentum", True) else None,
        "simplicial": 256 if kwargs.pop("use_simplicial_embeddings", joint) else 0,
    }
    with SkipInitialisation():
        pretext = BYOL(resnet(), VIEWS, joint=joint, **options)
    if kwargs:
        pytest.fail(f"no way to build BYOL with {sorted(kwargs)}")
    return pretext


def byol_parts(pretext: BYOL) -> dict[str, nn.Module]:
    """Heads by their published prefix; encoders go by the converter's names."""
    parts = {"online_encoder.projector.": pretext.projector, "online_predictor.": pretext.predictor}
    if pretext.teacher is not None:
        parts["target_encoder.projector."] = pretext.teacher.head
    return parts


def byol_state(pretext: BYOL, take: Callable[[nn.Module], Mapping[str, Any]]) -> dict[str, Any]:
    """Tensors (or gradients) of everything under published names; of the encoder's two names ``net.``."""
    found = published_encoder(take(pretext.encoder), "net.")
    for prefix, part in byol_parts(pretext).items():
        found |= {prefix + name: value for name, value in take(part).items()}
    if pretext.teacher is not None:
        found |= published_encoder(take(pretext.teacher.encoder), "target_encoder.net.")
    return found


def byol_filled(data: dict[str, Any]) -> BYOL:
    pretext = byol_of(data)
    published = state_for(data["state"])
    load_encoder(pretext.encoder, published, "online_encoder.net.")
    for prefix, part in byol_parts(pretext).items():
        part.load_state_dict({n.removeprefix(prefix): v for n, v in published.items() if n.startswith(prefix)})
    if pretext.teacher is not None:
        load_encoder(pretext.teacher.encoder, published, "target_encoder.net.")
    ours = byol_state(pretext, lambda module: module.state_dict())
    aliases = {f"online_encoder.{name}" for name in ours if name.startswith("net.")}
    assert ours.keys() | aliases == data["state"].keys()
    return pretext.train()


def byol_views(data: dict[str, Any]) -> Tensor:
    if (data["augment1"], data["augment2"]) != ("identity", "flip the last axis, times 0.9"):
        pytest.fail(f"no way to change clips by {data['augment2']!r}")
    video = input_for(data["input_case"], data["input_shape"])[:, None]
    return torch.stack((video, video.flip(-1) * 0.9), dim=1)


def byol(data: dict[str, Any]) -> None:
    pretext = byol_filled(data)
    views = byol_views(data)
    seen = {
        "online_projection": watch_outputs(pretext.projector),
        "online_prediction": watch_outputs(pretext.predictor),
    }
    if pretext.teacher is not None:
        seen["target_projection"] = watch_outputs(pretext.teacher.head)
    loss, _ = pretext.loss({"views": views})
    close(loss.item(), data["loss"], FORWARD, 0.0, "loss")
    for name, summaries in data["intermediates"].items():
        assert len(seen[name]) == len(summaries), name
        for found, summary in zip(seen[name], summaries, strict=True):
            # statistics over a few rows make much of rounding where those rows hardly differ
            assert_summary(found, summary, BACKWARD, name)
    loss.backward()
    gradients = byol_state(pretext, lambda module: {n: p.grad for n, p in module.named_parameters()})
    # three norms in a row over three clips: in float64 SimSiam's gradient is 0.2 % smaller than the recorded one
    tolerance = BACKWARD if pretext.teacher is not None else 5 * BACKWARD
    for name, norm in data["grad_norms"].items():
        close(gradients[name].norm().item(), norm, tolerance, NOTHING, f"norm of the gradient of {name}")
    for prefix in data["without_grad"]:
        held = [value for name, value in gradients.items() if name.startswith(prefix)]
        assert held
        assert all(value is None for value in held)
    after(pretext, data, views)


def after(pretext: BYOL, data: dict[str, Any], views: Tensor) -> None:
    """Features in eval mode, with the running statistics that the step left; then two moves of the slow copy."""
    pretext.eval()
    with torch.inference_mode():
        embedding = pretext.encoder.forward_features({"video": views[:, 0]}).pooled
        assert_summary(embedding, data["eval_after"]["embedding"], 1e-4, "embedding")
        assert_summary(pretext.projector(embedding), data["eval_after"]["projection"], 1e-4, "projection")
    if pretext.teacher is None:
        return
    moments = [data["target_before_ema"], *data["target_after_ema"]]
    for number, expected in enumerate(moments):
        if number:
            pretext.after_step(Moment(number, 10, 10))
        state = byol_state(pretext, lambda module: module.state_dict())
        for name, summary in expected.items():
            assert_summary(state[name], summary, FORWARD, f"{name} after {number} moves")


KINDS = {"byol_loss": byol_loss, "byol": byol, "ema": average}
