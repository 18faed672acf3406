"""How ViPER's cases are run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from tests.parity.collect import Case
from tests.parity.compare import FORWARD, assert_summary, close
from tests.parity.detweights import input_for, state_for
from torch import Tensor
from torch.nn import functional as F

from mien.checkpoints.bundle import load
from mien.checkpoints.conversion import convert
from mien.checkpoints.convert.base import get_converter
from mien.checkpoints.convert.viper import LETTERS
from mien.checkpoints.strict import load_strictly
from mien.evaluation.metrics import metric
from mien.extraction.timing import published_frame_choice, sound_windows
from mien.models import Recogniser, create_encoder
from mien.models.viper import PerceiverLayer
from mien.tasks import create_task
from mien.tasks.tenths import confusion_by_tenths, dominant_confusion, published_tenths
from mien.training.schedules import halving_schedule

CONVERTER = get_converter("viper")
NAMES = {"V": "viper.visual", "A": "viper.audio", "T": "viper.textual", "F": "viper.fau"}
VALUES = {"V": 768, "A": 512, "T": 768, "F": 27}


def run(case: Case) -> None:
    special: dict[str, Callable[[Case], None]] = {
        "pickled_checkpoint": pickled,
        "parameter_counts": counts,
        "train_script_small": training,
        "mean_pearson": pearson,
        "confusion_script": confusion,
        "frame_selection": frames,
        "audio_windows": windows,
    }
    found = [function for name, function in special.items() if case.name.startswith(name)]
    if not found and not case.name.startswith("perceiver"):
        pytest.fail(f"no way to run {case}")
    (found[0] if found else perceiver)(case)


def filled(kwargs: Mapping[str, Any], shapes: Mapping[str, list[int]] | None) -> Recogniser:
    """The case's model through the converter; checks names, shapes and the way back."""
    plan = CONVERTER.plan_arguments(kwargs)
    assert plan.task is not None
    model = create_task(plan.task).make_model(create_encoder(plan.model, **plan.arguments))
    own = CONVERTER.to_published(model.state_dict(), plan)
    published = state_for(shapes or {name: value.shape for name, value in own.items()})
    load_strictly(model, CONVERTER.to_mien(published, plan), "the case")
    back = CONVERTER.to_published(model.state_dict(), plan)
    assert back.keys() == published.keys()
    assert all(torch.equal(back[name], value) for name, value in published.items())
    return model.eval()


