"""How the cases of BYOL and SimSiam are run."""

from __future__ import annotations

import re
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
from mien.pretext.tap import tap
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


def layer_of(published: int | str) -> str:
    """Our name of what ``hidden_layer`` taps: an output of the net, or one of its children by number, or by name."""
    children = ("trunk", "frontend3D")
    name = published if isinstance(published, str) else "" if published == -1 else children[published]
    if not name:
        return "pooled"
    if name in ("trunk", "trunk.avgpool"):  # both are a vector per frame
        return "frames"
    if name.startswith("frontend3D"):
        return name.replace("frontend3D", "stem")
    if match := re.fullmatch(r"trunk\.layer(\d)(\.\d)?", name):
        return f"stages.{int(match[1]) - 1}{match[2] or ''}"
    return pytest.fail(f"no way to tap {published!r}")


def byol_of(data: dict[str, Any]) -> BYOL:
    kwargs = dict(data["kwargs"])
    joint = not data["version"].startswith("0.6")
    layer = layer_of(kwargs.pop("hidden_layer", -1))
    for name in ("image_size", "sync_batchnorm"):  # of pictures that only size the projector; of several processes
        kwargs.pop(name, None)
    momentum = kwargs.pop("moving_average_decay", 0.99)
    options = {
        "projection": kwargs.pop("projection_size", 256),
        "hidden": kwargs.pop("projection_hidden_size", 4096),
        "momentum": momentum if kwargs.pop("use_momentum", True) else None,
        "simplicial": 256 if kwargs.pop("use_simplicial_embeddings", joint) else 0,
    }
    online = "online_encoder.projector."
    first = next(name for name in data["state"] if name.startswith(online) and len(data["state"][name]) == 2)
    with SkipInitialisation():
        encoder = resnet(data["state"], "online_encoder.net.")
        pretext = BYOL(encoder, VIEWS, joint=joint, layer=layer, dim=data["state"][first][1], **options)
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
    video = input_for(data["input_case"], data["input_shape"])[:, None]
    return torch.stack([changed(video, data[key]) for key in ("augment1", "augment2")], dim=1)


def changed(video: Tensor, words: str) -> Tensor:
    """Clips after what a case says of a view."""
    for step in words.split(", "):
        if step == "flip the last axis":
            video = video.flip(-1)
        elif step.startswith(("times ", "plus ")):
            number = float(step.split()[1])
            video = video * number if step.startswith("times") else video + number
        elif step != "identity":
            pytest.fail(f"no way to change clips by {step!r}")
    return video


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
        embedding = tap(pretext.encoder, views[:, 0], pretext.layer)
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
