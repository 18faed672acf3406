"""How the cases of audiovisual fusion and EfficientFace are run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.parity import avfusion_data
from tests.parity.collect import Case
from tests.parity.compare import BACKWARD, FORWARD, assert_summary, close
from tests.parity.detweights import input_for, state_for
from tests.parity.running import watch
from torch import Tensor, nn

from mien.checkpoints.convert.base import Converter, Plan, get_converter
from mien.checkpoints.handover import hand_over
from mien.checkpoints.strict import load_strictly
from mien.models import Recogniser, create_encoder
from mien.models.avfusion import AudioVisualFusion
from mien.nn.initialise import SkipInitialisation
from mien.tasks.heads import ClipHead
from mien.training.optim import make_optimiser
from mien.training.recipe import load_recipe

PUBLISHED_OPTIMISER = load_recipe("avfusion/ia_softhard_ravdess").optimiser
FACTOR = 2.0  # two runs of three steps say little of the spread
FIELDS = {"repo", "case", "kwargs", "inputs", "mode", "params", "state", "state_as", "output", "logits",
          "intermediates", "losses", "note", "parameters_without_gradient"}  # fmt: skip


def run(case: Case) -> None:
    kind = next((name for name in avfusion_data.TABLES if case.name.startswith(name)), None)
    if kind is not None:
        avfusion_data.TABLES[kind](case)
    elif case.name.startswith("pretrained_loading"):
        pretrained_loading(case)
    elif unknown := set(case.data) - FIELDS:
        pytest.fail(f"no way to look at {', '.join(sorted(unknown))} of {case}")
    elif case.name.startswith("train_steps"):
        train_steps(case)
    else:
        forward(case)


def planned(case: Case) -> tuple[Converter, Plan]:
    kwargs = dict(case.data["kwargs"])
    if case.data["repo"] == "EfficientFace":
        converter = get_converter("efficientface")
    else:
        converter = get_converter("avfusion")
        if "fusion" not in kwargs:
            kwargs["branch"] = "audio" if "audio" in case.data["inputs"] else "video"
    return converter, converter.plan_arguments(kwargs)


def shapes(case: Case) -> dict[str, list[int]]:
    """Published names and shapes: the case's own, or those of a case with the same network."""
    if "state" in case.data:
        return case.data["state"]
    wanted = case.data.get("state_as")
    for other in case.others():
        same = other["case"] == wanted if wanted else _network(other) == _network(case.data)
        if same and "state" in other:
            return other["state"]
    pytest.fail(f"no case tells the names of {case}")


def _network(data: Mapping[str, Any]) -> tuple[Any, ...]:
    kwargs = data.get("kwargs", {})
    return (data.get("repo"), kwargs.get("fusion"), kwargs.get("num_classes"))


def filled(case: Case) -> tuple[Recogniser, Converter, Plan]:
    """The case's model through the converter; checks names, the way back, and what weights alone tell."""
    converter, plan = planned(case)
    with SkipInitialisation():
        encoder = create_encoder(plan.model, **plan.arguments)
        model = Recogniser(encoder, ClipHead(encoder.feature_dim, plan.outputs))
    published = state_for(shapes(case))
    load_strictly(model, converter.to_mien(published, plan), "the case")
    if "params" in case.data:
        assert sum(p.numel() for p in model.parameters()) == case.data["params"]
    back = converter.to_published(model.state_dict(), plan)
    assert back.keys() == published.keys()
    assert all(torch.equal(back[name], value) for name, value in published.items())
    seen = converter.plan_state(published, {"num_heads": case.data["kwargs"].get("num_heads")})
    assert (seen.model, seen.arguments, seen.outputs) == (plan.model, plan.arguments, plan.outputs)
    return model.eval(), converter, plan


def fed(case: Case) -> dict[str, Tensor]:
    """Inputs of the case in our shapes; what it zeroes is zero."""
    told = case.data["inputs"]
    inputs: dict[str, Tensor] = {}
    for key, name in (("audio", "sound"), ("video", "video"), ("image", "video")):
        if key not in told:
            continue
        one = told[key]
        if isinstance(one, str):
            inputs[name] = _stacked(case, one)
        elif "uint8" in one.get("fed_as", ""):
            frames = avfusion_data.pictures(one["case"], one["shape"])
            inputs[name] = torch.from_numpy(frames).permute(0, 4, 1, 2, 3) / 255
        else:
            value = input_for(one["case"], one["shape"])
            inputs[name] = value[:, :, None] if key == "image" else value
        if told.get("zeroed") == key:
            inputs[name] = torch.zeros_like(inputs[name])
    return inputs