def watch(model: Recogniser, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The output, what the layers with a published name return, and their attention weights."""
    encoder = model.encoder
    layers = {"encoder.cross_attention": encoder.read, "decoder.decoding_cross_attention": encoder.decode}
    layers |= {f"encoder.self_attends.{i}": block for i, block in enumerate(encoder.blocks)}
    seen: dict[str, Tensor] = {}

    def after(name: str, layer: PerceiverLayer, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[name] = output
        weights = "decoder.cross_attention" if name.startswith("decoder") else name
        seen[f"{weights}.probabilities"] = probabilities(layer, *inputs)

    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output, name=name: after(name, layer, inputs, output))
        for name, layer in layers.items()
    ]
    with torch.inference_mode():
        output = model(inputs)
    for hook in hooks:
        hook.remove()
    return output, seen


def probabilities(layer: PerceiverLayer, latents: Tensor, context: Tensor | None = None) -> Tensor:
    """Attention weights ``(B, heads, L, N)`` by the plain formula."""
    query = layer.norm(latents)
    seen = query if context is None else layer.context_norm(context)
    q, k = (x.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for x in (layer.query(query), layer.key(seen)))
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)


def perceiver(case: Case) -> None:
    data = case.data
    model = filled(data["kwargs"], data["state"])
    assert sum(p.numel() for p in model.parameters()) == data["params"]
    assert data["mode"] == "eval"
    inputs = {LETTERS[key]: input_for(value["case"], value["shape"]) for key, value in data["inputs"].items()}
    output, seen = watch(model, inputs)
    seen["last_hidden_state"] = seen[f"encoder.self_attends.{model.encoder.depth - 1}"]
    assert_summary(output, data["output"], FORWARD, "output")
    near(output, data["logits"], "logits")
    for name, summary in data.get("intermediates", {}).items():
        if name not in seen:
            pytest.fail(f"no way to see {name!r}")
        assert_summary(seen[name], summary, FORWARD, name)
    for name, expected in data.get("losses", {}).items():
        assert name == "mean_mse", name
        labels = torch.sigmoid(input_for("viper.labels", output.shape))
        close(F.mse_loss(output, labels).item(), expected["value"], FORWARD, 0.0, name)
    table = CONVERTER.plan_arguments(data["kwargs"])
    published = CONVERTER.to_published(model.state_dict(), table)
    for name, kind in data.get("dtype", {}).items():
        assert str(published[name].dtype) == kind, name
    for name, expected in data.get("extra", {}).items():
        extra(model, inputs, output, name, expected)


def near(actual: Tensor, expected: Any, what: str) -> None:
    floor = FORWARD * float(np.abs(np.asarray(expected)).max())
    close(actual.detach().double().numpy(), expected, FORWARD, floor, what)


@torch.inference_mode()
def extra(model: Recogniser, inputs: dict[str, Tensor], output: Tensor, name: str, expected: Any) -> None:
    if expected is None:
        return
    if name == "max_change_when_the_32_steps_are_permuted":
        order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
        change = model({key: x[:, order] for key, x in inputs.items()}) - output
        assert change.abs().max() < max(10 * expected, 1e-5)
    elif name == "logits_audio_columns_zero":
        near(model({key: x for key, x in inputs.items() if key != "audio"}), expected, name)
    elif name == "logits_first_16_steps":
        near(model({key: x[:, :16] for key, x in inputs.items()}), expected, name)
    else:
        pytest.fail(f"no way to see {name!r}")


def pickled(case: Case) -> None:
    data = case.data
    file = case.beside(data["file"])
    state = CONVERTER.read(file, None).state
    expected = state_for(data["state"])
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    with tempfile.TemporaryDirectory() as folder:
        convert("viper", file, Path(folder) / "bundle")
        bundle = load(Path(folder) / "bundle")
    plan = CONVERTER.plan_arguments(data["kwargs"])
    assert bundle.specification.model == plan.model
    assert bundle.specification.arguments.items() >= plan.arguments.items()
    inputs = {name: input_for(value["case"], value["shape"]) for name, value in data["inputs"].items()}
    with torch.inference_mode():
        output = bundle.model(inputs)
    assert_summary(output, data["output"], FORWARD, "output")
    near(output, data["logits"], "logits")


def counts(case: Case) -> None:
    for letters, expected in case.data["output"].items():
        plan = CONVERTER.plan_arguments({"modalities": letters, "d_model": expected["d_model"]})
        with torch.device("meta"):
            model = create_task(plan.task).make_model(create_encoder(plan.model, **plan.arguments))
        count = sum(p.numel() for p in model.parameters())
        assert count == expected["params"], letters
        for name, size in case.data["published_file_bytes"].items():
            if name.startswith(f"ViPER-{letters}/"):
                assert size == 4 * count + 210773, name


def training(case: Case) -> None:
    kwargs = dict(case.data["kwargs"])
    train, val, batch = kwargs.pop("n_train"), kwargs.pop("n_val"), kwargs.pop("batch")
    epochs, lr, halve = kwargs.pop("epochs"), kwargs.pop("lr"), kwargs.pop("step_size")
    log_steps, seed = kwargs.pop("log_steps"), kwargs.pop("torch_seed")
    model = filled({"modalities": "VATF", **kwargs}, None)
    task = create_task(CONVERTER.plan_arguments({"modalities": "VATF"}).task)
    streams, labels = corpus(train + val)
    rates = halving_schedule(lr, halve * -(-train // batch), epochs * -(-train // batch) + 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    torch.manual_seed(seed)
    order, step = torch.arange(train), 0
    lines: list[tuple[str, int, int, float]] = []
    printed = []  # rates after the scheduler's step: with every logged loss, and at the end of an epoch
    for epoch in range(1, epochs + 1):
        order = order[torch.randperm(train)]  # the published script permutes what it permuted before
        running = 0.0
        for number, part in enumerate(order.split(batch)):
            optimiser.param_groups[0]["lr"] = rates[step]
            step += 1
            loss = task.loss(model.train()({n: x[part] for n, x in streams.items()}), {"target": labels[part].float()})
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            running += loss.item()
            if number and number % log_steps == 0:  # the published window starts with one batch too many
                lines.append(("Train loss", epoch, number + 1, running / log_steps))
                printed.append(rates[step])
                running = 0.0
        printed.append(rates[step])
        with torch.inference_mode():
            output = model.eval()({n: x[train:] for n, x in streams.items()})
        truth = labels[train:]
        parts = zip(output.split(batch), truth.float().split(batch), strict=True)
        lines.append(("Val loss", epoch, 0, float(np.mean([F.mse_loss(o, t).item() for o, t in parts]))))
        lines.append(("Pearson correlation", epoch, 0, mean_pearson(truth.numpy(), output.double().numpy())))
    assert case.data["checkpoints"] == [f"perceiver_{epoch}.model" for epoch in range(1, epochs + 1)]
    compare_log(case.data["log"], lines)
    close(output.numpy(), case.data["final_val_logits"], 1e-4, 1e-4, "final outputs")
    close(printed, case.data["printed_learning_rates"], 1e-9, 0.0, "rates")


def corpus(clips: int) -> tuple[dict[str, Tensor], Tensor]:
    streams = {LETTERS[key]: input_for(f"{name}.corpus", (clips, 32, VALUES[key])) for key, name in NAMES.items()}
    return streams, torch.from_numpy(np.round(expit(input_for("viper.corpus.labels", (clips, 7)).double().numpy()), 6))


def mean_pearson(gold: np.ndarray, guess: np.ndarray) -> float:
    return float(np.mean([metric("pearson")(gold[:, i], guess[:, i]) for i in range(gold.shape[1])]))


def compare_log(log: list[str], lines: list[tuple[str, int, int, float]]) -> None:
    printed = [line for line in log if line.startswith(("Train loss", "Val loss", "Pearson"))]
    assert len(printed) == len(lines)
    for line, (what, epoch, number, value) in zip(printed, lines, strict=True):
        batch = f"at epoch {epoch:5d} after mini-batch {number:5d}: "
        words = f"{what} {batch}" if number else f"{what} after epoch {epoch:5d}: "
        assert line.startswith(words), line
        close(value, float(line.rsplit(": ", 1)[1]), 1e-4, 1e-4, words)
    losses = [value for what, _, _, value in lines if what == "Val loss"]
    pearsons = [value for what, _, _, value in lines if what == "Pearson correlation"]
    assert f"found at epoch {1 + int(np.argmin(losses))} with an MSE" in log[-2]
    assert f"found at epoch {1 + int(np.argmax(pearsons))} with a Pearson" in log[-1]


def pearson(case: Case) -> None:
    inputs = case.data["inputs"]
    names = re.fullmatch(INPUTS, f"{inputs['preds']}; {inputs['gold']}")
    if names is None or names["other"] != names["preds"] or inputs["dtype"] != "float64":
        pytest.fail(f"no way to make {inputs}")
    guess, gold = predictions(names["preds"], names["gold"], (int(names["clips"]), int(names["outputs"])))
    close(mean_pearson(gold, guess), case.data["output"]["mean"], 1e-7, 0.0, "mean")
    each = [metric("pearson")(gold[:, i], guess[:, i]) for i in range(gold.shape[1])]
    close(each, case.data["output"]["per_emotion"], 1e-7, 0.0, "per emotion")


INPUTS = (
    r"0\.8\*sigmoid\(input_for\('(?P<preds>[\w.]+)',\((?P<clips>\d+),(?P<outputs>\d+)\)\)\); "
    r"sigmoid\(input_for\('(?P<gold>[\w.]+)',\(\d+,\d+\)\) \+ \.5\*input_for\('(?P<other>[\w.]+)',\(\d+,\d+\)\)\)"
)


def predictions(
    preds: str = "viper.metric.preds", truth: str = "viper.metric.gold", shape: tuple[int, int] = (200, 7)
) -> tuple[np.ndarray, np.ndarray]:
    raw = input_for(preds, shape).numpy()
    gold = expit((input_for(truth, shape).numpy() + 0.5 * raw).astype(np.float64))
    return 0.8 * expit(raw.astype(np.float64)), gold


def confusion(case: Case) -> None:
    guess, gold = predictions()
    gold = np.round(gold[:40], 1)
    gold[0, 0] = 1.0
    output = (1.4 * guess[:40] - 0.2).astype(np.float32)
    output[1] = np.asarray([0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 1.0], dtype=np.float32)
    data = case.data
    for i in range(gold.shape[1]):
        assert published_tenths(gold[:, i]).tolist() == data["bins_gold"][i]
        assert published_tenths(output[:, i]).tolist() == data["bins_pred"][i]
        table = confusion_by_tenths(gold[:, i], output[:, i], published=True)
        assert list(table.shape) == data["matrix_sizes"][i]
        close(table, np.asarray(data["row_normalised"][i], dtype=float), 0.0, 1e-6, f"emotion {i}")
        close(metric("pearson")(gold[:, i], output[:, i]), data["pearson"][i], 1e-6, 0.0, f"emotion {i}")
    assert dominant_confusion(gold, output).tolist() == data["argmax_confusion"]


def frames(case: Case) -> None:
    steps = case.data["kwargs"]["n_frames"]
    for row in case.data["output"]:
        chosen = published_frame_choice(row["reported_frames"], row["decodable_frames"], steps)
        assert chosen.tolist() == row["saved"], row["reported_frames"]
        assert len(chosen) == row["count"]


def windows(case: Case) -> None:
    steps = case.data["kwargs"]["n_fragments"]
    for row in case.data["output"]:
        found = sound_windows(row["samples"], steps)
        # the published loop extracts every window again for each part of a batch
        calls = -(-steps // row["batch_size"])
        assert row["saved_shape"][0] == calls * len(found)
        assert row["windows_per_call"] == [len(found)] * calls
        if row["start_and_length"] is not None:
            assert found.tolist() == row["start_and_length"], row["samples"]
