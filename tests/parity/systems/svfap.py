"""How SVFAP's cases are run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.collect import Case
from tests.parity.compare import BACKWARD, FORWARD, assert_summary, close
from tests.parity.detweights import input_for
from tests.parity.running import (
    PUBLISHED,
    Drawn,
    build,
    compare_all,
    compare_layers,
    compare_mixing,
    compare_views,
    filled,
    predictions,
    train_without_chance,
    watch,
)
from torch import Tensor, nn

from mien.checkpoints.convert.base import Plan, get_converter
from mien.checkpoints.handover import hand_over
from mien.data.boxes import anchored_places, anchored_sides
from mien.data.settings import AugmentationSettings
from mien.data.windows import stretched_window, strided_window
from mien.errors import MienError, UsageError
from mien.evaluation import metrics
from mien.models import create_encoder
from mien.models.specification import TaskConfig
from mien.models.svfap import SVFAP
from mien.nn import from_patches, grid_of, to_patches
from mien.nn.positions import sinusoid_table
from mien.pretext.masked_autoencoder import MaskedAutoencoder
from mien.pretext.masking import split_mask, tube_mask
from mien.pretext.targets import PixelTarget
from mien.tasks import create_task
from mien.tasks.losses import cross_entropy
from mien.training.optim import parameter_groups
from mien.training.schedules import cosine_schedule

CONVERTER = get_converter("svfap")
BASE = {"constructor": "svfap_base_patch16_160", "stage_depths": [12, 6, 3], "num_bottleneck_tokens": [8]}
PRETRAINING = {
    "constructor": "PretrainVisionTransformer",
    "img_size": 160,
    "encoder_embed_dim": 512,
    "encoder_num_heads": 8,
    "decoder_embed_dim": 384,
    "decoder_num_heads": 6,
    "decoder_depth": 4,
    "qkv_bias": True,
    "norm_layer": "LayerNorm(eps=1e-6)",
}


def run(case: Case) -> None:
    kinds = {"finetune": finetuned, "pretrain": pretraining}
    if case.data.get("kind") in kinds:
        return kinds[case.data["kind"]](case.data)
    tables = {
        "layer_decay_base": layer_decay,
        "pretrain_parameter_groups": pretraining_groups,
        "pretrain_to_finetune_keys": hand_over_keys,
        "learning_rate_schedules": schedules,
        "merge_views": merge_views,
        "frame_sampling": frame_sampling,
        "multi_scale_crop": multi_scale_crop,
        "mixup_cutmix": mixup_cutmix,
        "refused_configurations": refused_configurations,
        "sinusoid_table": sinusoids,
    }
    if case.name not in tables:
        pytest.fail(f"no way to run {case}")
    return tables[case.name](case.data)


def plan_of(data: dict[str, Any]) -> Plan:
    told = {"constructor": data["constructor"]} | ({"forward": data["forward"]} if "forward" in data else {})
    return CONVERTER.plan_arguments(told | data["model_kwargs"])


def watch_stages(encoder: SVFAP, seen: dict[str, Tensor]) -> None:
    """What goes in and out of every stage, by the names of the files."""

    def note(module: Any, name: str, when: Callable[[Any, Any], Tensor]) -> None:
        module.register_forward_hook(lambda _m, inputs, output: seen.__setitem__(name, when(inputs, output)))

    first = encoder.depths[0]
    blocks = list(encoder.blocks)
    blocks[0].register_forward_pre_hook(lambda _m, inputs: seen.__setitem__("tokens", inputs[0]))
    note(blocks[first - 1], "stage1_output_tokens", lambda _i, output: output)
    for stage, depth in enumerate(encoder.depths[1:], start=2):
        reduce, gather = encoder.reductions[stage - 2], encoder.bottlenecks[stage - 2]
        note(reduce, f"stage{stage}_tokens_after_temporal_conv", lambda _i, output: output.flatten(1, 2))
        note(gather, f"stage{stage}_initial_bottleneck_tokens", lambda _i, output: output.flatten(1, 2))
        reading = blocks[first + depth - 1]
        # blocks of later stages are called by ``read``, which hooks do not see: its last part is the block's MLP norm
        wrap(reading, f"stage{stage}_output_tokens", f"stage{stage}_final_bottleneck_tokens", seen)
        first += depth


def wrap(block: Any, output_name: str, context_name: str, seen: dict[str, Tensor]) -> None:
    read = block.read

    def noting(tokens: Tensor, context: Tensor) -> Tensor:
        seen[context_name] = context
        seen[output_name] = read(tokens, context)
        return seen[output_name]

    block.read = noting


def finetuned(data: dict[str, Any]) -> None:
    plan = plan_of(data)
    model = filled(CONVERTER, plan, data)
    if not data["eval_mode"]:
        train_without_chance(model)
    seen: dict[str, Tensor] = {}
    watch_stages(model.encoder, seen)
    video = input_for(data["input_case"], data["input_shape"])
    with torch.inference_mode():
        output = predictions(model, plan, {"video": video})
        features = model.encoder.forward_features({"video": video})
    seen["tokens_after_patch_embedding_plus_position"] = seen["tokens"]
    seen["pooled_feature_before_head"] = features.frames if plan.head["per_frame"] else features.pooled
    compare_all(data["intermediates"], seen, FORWARD)
    assert_summary(output, data["output"], FORWARD, "output")
    floor = FORWARD * output.abs().max().item()
    close(output.flatten().numpy(), np.ravel(data["output_values"]), FORWARD, floor, "output")
    if "loss" in data:
        losses(output, data["loss"])


def losses(output: Tensor, data: dict[str, Any]) -> None:
    """Plain, smoothed and mixed cross entropy of the case's logits."""
    labels, share, smoothing = torch.tensor(data["labels"]), data["mixup_lambda"], data["smoothing"]
    truth = torch.nn.functional.one_hot(labels, output.shape[1]).float()
    mixed = share * truth + (1 - share) * truth.flip(0)
    soft = mixed * (1 - smoothing) + smoothing / output.shape[1]
    close(soft.numpy(), data["soft_target"], FORWARD, 0.0, "soft target")
    found = {
        "soft_target_cross_entropy": cross_entropy(output, mixed, smoothing),
        "label_smoothing_cross_entropy": cross_entropy(output, labels, smoothing),
        "plain_cross_entropy": cross_entropy(output, labels),
    }
    for name, value in found.items():
        close(value.item(), data[name], FORWARD, 0.0, name)