def _stacked(case: Case, told: str) -> Tensor:
    """``stack of npz A, B``."""
    if not told.startswith("stack of npz "):
        pytest.fail(f"no way to make the input {told!r}")
    arrays = np.load(case.beside("avfusion_mfcc.npz"))
    return torch.from_numpy(np.stack([arrays[name] for name in told.removeprefix("stack of npz ").split(", ")]))


def forward(case: Case) -> None:
    model, _, _ = filled(case)
    assert case.data["mode"] == "eval"
    inputs, encoder = fed(case), model.encoder
    if isinstance(encoder, AudioVisualFusion):
        inputs |= _marked(case, inputs)
    seen = watch(modules(model))
    with torch.inference_mode():
        features = encoder.forward_features(inputs)
        logits = model.head(features, inputs)
        seen = dict(seen)  # looking further runs parts of the model again
        seen |= derived(model, inputs, seen, features.pooled)
    assert_summary(logits, case.data["output"], FORWARD, "output")
    close(logits.numpy(), case.data["logits"], FORWARD, FORWARD, "logits")
    for name, summary in case.data.get("intermediates", {}).items():
        if name not in seen:
            pytest.fail(f"no way to see {name!r}")
        assert_summary(seen[name], summary, FORWARD, name)
    compare_losses(case, logits)


