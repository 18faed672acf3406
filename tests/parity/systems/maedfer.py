"""How MAE-DFER's cases are run."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.collect import Case
from tests.parity.compare import FORWARD, assert_summary, close
from tests.parity.detweights import input_for
from tests.parity.running import (
    PUBLISHED,
    Drawn,
    build,
    compare_all,
    compare_gradients,
    compare_layers,
    compare_mixing,
    compare_output,
    compare_supervised,
    compare_training_mode,
    compare_views,
    draw_masks,
    filled,
    predictions,
    seen_in_pretraining,
    watch,
)
from torch import Tensor

from mien.checkpoints.convert.base import Plan, get_converter
from mien.data.boxes import anchored_box, area_box, erase_box
from mien.data.finish import Hole, fill
from mien.data.settings import AugmentationSettings
from mien.data.windows import stretched_window, strided_window
from mien.pretext.masked_autoencoder import MaskedAutoencoder
from mien.pretext.masking import region_tube_mask, tube_mask
from mien.pretext.targets import MotionTarget, PixelTarget
from mien.training.optim import parameter_groups
from mien.training.schedules import cosine_schedule

CONVERTER = get_converter("maedfer")


def run(case: Case) -> None:
    kinds = {"finetune": finetuned, "pretrain": pretraining}
    tables = {
        "masks": mask_table,
        "layer_decay": layer_decay,
        "schedules": schedules,
        "mixup": mixup,
        "sampling": sampling,
        "crops": crops,
        "random_erasing": random_erasing,
    }
    if case.data.get("kind") in kinds:
        return kinds[case.data["kind"]](case.data)
    if case.name not in tables:
        pytest.fail(f"no way to run {case}")
    # tables are keyed by what they hold; a note beside them is for people
    return tables[case.name]({key: one for key, one in case.data.items() if not isinstance(one, str)})


def finetuned(data: dict[str, Any]) -> None:
    plan = CONVERTER.plan_arguments(data["kwargs"])
    # shared attention stands in the file under every alias; the value of the last one is what the reference ran with
    model = filled(CONVERTER, plan, data, aliases(plan, data["state"]))
    encoder = model.encoder
    seen = watch({"patch tokens before position encoding (B,N,C)": encoder.embedding})
    for i, block in enumerate(encoder.blocks):
        block.register_forward_hook(lambda _m, _i, output, i=i: seen.update(block_outputs(i, output)))
    video = input_for(data["input_case"], data["input_shape"])
    with torch.inference_mode():
        output = predictions(model, plan, {"video": video})
        features = encoder.forward_features({"video": video})
    pooled = features.frames if plan.head["per_frame"] else features.pooled
    seen["pooled feature after final norm, before head"] = pooled
    compare_all(data["intermediates"], seen, FORWARD)
    compare_output(output, data)
    if "position_encoding" in data:
        assert_summary(encoder.positions.table, data["position_encoding"], FORWARD, "positions")
    if "training" in data:
        compare_supervised(model, CONVERTER, plan, video, data["training"])
    if "train_mode_forward" in data:
        compare_training_mode(model, CONVERTER, plan, video, data["train_mode_forward"])


def aliases(plan: Plan, names: Iterable[str]) -> dict[str, str]:
    """Attentions that share the weights of the one whose name stands last."""
    steps = {"first_third": ("first", "third"), "all": ("first", "second", "third")}.get(
        plan.arguments.get("sharing"), ()
    )
    there = [f"{step}_attn" for step in steps if any(f".{step}_attn." in name for name in names)]
    return dict.fromkeys(there[:-1], there[-1]) if there else {}


def block_outputs(i: int, output: Tensor) -> dict[str, Tensor]:
    """A block's output under the name that the files use for its shape."""
    if output.ndim == 4:
        return {f"output of block {i} (B*regions, 1+tokens, C)": output.flatten(0, 1)}
    return {f"output of block {i} (B,N,C)": output}


def mask_of(rule: dict[str, Any], rng: np.random.RandomState) -> np.ndarray:
    """One draw of a stated kind."""
    grid = tuple(rule["window"])
    if rule["kind"] == "tube":
        return tube_mask(rng, grid, rule["ratio"])
    if rule["kind"] == "part_window":
        return region_tube_mask(rng, grid, rule["ratio"], tuple(rule["win_size"]), rule["symmetry"])
    return pytest.fail(f"no way to draw a {rule['kind']!r} mask")