def masks(rule: dict[str, Any], clips: int) -> dict[str, Tensor]:
    """One generator per clip, seeded by its number; checked against the stated places."""
    assert rule["type"] == "tube"
    side = round(rule["patches_per_slice"] ** 0.5)
    grid = (rule["temporal_slices"], side, rule["patches_per_slice"] // side)
    drawn = [tube_mask(np.random.RandomState(clip), grid, rule["ratio"]) for clip in range(clips)]
    for mask, places in zip(drawn, rule["visible_spatial_indices_per_sample"], strict=True):
        assert all(np.flatnonzero(~frame).tolist() == places for frame in mask.reshape(grid[0], -1))
    split = [split_mask(mask) for mask in drawn]
    return {name: torch.stack([s[name] for s in split]) for name in ("visible", "masked")}


def pretraining(data: dict[str, Any]) -> None:
    plan = plan_of(data)
    model = filled(CONVERTER, plan, data)
    assert sum(p.numel() for p in model.encoder.parameters()) == data["n_params_encoder"]
    assert sum(p.numel() for p in model.decoder.parameters()) == data["n_params_decoder"]
    video = input_for(data["input_case"], data["input_shape"])
    batch = {"video": video, **masks(data["mask"], len(video))}
    seen = watch({"encoder_output": model.encoder.norm, "encoder_to_decoder_output": model.bridge})
    watch_stages(model.encoder, seen)
    model.encoder.norm.register_forward_pre_hook(
        lambda _m, inputs: seen.__setitem__("multiscale_sum_before_norm", inputs[0])
    )
    model.decoder.blocks[0].register_forward_pre_hook(lambda _m, inputs: seen.__setitem__("decoder_input", inputs[0]))
    model.target = PixelTarget(PUBLISHED.mean, PUBLISHED.std, data["target_normalised"])
    assert_summary(model.target(video, batch["masked"], model.encoder.tubelet), data["target"], FORWARD, "target")
    with torch.set_grad_enabled("gradients" in data):
        output = model(batch)
        seen["visible_tokens_with_position"] = seen["tokens"]
        compare_all(data["intermediates"], seen, FORWARD)
        assert_summary(output, data["output"], FORWARD, "output")
        loss, _ = model.target.error(output, model.target(video, batch["masked"], model.encoder.tubelet))
    close(loss.item(), data["loss"], FORWARD, 0.0, "loss")
    if "gradients" in data:
        loss.backward()
        gradients(model, plan, data["gradients"])
    if "max_prediction_change_when_only_masked_pixels_change" in data:
        expected = data["max_prediction_change_when_only_masked_pixels_change"]
        assert (change_behind_the_mask(model, batch) > 0) == (expected > 0)


def gradients(model: nn.Module, plan: Plan, expected: dict[str, Any]) -> None:
    """Norm of every gradient; which parameters get none is part of the released forward."""
    found = {name: p.grad for name, p in model.named_parameters()}
    norms = [g.norm() for g in found.values() if g is not None]
    close(torch.stack(norms).norm().item(), expected["global_l2_norm"], BACKWARD, 0.0, "norm of all gradients")
    table = CONVERTER.renaming(plan)
    published = {table.to_published(name): grad for name, grad in found.items()}
    for name, norm in expected["l2_norm_per_parameter"].items():
        grad = published[name]
        if norm is None:
            assert grad is None, name
        else:
            close(grad.norm().item(), norm, BACKWARD, BACKWARD * 1e-3 * expected["global_l2_norm"], name)
    idle = {name: p.numel() for name, p in model.named_parameters() if p.grad is None}
    assert sum(idle.values()) == expected["count_without_gradient"]
    groups = expected["parameters_without_gradient"]
    assert all(any(table.to_published(name).startswith(f"{g}.") for g in groups) for name in idle)


@torch.inference_mode()
def change_behind_the_mask(model: MaskedAutoencoder, batch: dict[str, Tensor]) -> float:
    """Largest change of predictions when every masked pixel changes and no visible one does."""
    before = model(batch)
    tubelet = model.encoder.tubelet
    video = batch["video"]
    patches = to_patches(video, tubelet)
    index = batch["masked"].reshape(*batch["masked"].shape, 1, 1, 1, 1).expand(-1, -1, *patches.shape[2:])
    patches = patches.scatter_add(1, index, torch.ones_like(patches)[:, : index.shape[1]])
    after = model(batch | {"video": from_patches(patches, grid_of(video, tubelet))})
    return float((after - before).abs().max())


def layer_decay(data: dict[str, Any]) -> None:
    plan = CONVERTER.plan_arguments(BASE | {"num_classes": 7})
    with torch.device("meta"):
        model = build(plan)
    assert model.encoder.depth == data["num_layers"]
    assert CONVERTER.to_published(dict(model.named_parameters()), plan).keys() == data["parameters"].keys()
    compare_layers(model, CONVERTER, plan, data["parameters"], data["layer_decay"], data["weight_decay"])
    groups = parameter_groups(model, data["weight_decay"], data["layer_decay"])
    assert {group["name"]: len(group["names"]) for group in groups} == dict(data["group_order"])
    scales = {group["lr_scale"] for group in groups}
    close(sorted(scales), data["scales_by_layer_id"], 1e-9, 0.0, "scales")


def pretraining_groups(data: dict[str, Any]) -> None:
    plan = CONVERTER.plan_arguments(PRETRAINING)
    with torch.device("meta"):
        model = build(plan)
    table = CONVERTER.renaming(plan)
    groups = parameter_groups(model, weight_decay=0.05)
    found = {group["name"]: [group["weight_decay"], group["lr_scale"], len(group["names"])] for group in groups}
    assert found == {name: rest for name, *rest in data["groups"]}
    undecayed = next(group["names"] for group in groups if group["name"] == "no_decay")
    assert {table.to_published(name) for name in undecayed} == set(data["no_decay"])


def hand_over_keys(data: dict[str, Any]) -> None:
    """The same tensors are carried, dropped and new as in the published hand-over, named by the published rule."""
    source, wanted = CONVERTER.plan_arguments(PRETRAINING), CONVERTER.plan_arguments(BASE | {"num_classes": 7})
    with torch.device("meta"):
        pretext, model = build(source), build(wanted)
    report = hand_over(pretext.state_dict(), model.encoder)
    before, after = CONVERTER.renaming(source), CONVERTER.renaming(wanted)
    dropped = {str(before.to_published(name)).removeprefix("encoder.") for name in report.dropped}
    head = {f"head.{name}" for name, _ in model.head.linear.named_parameters()}
    new = {after.to_published(f"encoder.{name}") for name in report.new} | head
    assert len(report.carried) == data["loaded"]
    assert sorted(dropped) == data["unexpected"]
    assert sorted(new) == data["missing"]


def schedules(data: dict[str, Any]) -> None:
    """Peak and final rates are in the published recipes, warm-up is 5 of 100 epochs."""
    rates = {"pretrain_voxceleb2": (3e-4, 1e-5), "finetune_dfew_split1": (2.5e-4, 2.5e-7)}
    for name, table in data.items():
        if name in ("case", "weight_decay_constant"):
            continue
        if name not in rates:
            pytest.fail(f"no way to schedule {name!r}")
        values = cosine_schedule(*rates[name], table["total"], 5 * table["steps_per_epoch"])
        close(values[table["index"]], table["values"], 1e-9, 1e-18, name)


def merge_views(data: dict[str, Any]) -> None:
    name, _, factor = data["logits_input_case"].partition(" (times ")
    logits = input_for(name, data["shape"]) * float(factor.rstrip(")") or 1)
    assert_summary(logits, data["logits"], FORWARD, "logits")
    classes = data["shape"][-1]
    task = create_task(TaskConfig(kind="classification", outputs=tuple(f"class {i}" for i in range(classes))))
    merged = np.stack([task.merge(views) for views in task.read(logits.double()).double().numpy()])
    truth, predicted = np.asarray(data["labels"]), merged.argmax(axis=1)
    assert predicted.tolist() == data["pred"]
    assert metrics.confusion_matrix(truth, predicted, classes).tolist() == data["confusion"]
    best = np.argsort(-merged, axis=1)[:, :5]
    figures = {
        "top1": 100 * metrics.war(truth, predicted),
        "top5": 100 * float((best == truth[:, None]).any(axis=1).mean()),
        "uar": metrics.uar(truth, predicted),
        "war": metrics.war(truth, predicted),
    }
    for key, value in figures.items():
        close(value, data[key], 1e-12, 0.0, key)
    f1 = {kind: metrics.f1(truth, predicted, kind) for kind in ("weighted", "macro")}
    close([f1["weighted"], f1["macro"]], [data["f1"]["weighted"], data["f1"]["macro"]], 1e-12, 0.0, "F1")
    close(metrics.war(truth, predicted), data["f1"]["micro"], 1e-12, 0.0, "micro F1, which is accuracy")


def frame_sampling(data: dict[str, Any]) -> None:
    for row in data["test"]:
        compare_views(row["n"], row["rate"], row["clips"])
    for row in data["train"]:
        rng = Drawn(np.random.RandomState(row["seed"]))
        assert stretched_window(row["n"], len(row["indices"]), row["rate"], rng).tolist() == row["indices"], row
    for row in data["pretrain"]:
        rng = Drawn(np.random.RandomState(row["seed"]))
        assert strided_window(row["n"], len(row["indices"]), 4, rng).tolist() == row["indices"], row


def multi_scale_crop(data: dict[str, Any]) -> None:
    side, shares = data["image"], AugmentationSettings().crop_sizes
    pairs = anchored_sides(side, side, shares, side)
    assert [list(pair) for pair in pairs] == data["pairs_w_h_in_order"]
    assert sorted({side for pair in pairs for side in pair}, reverse=True) == data["crop_sizes"]
    for pair, offsets in data["offsets_x_y_for_pair"].items():
        width, height = (int(length) for length in pair.split("x"))
        assert [list(place) for place in anchored_places(side, side, height, width)] == offsets


def mixup_cutmix(data: dict[str, Any]) -> None:
    name, shape = re.fullmatch(r"input_for\('(\w+)', \(([\d,]+)\)\)", data["x"]).groups()
    video = input_for(name, [int(side) for side in shape.split(",")])
    for row in data["runs"]:
        expected = {"output": row["mixed"], "target": row["target"]}
        assert len(row["target"][0]) == data["num_classes"]
        compare_mixing(row["seed"], video, data["labels"], expected)


def sinusoids(data: dict[str, Any]) -> None:
    table = sinusoid_table(data["positions"], data["dim"])
    assert_summary(table, data["table"], 1e-6, "table")
    close(table[1, :8].numpy(), data["row1_first8"], 1e-6, 0.0, "row 1")
    close(table[799, -4:].numpy(), data["row799_last4"], 1e-6, 0.0, "row 799")


SMALL = {"img_size": 64, "qkv_bias": True, "norm_layer": "LayerNorm(eps=1e-6)"}


def refused_configurations(data: dict[str, Any]) -> None:
    """What works in the reference works here; what it refuses is refused in one line, or mended (stated below)."""
    mended = {"finetune keep_temporal_dim with 3 stages", "finetune num_classes=0", "pretrain 8 frames"}
    for words, outcome in data["rows"]:
        attempt = attempt_of(words)
        if outcome == "works" or words in mended:
            attempt()
        else:
            with pytest.raises((MienError, UsageError)):
                attempt()


def attempt_of(words: str) -> Callable[[], object]:
    """The configuration that a row describes in words."""
    if found := re.fullmatch(r"finetune keep_temporal_dim with (\d) stages?", words):
        return lambda: per_frame(int(found[1]))
    if words == "finetune num_classes=0":
        return lambda: small_encoder((2, 2, 2), 16).forward_features({"video": torch.zeros(1, 3, 16, 64, 64)})
    if found := re.fullmatch(r"finetune all_frames=(\d+) with 3 stages.*", words):
        frames = int(found[1])
        video = {"video": torch.zeros(1, 3, frames, 64, 64)}
        return lambda: small_encoder((2, 2, 2), frames).forward_features(video)
    if words == "pretrain learnable position embedding":
        return lambda: CONVERTER.plan_arguments(PRETRAINING | {"use_learnable_pos_emb": True})
    if found := re.fullmatch(r"pretrain (\d+) frames", words):
        return lambda: masked(64, 0.75, "corrected", frames=int(found[1]))
    if found := re.fullmatch(r"pretrain (released|corrected) forward, (\d+) px, ratio ([\d.]+)", words):
        return lambda: masked(int(found[2]), float(found[3]), found[1])
    return pytest.fail(f"no way to try {words!r}")


def small_encoder(depths: tuple[int, ...], frames: int) -> SVFAP:
    plan = CONVERTER.plan_arguments(
        SMALL | {"embed_dim": 64, "num_heads": 4, "stage_depths": depths, "all_frames": frames, "num_classes": 0}
    )
    encoder = create_encoder(plan.model, **plan.arguments)
    return encoder.eval()


def per_frame(stages: int) -> None:
    features = small_encoder((2, 2, 1)[:stages], 16).forward_features({"video": torch.zeros(1, 3, 16, 64, 64)})
    assert features.frames.shape == (1, 16, 64)


def masked(size: int, ratio: float, forward: str, frames: int = 16) -> None:
    kwargs = PRETRAINING | {"img_size": size, "encoder_embed_dim": 64, "encoder_num_heads": 4, "all_frames": frames}
    kwargs |= {"decoder_embed_dim": 32, "decoder_num_heads": 2, "decoder_depth": 1, "stage_depths": (1, 2, 1)}
    model = build(CONVERTER.plan_arguments(kwargs | {"forward": forward}))
    mask = split_mask(tube_mask(np.random.RandomState(0), (frames // 2, size // 16, size // 16), ratio))
    batch = {"video": torch.zeros(1, 3, frames, size, size)} | {name: index[None] for name, index in mask.items()}
    assert model.eval()(batch).isfinite().all()