def _marked(case: Case, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """A missing modality as a mask: weights trained on zeros must see what they see without it."""
    marks = {}
    for key, name in (("audio", "sound"), ("video", "video")):
        marks[f"{name}_present"] = torch.full((len(inputs[name]),), case.data["inputs"].get("zeroed") != key)
    return marks


def compare_losses(case: Case, logits: Tensor) -> None:
    for name, told in case.data.get("losses", {}).items():
        if name == "cross_entropy":
            value = F.cross_entropy(logits, torch.tensor(told["targets"])).item()
        elif name == "label_distribution":
            teacher = input_for("avfusion.face.teacher", list(logits.shape)).softmax(dim=1)
            value = -(teacher * logits.log_softmax(dim=1)).mean().item()
        else:
            pytest.fail(f"no way to compute the loss {name!r}")
        close(value, told["value"], FORWARD, 0.0, name)


def modules(model: Recogniser) -> dict[str, nn.Module]:
    """Modules whose output some case names."""
    encoder: Any = model.encoder
    if isinstance(encoder, AudioVisualFusion):
        number = "" if encoder.fusion == "late_transformer" else "1"
        return {f"av{number}": encoder.to_sound, f"va{number}": encoder.to_video}
    if hasattr(encoder, "branch"):
        return {"stage1": encoder.branch.stages[0], "stage2": encoder.branch.stages[1]}
    face = {"conv1": encoder.stem, "maxpool": encoder.pool, "stage2": encoder.stages[0], "local": encoder.local}
    face |= {"modulator": encoder.modulator, "stage3": encoder.stages[1], "stage4": encoder.stages[2]}
    gates = {"channel": encoder.modulator.channel, "spatial": encoder.modulator.spatial}
    return face | {"conv5": encoder.last} | gates


def derived(model: Recogniser, inputs: dict[str, Tensor], seen: dict[str, Tensor], pooled: Tensor) -> dict[str, Tensor]:
    """What no single module gives."""
    encoder: Any = model.encoder
    if isinstance(encoder, AudioVisualFusion):
        return {"pooled_concat": pooled} | attended(encoder, inputs)
    if not hasattr(encoder, "branch"):
        like = seen["stage2"]
        both = {"modulator.channel_att": seen["channel"][:, :, None, None].expand_as(like)}
        return both | {"modulator.spatial_att": seen["spatial"].expand_as(like), "pooled": pooled}
    branch = encoder.branch
    if branch.encoder is not None:
        return {"features": branch.encoder.forward_features(inputs).frames.flatten(0, 1)}
    return {"logits_first_40_frames": model({"sound": inputs["sound"][..., :40]})}


def attended(encoder: AudioVisualFusion, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Probabilities of every head, and what the gates and the unused values are."""
    sound, video = encoder.sound.first(inputs), encoder.video.first(inputs)
    late = encoder.fusion == "late_transformer"
    if late:
        sound, video = encoder.sound.second(sound), encoder.video.second(video)
    values: dict[str, Tensor] = {}
    for name, module, context, x in (
        ("av", encoder.to_sound, video, sound),
        ("va", encoder.to_video, sound, video),
    ):
        published = name if late else f"{name}1"
        keys, queries, attention = context.values, x.values, module
        if encoder.fusion != "intermediate_attention":
            keys, queries, attention = module.norm_key(keys), module.norm_query(queries), module.attention
        else:
            values[f"{published}.weights"] = module.gates(context, x)
            values[f"{published}.values_unused"] = module(keys, queries)
        query, key = (
            attention._split(attention.query(queries)),
            attention._split(attention.key_value(keys).chunk(2, -1)[0]),
        )
        scores = (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(dim=-1)
        torch.testing.assert_close(scores.mean(dim=1), attention.weights(keys, queries))
        values[f"{published}.probabilities"] = scores
    return values


def train_steps(case: Case) -> None:
    """Losses before each step, in 64 bits, where nothing is left of rounding: so computed they are what the algorithm
    gives. The published ones carry the rounding of 32 bits, which batch norm over features that hardly differ between
    frames enlarges a hundred thousand times. How much, our own runs in 32 bits tell: the published figures may lie no
    further from the exact ones than these do."""
    told = case.data["losses"]
    exact = stepped(case, torch.float64)
    noisy = [stepped(case, torch.float32, native) for native in (False, True)]
    close(exact.losses[0], told["cross_entropy_per_step"][0], FORWARD, 0.0, "loss before step 1")
    for number, expected in enumerate(told["cross_entropy_per_step"][1:], 1):
        noise = max(abs(one.losses[number] - exact.losses[number]) for one in noisy)
        close(exact.losses[number], expected, BACKWARD, FACTOR * noise, f"loss before step {number + 1}")
    assert exact.without_gradient == set(case.data["parameters_without_gradient"])
    logits = np.asarray(case.data["logits"])  # of weights that all of this noise went into: loosely, as the case says
    assert list(exact.logits.shape) == case.data["output"]["shape"]
    close(exact.logits.numpy(), logits, 0.1, 0.1 * np.abs(logits).max(), "logits after the steps")


class Stepped(NamedTuple):
    """What three steps of training came to."""

    losses: list[float]
    logits: Tensor
    without_gradient: set[str]


def stepped(case: Case, dtype: torch.dtype, native: bool = False) -> Stepped:
    """Train as published; ``native`` computes convolutions without oneDNN, in another order of additions."""
    model, converter, plan = filled(case)
    model.to(dtype).train()
    inputs, target = (
        {name: value.to(dtype) for name, value in fed(case).items()},
        torch.tensor(case.data["losses"]["targets"]),
    )
    optimiser = make_optimiser([{"params": list(model.parameters())}], PUBLISHED_OPTIMISER)
    losses = []
    with torch.backends.mkldnn.flags(enabled=not native):
        for _ in case.data["losses"]["cross_entropy_per_step"]:
            loss = F.cross_entropy(model(inputs), target)
            losses.append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        without = {name: p for name, p in model.named_parameters() if p.grad is None}
        with torch.inference_mode():
            logits = model.eval()(inputs).double()
    return Stepped(losses, logits, set(converter.to_published(without, plan)))


def pretrained_loading(case: Case) -> None:
    """EfficientFace's file starts the face encoder of a fusion; everything else starts anew."""
    faces, fusions = get_converter("efficientface"), get_converter("avfusion")
    source = state_for(next(one["state"] for one in case.others() if one["case"] == "efficientface"))
    carried = faces.to_mien(source, faces.plan_state(source, {}))
    plan = fusions.plan_arguments({"branch": "video"})
    encoder = create_encoder(plan.model, **plan.arguments)
    done = hand_over(carried, encoder, pretrained=False)
    assert len(done.carried) == case.data["loaded_keys"]
    published = fusions.renaming(plan)
    new = {published.to_published(f"encoder.{name}") for name in done.new} | {
        "classifier_1.0.weight",
        "classifier_1.0.bias",
    }
    assert new == set(case.data["not_in_checkpoint"])
    ignored = {faces.renaming(plan).to_published(name) for name in done.dropped}
    assert ignored == set(case.data["ignored_checkpoint_keys"])
    state = fusions.to_published({f"encoder.{name}": value for name, value in encoder.state_dict().items()}, plan)
    equal = all(torch.equal(state[name], value) for name, value in source.items() if name in state)
    assert equal is case.data["all_equal_after"]