def pretraining(data: dict[str, Any]) -> None:
    plan = CONVERTER.plan_arguments(data["kwargs"])
    model = filled(CONVERTER, plan, data)
    video = input_for(data["input_case"], data["input_shape"])
    batch = {"video": video, **draw_masks(data["mask"], len(video), functools.partial(mask_of, data["mask"]))}
    seen = seen_in_pretraining(model)
    for i, block in enumerate(model.encoder.blocks):
        name = f"encoder block {i} output"
        block.register_forward_hook(lambda _m, _i, output, name=name: seen.__setitem__(name, without_own(output)))
    with torch.inference_mode():
        output = model(batch)
    assert_summary(output, data["output"], FORWARD, "output")
    compare_all(data["intermediates"], seen, FORWARD)
    losses = pretraining_losses(model, batch, output, data["targets"], data["losses"])
    assert losses.keys() == data["losses"].keys()
    for name, expected in data["losses"].items():
        close(losses[name], expected, FORWARD, 0.0, name)
    if "training" in data:
        model.target = target("joint target, group size 2, normalised")
        loss, _ = model.loss(batch)
        close(loss.item(), data["training"]["loss"], FORWARD, 0.0, "loss")
        loss.backward()
        compare_gradients(model, CONVERTER, plan, data["training"])


def without_own(output: Tensor) -> Tensor:
    """The reference looked at blocks of LGI-Former by region, region tokens included."""
    return output.flatten(0, 1) if output.ndim == 4 else output


def pretraining_losses(
    model: MaskedAutoencoder,
    batch: dict[str, Tensor],
    output: Tensor,
    targets: dict[str, Any],
    named: Iterable[str],
) -> dict[str, float]:
    """The loss for every target of the case, those targets compared, the parts of the joint one, and its weighted sums
    as far as they are named."""
    losses = {}
    for name, summary in targets.items():
        made = target(name)
        values = made(batch["video"], batch["masked"], model.encoder.tubelet)
        assert_summary(values, summary, FORWARD, name)
        loss, parts = made.error(output, values)
        losses[f"mse | {name}"] = loss.item()
        # the parts are of the standardised target, where a case has a raw one too
        told = "appearance part (first frame of each pair)" in losses and not made.standardise
        if isinstance(made, MotionTarget) and made.group == model.encoder.tubelet[0] and not told:
            losses["appearance part (first frame of each pair)"] = parts["appearance"].item()
            losses["motion part (second frame of each pair)"] = parts["motion"].item()
            for sum_ in named:
                if found := re.fullmatch(r"weighted, target_diff_weight=([\d.]+)", sum_):
                    weighted = MotionTarget(PUBLISHED.mean, PUBLISHED.std, motion_weight=float(found[1]))
                    losses[sum_] = weighted.error(output, values)[0].item()
    return losses


def target(name: str) -> PixelTarget:
    """The target that the files describe in words."""
    what, *how = name.split(", ")
    standardised = {"normalised": True, "normalised pixels": True, "raw pixels": False, "raw": False}.get(how[-1])
    if standardised is not None and what == "appearance only" and len(how) == 1:
        return PixelTarget(PUBLISHED.mean, PUBLISHED.std, standardised)
    if standardised is not None and what == "joint target" and how[0].startswith("group size "):
        group = int(how[0].removeprefix("group size "))
        return MotionTarget(PUBLISHED.mean, PUBLISHED.std, standardised, group)
    return pytest.fail(f"no way to make the target {name!r}")


def mask_table(data: dict[str, Any]) -> None:
    """Three draws in a row for every rule that the names state."""
    for name, expected in data.items():
        words = name.split()
        rule = {"kind": words[0], "window": (8, 10, 10), "ratio": 0.9, "win_size": (5, 10), "symmetry": None}
        for word in words[1:]:
            if word.startswith("win"):
                rule["win_size"] = tuple(int(side) for side in word.removeprefix("win").split("x"))
            elif word.startswith("r") and word[1:2].isdigit():
                rule["ratio"] = float(word[1:])
            elif word.count("x") == 2:
                rule["window"] = tuple(int(side) for side in word.split("x"))
            elif word in ("local", "global"):
                rule["symmetry"] = word
            elif word != "symmetry":
                pytest.fail(f"no way to draw {name!r}")
        rng = np.random.RandomState(0)
        drawn = np.stack([mask_of(rule, rng) for _ in range(expected["shape"][0])])
        assert list(drawn.shape) == expected["shape"], name
        slices = drawn.reshape(len(drawn), rule["window"][0], -1)
        assert [np.flatnonzero(~s[0]).tolist() for s in slices] == expected["visible_first_frame"], name
        assert bool((slices == slices[:, :1]).all()) == expected["tiled"], name


def layer_decay(data: dict[str, Any]) -> None:
    for name, table in data.items():
        if name.startswith("pretraining groups"):
            pretraining_groups(table)
            continue
        depth = len(table["values"]) - 2
        kwargs = {"registered_name": "vit_base_dim512_no_depth_patch16_160", "depth": depth, "num_classes": 7}
        regions = {"attn_type": "local_global", "lg_region_size": (2, 5, 10), "lg_classify_token_type": "region"}
        plan = CONVERTER.plan_arguments(kwargs | (regions if "lg_region_tokens" in table["parameters"] else {}))
        with torch.device("meta"):
            model = build(plan)
        published = CONVERTER.to_published(dict(model.named_parameters()), plan)
        assert published.keys() == table["parameters"].keys()
        compare_layers(model, CONVERTER, plan, table["parameters"], table["rate"], table["weight_decay"])
        close([table["rate"] ** (depth + 1 - i) for i in range(depth + 2)], table["values"], 1e-6, 0.0, "scales")


