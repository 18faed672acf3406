"""How SS-VAERR's cases of losses and metrics are run."""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from tests.parity.compare import FORWARD, assert_summary, close
from tests.parity.detweights import input_for, state_for
from torch import Tensor
from torch.nn import functional

from mien.checkpoints.convert.base import Converter, get_converter
from mien.errors import MienError
from mien.evaluation.metrics import metric
from mien.models.specification import TaskConfig
from mien.tasks import create_model
from mien.tasks.binned import Binned, bins_of
from mien.tasks.binned_losses import Told, binned_loss, published_concordance_loss
from mien.tasks.losses import concordance_loss
from mien.tasks.published_costs import PublishedCosts, lloyd

TYPES = {
    1: "mse",
    2: "ccc",
    3: "ce",
    4: "bce",
    5: "ccc+ce",
    6: "ccc+ce+mse",
    7: "arousal:ccc+ce",
    8: "arousal:ccc+ce+mse",
    9: "ccc+ncce",
    10: "ccc+ncce+mse",
}
BINS = 20
OUTPUTS = ("arousal", "valence")


def options_for(loss_type: int, variant: str) -> dict[str, str]:
    """Options of the task that repeat one variant of a published loss."""
    published = {"ccc": "published", "cross_entropy": "published", "columns": "proper", "costs": "proper"}
    variants: dict[str, dict[str, str]] = {
        "literal": {"columns": "published" if loss_type in (3, 4) else "proper", "costs": "published"},
        "reachable": {"costs": "published"},
        "regression": {},
        "ce_on_probs": {},
        "bce20": {},
        "nll": {"cross_entropy": "proper"},
        "proper_ce": {"cross_entropy": "proper"},
        "recommended": {"cross_entropy": "proper"},
        "flat42": {"loss": "brier+mse"},
    }
    if variant not in variants or loss_type not in TYPES:
        pytest.fail(f"no way to compute variant {variant!r} of loss type {loss_type}")
    return {"loss": TYPES[loss_type]} | published | variants[variant]


def shapes_of(converter: Converter) -> dict[str, list[int]]:
    """Published names and shapes of the whole default model."""
    plan = converter.plan_arguments({})
    assert plan.task is not None
    with torch.device("meta"):
        model = create_model(plan.model, Binned(plan.task), **plan.arguments)
    return {name: list(value.shape) for name, value in converter.to_published(model.state_dict(), plan).items()}


def target(case: str, clips: int, frames: int) -> Tensor:
    return torch.tanh(0.5 * input_for(case, (clips, frames, 2)).double())


def predictions(case: str, clips: int, frames: int) -> Tensor:
    """Published columns in float64: probabilities and values, computed in float32."""
    z = input_for(case, (clips, frames, 2 * (BINS + 1))).unflatten(-1, (2, BINS + 1))
    return torch.cat([z[..., :-1].softmax(-1), 2 * z[..., -1:].sigmoid() - 1], dim=-1).flatten(-2).double()


def told(pred: Tensor, truth: Tensor) -> dict[str, Told]:
    parts = pred.unflatten(-1, (2, -1))
    made = {}
    for number, name in enumerate(OUTPUTS):
        probabilities = parts[..., number, :-1].flatten(0, -2)
        values, y = parts[..., number, -1].flatten(), truth[..., number].flatten()
        bins = torch.from_numpy(bins_of(y.numpy(), BINS))
        made[name] = Told(probabilities, probabilities.clamp_min(1e-300).log(), values, y, bins)
    return made


def sizes(data: dict[str, Any]) -> tuple[int, int]:
    kwargs = data.get("kwargs", {})
    return kwargs.get("B", 3), kwargs.get("T", 24)


def names(data: dict[str, Any]) -> tuple[str, str]:
    kwargs = data.get("kwargs", {})
    return kwargs.get("pred_case", "vaerr_loss_pred"), kwargs.get("target_case", "vaerr_loss_target")


