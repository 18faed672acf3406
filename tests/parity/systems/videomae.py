"""How VideoMAE's cases are run."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.collect import Case
from tests.parity.compare import BACKWARD, FORWARD, assert_summary, close
from tests.parity.detweights import input_for
from tests.parity.running import (
    build,
    compare_all,
    compare_output,
    compare_supervised,
    compare_training_mode,
    draw_masks,
    filled,
    seen_in_pretraining,
    watch,
)
from torch import Tensor

from mien.checkpoints.convert.base import Plan, get_converter
from mien.models import Recogniser, create_encoder
from mien.models.specification import VideoInput
from mien.pretext.masked_autoencoder import MaskedAutoencoder
from mien.pretext.masking import tube_mask
from mien.pretext.targets import PixelTarget
from mien.tasks.heads import ClipHead
from mien.training.optim import parameter_groups

CONVERTER = get_converter("videomae")


def run(case: Case) -> None:
    if case.name == "registry":
        return registry(case.data)
    if case.name.startswith("layer_decay"):
        return layer_decay(case.data)
    kinds = {"finetune": finetuned, "pretrain": pretraining}
    if case.data.get("kind") not in kinds:
        pytest.fail(f"no way to run {case}")
    return kinds[case.data["kind"]](case.data)


def finetuned(data: dict[str, Any]) -> None:
    plan = CONVERTER.plan_arguments(data["kwargs"])
    model = filled(CONVERTER, plan, data)
    encoder = model.encoder
    blocks = {f"output of block {i} (B,N,C)": block for i, block in enumerate(encoder.blocks)}
    seen = watch({"patch tokens before position encoding (B,N,C)": encoder.embedding, **blocks})
    video = input_for(data["input_case"], data["input_shape"])
    with torch.inference_mode():
        output = model({"video": video})
        features = encoder.forward_features({"video": video})
    seen["pooled feature after final norm, before head"] = features.pooled
    compare_all(data["intermediates"], seen, FORWARD)
    compare_output(output, data)
    if "position_encoding" in data:
        assert_summary(encoder.positions.table, data["position_encoding"], FORWARD, "positions")
    if "training" in data:
        compare_supervised(model, CONVERTER, plan, video, data["training"])
    if "train_mode_forward" in data:
        compare_training_mode(model, CONVERTER, plan, video, data["train_mode_forward"])


def draw_mask(rule: dict[str, Any], rng: np.random.RandomState) -> np.ndarray:
    if rule["kind"] != "tube":
        pytest.fail(f"no way to draw a {rule['kind']!r} mask")
    return tube_mask(rng, tuple(rule["window"]), rule["ratio"])


def pretraining(data: dict[str, Any]) -> None:
    model = filled(CONVERTER, CONVERTER.plan_arguments(data["kwargs"]), data)
    assert isinstance(model, MaskedAutoencoder)
    video = input_for(data["input_case"], data["input_shape"])
    batch = {"video": video, **draw_masks(data["mask"], len(video), functools.partial(draw_mask, data["mask"]))}
    seen = seen_in_pretraining(model)
    losses = {}
    for name, summary in data["targets"].items():
        model.target = target(name)
        assert_summary(model.target(video, batch["masked"], model.encoder.tubelet), summary, FORWARD, name)
        losses[f"mse | {name}"], _ = model.loss(batch)
    assert losses.keys() == data["losses"].keys()
    close([losses[n].item() for n in data["losses"]], list(data["losses"].values()), FORWARD, 0.0, "losses")
    compare_all(data["intermediates"], seen, FORWARD)
    with torch.inference_mode():
        assert_summary(model(batch), data["output"], FORWARD, "output")
    if "training" in data:
        training(model, losses["mse | normalised pixels"], data["training"])


def target(name: str) -> PixelTarget:
    standardised = {"normalised pixels": True, "raw pixels": False}
    if name not in standardised:
        pytest.fail(f"no way to make the target {name!r}")
    published = VideoInput(stride=4)
    return PixelTarget(published.mean, published.std, standardised[name])


def training(model: MaskedAutoencoder, loss: Tensor, expected: dict[str, Any]) -> None:
    close(loss.item(), expected["loss"], FORWARD, 0.0, "loss")
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    close(norm.item(), expected["grad_norm"], BACKWARD, 0.0, "gradient norm")
    plan = Plan("pretraining", "", {})
    gradients = CONVERTER.to_published({name: p.grad for name, p in model.named_parameters()}, plan)
    for name, summary in expected["grads"].items():
        assert_summary(gradients[name], summary, BACKWARD, f"gradient of {name}")


def layer_decay(data: dict[str, Any]) -> None:
    depth = len(data["values"]) - 2
    blocks = {name.split(".")[1] for name in data["parameters"] if name.startswith("blocks.")}
    assert len(blocks) == depth
    arguments = {
        "depth": depth,
        "pooling": "mean" if "fc_norm.weight" in data["parameters"] else "first",
        "positions": "learned" if "pos_embed" in data["parameters"] else "fixed",
        "qv_bias": "blocks.0.attn.q_bias" in data["parameters"],
        "layer_scale": 0.1 if "blocks.0.gamma_1" in data["parameters"] else 0.0,
    }
    encoder = create_encoder("videomae_test", **arguments)
    plan = Plan("finetuned", "videomae_test", arguments)
    model = Recogniser(encoder, ClipHead(encoder.feature_dim, 2))
    names = CONVERTER.to_mien(dict.fromkeys(data["parameters"], torch.zeros(1)), plan)
    own = dict(model.named_parameters())
    assert names.keys() == own.keys()
    rate = data["values"][-2]
    groups = parameter_groups(model, weight_decay=0.05, layer_decay=rate)
    found = {name: group for group in groups for name in group["names"]}
    for published, (layer, scale, decay) in data["parameters"].items():
        name = CONVERTER.renaming(plan).to_mien(published)
        assert model.layer_of(name) == layer, published
        assert found[name]["weight_decay"] == decay, published
        close(found[name]["lr_scale"], scale, 1e-6, 0.0, published)


def registry(data: dict[str, Any]) -> None:
    for name, entry in data.items():
        plan = CONVERTER.plan_arguments({"registered_name": name, **entry["kwargs"]})
        with torch.device("meta"):
            model = build(plan)
        state = CONVERTER.to_published(model.state_dict(), plan)
        assert sum(p.numel() for p in model.parameters()) == entry["n_params"], name
        assert len(state) == entry["tensors"], name
        assert model.encoder.depth == entry["encoder_depth"], name
        for key, shape in entry["first_keys"].items():
            assert list(state[key].shape) == shape, f"{name}: {key}"