def pretraining_groups(table: dict[str, Any]) -> None:
    """Without layer decay; the published code decays region tokens in pretraining, mien only where it is asked to."""
    plan = CONVERTER.plan_arguments(
        {
            "registered_name": "pretrain_videomae_base_dim512_no_depth_patch16_160",
            "encoder_depth": 16,
            "decoder_depth": 4,
            "attn_type": "local_global",
            "lg_region_size": (2, 5, 10),
        }
    )
    with torch.device("meta"):
        model = build(plan)
    sizes = {"decay": table["decayed_count"], "no_decay": table["no_decay_count"]}
    for as_published in (True, False):
        model.decay_tokens = as_published
        groups = parameter_groups(model, weight_decay=0.05)
        names = {
            group["name"]: list(CONVERTER.to_published(dict.fromkeys(group["names"], torch.zeros(1)), plan))
            for group in groups
        }
        moved = 0 if as_published else len(table["decayed_small"])
        assert {name: len(found) for name, found in names.items()} == {
            "decay": sizes["decay"] - moved,
            "no_decay": sizes["no_decay"] + moved,
        }
        assert set(table["no_decay"]) <= set(names["no_decay"])
        assert set(table["decayed_small"]) <= set(names["decay" if as_published else "no_decay"])


def schedules(data: dict[str, Any]) -> None:
    for name, table in data.items():
        args = table["args"]
        steps = args["epochs"] * args["niter_per_ep"]
        values = cosine_schedule(
            args["base_value"], args["final_value"], steps, args["warmup_epochs"] * args["niter_per_ep"]
        )
        assert len(values) == table["length"], name
        close(values[table["index"]], table["values"], 1e-8, 0.0, name)


def mixup(data: dict[str, Any]) -> None:
    """Mixup 0.8 and cutmix 1.0 by a coin, smoothing 0.1; the keys are seeds."""
    for seed, case in data.items():
        compare_mixing(int(seed), input_for(case["input_case"], case["shape"]), case["labels"], case)


def sampling(data: dict[str, Any]) -> None:
    for key in data:
        if key not in ("train_or_val", "test", "pretrain"):
            pytest.fail(f"no way to sample for {key!r}")
    for row in data["train_or_val"]:
        rng = Drawn(np.random.RandomState(row["numpy_seed"]))
        index = stretched_window(row["frames"], len(row["index"]), row["sampling_rate"], rng)
        assert index.tolist() == row["index"], row
    for row in data["pretrain"]:
        rng = Drawn(np.random.RandomState(row["numpy_seed"]))
        assert strided_window(row["frames"], len(row["index"]), 4, rng).tolist() == row["index"], row
    for row in data["test"]:
        compare_views(row["frames"], row["sampling_rate"], row["views"])


def crops(data: dict[str, Any]) -> None:
    """Sizes stand in the names; the keys are seeds of Python's own generator."""
    for name, table in data.items():
        height, width = (int(side) for side in re.search(r"(\d+)x(\d+)", name).groups())
        for seed, expected in table.items():
            rng = Drawn(random.Random(int(seed)))
            if name.startswith("pretrain multi-scale crop"):
                side = int(re.search(r"input (\d+)", name)[1])
                top, left, h, w = anchored_box(height, width, AugmentationSettings().crop_sizes, side, rng)
                assert [w, h, left, top] == expected, (name, seed)
            elif "random resized crop" in name:
                low, high, narrow, wide = (float(x) for x in re.findall(r"[\d.]+", name.split("scale")[1]))
                assert list(area_box(height, width, (low, high), (narrow, wide), rng)) == expected, (name, seed)
            else:
                pytest.fail(f"no way to crop as in {name!r}")


def random_erasing(data: dict[str, Any]) -> None:
    """Boxes in pictures of 160 pixels with probability 0.25 by the published draws; then mien's own erasing of one."""
    for seed, expected in data["boxes"].items():
        rng = Drawn(random.Random(int(seed)))
        settings = AugmentationSettings(erase=0.25)
        box = erase_box(160, 160, settings.erase_scale, rng) if rng.random() < settings.erase else None
        if expected is None:
            assert box is None
            continue
        assert box is not None
        top, left, height, width = box
        video = torch.full((3, 4, 160, 160), 9.0)
        fill(video, Hole(box, int(seed)))
        hit = video != 9.0
        same_box, same_noise = bool((hit == hit[:, :1]).all()), bool((video[:, 0] == video[:, 1]).all())
        assert [top, top + height, left, left + width, same_box, same_noise] == expected