@functools.cache
def parameters() -> torch.nn.ParameterList:
    """Those of the whole model, as the cases fill it."""
    filled = state_for(shapes_of(get_converter("vaerr")))
    kept = [v for n, v in filled.items() if not n.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    return torch.nn.ParameterList(kept)


def costs() -> PublishedCosts:
    return PublishedCosts(lambda: iter(parameters()))


def value(loss_type: int, variant: str, pred: Tensor, truth: Tensor, carried: PublishedCosts | None = None) -> Tensor:
    task = Binned(TaskConfig(kind="binned", level="frame", outputs=OUTPUTS, options=options_for(loss_type, variant)))
    wanted = task.options.costs == "published" and "ncce" in TYPES[loss_type]
    published = (carried or costs()) if wanted else None
    return binned_loss(told(pred, truth), task.weights, task.options.ways, published)


def inputs(data: dict[str, Any]) -> None:
    (pred_case, target_case), (clips, frames) = names(data), sizes(data)
    pred, truth = predictions(pred_case, clips, frames), target(target_case, clips, frames)
    assert_summary(pred, data["pred"], FORWARD, "pred")
    bins = torch.from_numpy(bins_of(truth.numpy(), BINS))
    assert bins[..., 0].tolist() == data["bin_idx_arousal"]
    assert bins[..., 1].tolist() == data["bin_idx_valence"]
    flags = torch.cat([functional.one_hot(bins, BINS).double(), truth[..., None]], dim=-1)
    assert_summary(flags, data["target"], FORWARD, "target")


def binning(data: dict[str, Any]) -> None:
    assert bins_of(data["values"], BINS).tolist() == data["bins"]


def components(data: dict[str, Any]) -> None:
    (pred_case, target_case), (clips, frames) = names(data), sizes(data)
    pred, truth = predictions(pred_case, clips, frames), target(target_case, clips, frames)
    ways = {
        "ccc_loss": ("ccc", "literal"),
        "mse": ("mse", "literal"),
        "ce_on_probs": ("ce", "ce_on_probs"),
        "nll": ("ce", "nll"),
        "bce": ("bce", "bce20"),
    }
    for name, expected in data["components"].items():
        kind, _, output = name.rpartition("_")
        if kind not in ways or output not in OUTPUTS:
            pytest.fail(f"no way to compute {name!r}")
        term, variant = ways[kind]
        task = Binned(
            TaskConfig(kind="binned", level="frame", outputs=OUTPUTS, options=options_for(3, variant) | {"loss": term})
            if variant != "literal"
            else TaskConfig(kind="binned", level="frame", outputs=OUTPUTS, options={"loss": term, "ccc": "published"})
        )
        one = {output: told(pred, truth)[output]}
        loss = binned_loss(one, {output: {term: 1.0}}, task.options.ways)
        close(loss.item(), expected, 1e-9, 0.0, name)


def loss(data: dict[str, Any]) -> None:
    if "rows" in data:
        return carried(data)
    (pred_case, target_case), (clips, frames) = names(data), sizes(data)
    truth = target(target_case, clips, frames)
    variants = [("literal", data["literal"])] if "loss" in data["literal"] else []
    variants += [(one["name"], one) for one in data.get("fixed", [])]
    for name, expected in variants:
        pred = predictions(pred_case, clips, frames).requires_grad_()
        found = value(data["loss_type"], name, pred, truth)
        close(found.item(), expected["loss"], 1e-6, 0.0, f"loss type {data['loss_type']}, {name}")
        assert str(found.dtype) == expected.get("dtype", str(found.dtype))
        if "grad_pred" in expected:
            found.backward()
            assert_summary(pred.grad, expected["grad_pred"], 1e-5, f"gradient, {name}")
    # what the published code cannot do at all, this does
    if "error" in data["literal"]:
        default = value(data["loss_type"], data["fixed"][0]["name"], predictions(pred_case, clips, frames), truth)
        assert torch.isfinite(default)
    clusters(data, predictions(pred_case, clips, frames), truth)
    return None


def clusters(data: dict[str, Any], pred: Tensor, truth: Tensor) -> None:
    parts = data.get("parts", {})
    if not parts and "kmeans" not in data:
        return
    for name, one in told(pred, truth).items():
        term = costs()
        if f"mean_cost_{name}" in parts:
            close(term.cost(name, one).mean().item(), parts[f"mean_cost_{name}"], 1e-6, 0.0, f"cost of {name}")
            entropy = functional.cross_entropy(one.probabilities, one.bins)
            close(entropy.item(), parts[f"ce20_{name}"], 1e-6, 0.0, f"entropy of {name}")
        if "L2" in parts:
            rest = parts[f"mean_cost_{name}"] * parts[f"ce20_{name}"]
            close(costs()(name, one).item() - rest, parts["L2"], 1e-5, 0.0, "norms of all parameters")
        if name in data.get("kmeans", {}):
            expected = data["kmeans"][name]
            truth_labels, moved = lloyd(one.flags.float(), one.flags[:BINS].float())
            guess_labels, _ = lloyd(one.probabilities.float(), moved)
            assert truth_labels.tolist() == expected["labels_target"]
            assert guess_labels.tolist() == expected["labels_pred"]
            assert moved.isnan().any(dim=1).nonzero().flatten().tolist() == expected["dead_clusters_after_target"]
            dead = term.centroids[name].isnan().any(dim=1)
            assert dead.nonzero().flatten().tolist() == expected["dead_clusters_after_pred"]
            assert_summary(term.centroids[name][~dead], expected["centroids_after_pred_live"], 1e-5, "live centroids")


def carried(data: dict[str, Any]) -> None:
    term, kwargs = costs(), data["kwargs"]
    for row, pred_case, target_case in zip(data["rows"], kwargs["pred_cases"], kwargs["target_cases"], strict=True):
        clips, frames = sizes(data)
        pred, truth = predictions(pred_case, clips, frames), target(target_case, clips, frames)
        found = value(data["loss_type"], "literal", pred, truth, term)
        close(found.item(), row["loss_carried"], 1e-6, 0.0, f"batch {row['batch']}")
        fresh = value(data["loss_type"], "literal", pred, truth)
        close(fresh.item(), row["loss_fresh_centroids"], 1e-6, 0.0, f"batch {row['batch']} alone")
        for name in OUTPUTS:
            alive = int((~term.centroids[name].isnan().any(dim=1)).sum())
            assert alive == row[f"live_clusters_{name}"]


def too_short(data: dict[str, Any]) -> None:
    frames = data["kwargs"]["T"]
    pred, truth = predictions("vaerr_loss_pred", 1, frames), target("vaerr_loss_target", 1, frames)
    with pytest.raises(MienError, match="published costs need 20 frames"):
        value(10, "literal", pred, truth)
    assert torch.isfinite(value(10, "recommended", pred, truth))


def made_by(words: str) -> Tensor:
    """A signal as a case writes it down, such as ``input_for('vaerr_ccc_a',(50,)) as float64``."""
    found = re.fullmatch(r"input_for\('(\w+)',\s*\((\d+),\)\) as float64", words)
    assert found, f"no way to make {words!r}"
    return input_for(found[1], (int(found[2]),)).double()


def signals(a: Tensor, b: Tensor, name: str, length: int) -> tuple[Tensor, Tensor]:
    """The pairs of the table of concordances, by name."""
    pairs = {
        "independent": (a, b),
        "correlated": (a, 0.7 * a + 0.3 * b),
        "shifted": (a, a + 0.5),
        "scaled": (a, 2 * a),
        "identical": (a, a),
        "identical_n10": (a[:10], a[:10]),
        "negated": (a, -a),
        "constant_pred": (torch.full_like(a, 0.3), b),
        "constant_both": (torch.full_like(a, 0.3), torch.full_like(a, 0.3)),
        "n2": (a[:2], b[:2]),
    }
    if name not in pairs:
        pytest.fail(f"no way to make the signals {name!r}")
    assert len(pairs[name][0]) == length
    return pairs[name]


def logged(data: dict[str, Any]) -> None:
    """What the published log calls CCC: from rows of 21 columns, the covariance of two frames of the prediction."""
    pred = predictions("vaerr_loss_pred", *sizes(data))[0, :, : BINS + 1].numpy()
    truth = target("vaerr_loss_target", *sizes(data))[0, :, 0].numpy()
    flags = np.column_stack([np.eye(BINS)[bins_of(truth, BINS)], truth])
    found = 2 * np.cov(pred[0], pred[1])[0, 1] / (pred.var() + flags.var() + (pred.mean() - flags.mean()) ** 2)
    close(found, data["value"], 1e-6, 0.0, "the published log's CCC")


def concordance(data: dict[str, Any]) -> None:
    if "rows" not in data:
        logged(data)
        return
    made = {key: made_by(words) for key, words in data["kwargs"].items()}
    for row in data["rows"]:
        x, y = signals(made["a"], made["b"], row["name"], row["n"])
        published = published_concordance_loss(x, y).item()
        close(published, row["loss_one_minus_ccc"], 1e-6, 1e-9, f"published loss, {row['name']}")
        ours = concordance_loss(x[:, None].float(), y[:, None].float()).item()
        assert np.isfinite(ours)
        if not row["name"].startswith("constant"):
            close(1 - ours, row["lin_biased"], 1e-4, 1e-6, f"loss, {row['name']}")
            close(metric("ccc")(y.numpy(), x.numpy()), row["lin_biased"], 1e-9, 1e-12, row["name"])
            close(row["lin_biased"] * row["n"] / (row["n"] - 1), row["metric_get_ccc"], 1e-9, 1e-12, row["name"])


def metrics(data: dict[str, Any]) -> None:
    (pred_case, target_case), (clips, frames) = names(data), sizes(data)
    pred, truth = predictions(pred_case, clips, frames), target(target_case, clips, frames)
    for number, (literal, fixed) in enumerate(zip(data["literal"], data["fixed"], strict=True)):
        one = told(pred, truth)[OUTPUTS[number]]
        y, x, n = one.truth.numpy(), one.values.numpy(), len(one.values)
        found = one.probabilities.argmax(dim=-1).numpy()
        bins, probabilities = one.bins.numpy(), one.probabilities.numpy()
        ours = {
            "CCC_lin": metric("ccc")(y, x),
            "CCC_reference": metric("ccc")(y, x) * n / (n - 1),
            "Corr": metric("pearson")(y, x),
            "MSE": metric("mse")(y, x),
            "MAE": metric("mae")(y, x),
            "F1_weighted_bins": metric("weighted_f1")(bins, probabilities),
            "bin_accuracy": metric("war")(bins, probabilities),
        }
        present = np.union1d(bins, found)
        ours["F1_macro_bins_20"] = metric("macro_f1")(bins, probabilities)
        for name, expected in fixed.items():
            if name not in ours:
                pytest.fail(f"no way to compute {name!r}")
            close(ours[name], expected, 1e-6, 0.0, f"{name} of {OUTPUTS[number]}")
        close(ours["CCC_reference"], literal["CCC"], 1e-6, 0.0, "CCC")
        assert confusion_matrix(bins, found, labels=present).tolist() == literal["CM"]
    for clip, row in enumerate(data["per_video_ccc_reference"]):
        for name in OUTPUTS:
            one = told(pred[clip : clip + 1], truth[clip : clip + 1])[name]
            n = len(one.values)
            close(metric("ccc")(one.truth.numpy(), one.values.numpy()) * n / (n - 1), row[name], 1e-6, 0.0, name)


KINDS = {
    "binning_spec": binning,
    "loss_inputs": inputs,
    "loss_components": components,
    "loss": loss,
    "ccc": concordance,
    "metrics": metrics,
}
