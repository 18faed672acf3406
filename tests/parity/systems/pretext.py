"""How the cases of DINO and its optimiser are run, and all cases of pretexts found."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tests.parity import pretext_byol
from tests.parity.collect import Case
from tests.parity.compare import BACKWARD, FORWARD, assert_summary, close
from tests.parity.detweights import input_for, state_for, tensor_for
from tests.parity.pretext_names import (
    NOTHING,
    VIEWS,
    load_encoder,
    load_head,
    published_encoder,
    published_head,
    resnet,
    watch_outputs,
)
from torch import Tensor, nn

from mien.models import create_encoder
from mien.nn.initialise import SkipInitialisation
from mien.pretext import Moment
from mien.pretext.byol import SimplicialEmbedding
from mien.pretext.dino import DINO, CentredTargets, DinoHead, dino, encode_crops
from mien.pretext.schedules import cosine, warmed
from mien.training.lars import LARS
from mien.training.optim import clip_gradients, make_optimiser, parameter_groups
from mien.training.recipe import load_recipe
from mien.training.schedules import cosine_schedule
from mien.training.schema import Optimiser


def run(case: Case) -> None:
    kinds: dict[str, Callable[[dict[str, Any]], None]] = {
        "module": module,
        "dino_loss": dino_loss,
        "schedule": schedules,
        "defaults": defaults,
        "train_step": train_step,
        "optimizer": optimiser,
        **pretext_byol.KINDS,
    }
    if case.data.get("kind") not in kinds:
        pytest.fail(f"no way to run {case}")
    kinds[case.data["kind"]](case.data)


def head_of(kwargs: Mapping[str, Any]) -> DinoHead:
    known = {
        "use_bn": "batch_norm",
        "norm_last_layer": "unit_prototypes",
        "nlayers": "layers",
        "hidden_dim": "hidden",
        "bottleneck_dim": "bottleneck",
    }
    options = {}
    for name, value in kwargs.items():
        if name in known:
            options[known[name]] = value
        elif name not in ("in_dim", "out_dim"):
            pytest.fail(f"no way to build a head with {name}")
    with SkipInitialisation():
        return DinoHead(kwargs["in_dim"], kwargs["out_dim"], **options)


def module(data: dict[str, Any]) -> None:
    name = data["case"]
    if "last_layer.weight_v" in data["state"]:
        return head_alone(data)
    if any(key.startswith("backbone.") for key in data["state"]):
        return multicrop(data)
    if not data["state"] and "dim_simplex" in data["kwargs"]:
        return simplicial(data)
    if "frontend3D.0.weight" in data["state"]:
        return encoder_alone(data)
    return pytest.fail(f"no way to run the module of {name}")


def head_alone(data: dict[str, Any]) -> None:
    head = head_of(data["kwargs"])
    assert head.prototypes.scale.unique().tolist() == [data["weight_g_at_init"]]
    frozen = [name for name, p in head.named_parameters() if not p.requires_grad]
    assert list(published_head(dict.fromkeys(frozen), "", 3)) == data["frozen"]
    load_head(head, state_for(data["state"]))
    head.eval()
    inputs = input_for(data["input_case"], data["input_shape"])
    with torch.inference_mode():
        made = head.mlp(inputs)
        seen = {"mlp": made, "l2_normalised": nn.functional.normalize(made, dim=-1)}
        assert_summary(head(inputs), data["output"], FORWARD, "output")
    for name, summary in data["intermediates"].items():
        assert_summary(seen[name], summary, FORWARD, name)


def simplicial(data: dict[str, Any]) -> None:
    assert data["input_shape"][-1] == data["kwargs"].get("dim", data["input_shape"][-1])
    embed = SimplicialEmbedding(data["kwargs"]["temperature"], data["kwargs"]["dim_simplex"])
    assert_summary(embed(input_for(data["input_case"], data["input_shape"])), data["output"], FORWARD, "output")


def encoder_alone(data: dict[str, Any]) -> None:
    encoder = resnet(data["state"])
    load_encoder(encoder, state_for(data["state"]))
    assert sum(p.numel() for p in encoder.parameters()) == data["params"]
    encoder.eval()
    video = input_for(data["input_case"], data["input_shape"])[:, None]
    with torch.inference_mode():
        assert_summary(encoder.forward_features({"video": video}).pooled, data["output"], FORWARD, "output")
        assert_summary(encoder.stem(video), data["intermediates"]["frontend3D"], FORWARD, "frontend3D")


def dino_of(kwargs: Mapping[str, Any], state: Mapping[str, Any], **options: Any) -> DINO:
    """A DINO around the published encoder, filled as the case says."""
    head = head_of(kwargs)
    with SkipInitialisation():
        pretext = DINO(resnet(state, "backbone."), (VIEWS,), outputs=kwargs["out_dim"], **options)
    pretext.head = head
    published = state_for(state)
    load_encoder(pretext.encoder, published, "backbone.")
    load_head(pretext.head, published, "head.")
    return pretext


def crops_of(data: dict[str, Any], shapes: list[list[int]]) -> list[Tensor]:
    cases = zip(data["input_cases"], shapes, strict=True)
    return [input_for(case, shape)[:, None] for case, shape in cases]


def multicrop(data: dict[str, Any]) -> None:
    pretext = dino_of(data["kwargs"], data["state"]).eval()
    crops = crops_of(data, data["input_shapes"])
    with torch.inference_mode():
        features = encode_crops(pretext.encoder, crops)
        assert_summary(pretext.head(features), data["output"], FORWARD, "output")
        large = sum(len(crop) for crop in crops if crop.shape == crops[0].shape)
        seen = {
            "backbone_global": features[:large],
            "backbone_local": features[large:],
            "single_input": pretext.head(encode_crops(pretext.encoder, crops[:1])),
        }
    for name, summary in data["intermediates"].items():
        assert_summary(seen[name], summary, FORWARD, name)


def dino_loss(data: dict[str, Any]) -> None:
    kwargs = data["kwargs"]
    named = {"center_momentum": "momentum", "student_temp": "student_temperature"}
    centred = CentredTargets(kwargs["out_dim"], **{named[name]: kwargs[name] for name in named if name in kwargs})
    assert list(centred.centre.shape) == data["state"]["center"]
    crops = kwargs["ncrops"]
    assert data["student_shape"] == [crops * kwargs["batch"], kwargs["out_dim"]]
    assert max(step["epoch"] for step in data["steps"]) < kwargs["nepochs"]
    assert 2 * (crops - 1) == data["terms"]
    for number, step in enumerate(data["steps"]):
        temperature = warmed(
            kwargs["warmup_teacher_temp"], kwargs["teacher_temp"], step["epoch"], kwargs["warmup_teacher_temp_epochs"]
        )
        close(temperature, step["teacher_temp"], 1e-9, 0.0, "temperature")
        assert_summary(centred.centre, step["center_before"], FORWARD, f"centre before step {number}")
        student, teacher = data["input_cases"][number]
        rows = (kwargs["scale"] * input_for(student, data["student_shape"])).requires_grad_()
        targets = centred.targets(kwargs["scale"] * input_for(teacher, data["teacher_shape"]), temperature)
        loss = centred.cross_entropy(rows, targets, crops)
        close(loss.item(), step["loss"], FORWARD, 0.0, "loss")
        loss.backward()
        assert_summary(rows.grad, step["grad_student"], 1e-4, "gradient")
        centred.move_centre()
        assert_summary(centred.centre, step["center_after"], FORWARD, f"centre after step {number}")


def schedules(data: dict[str, Any]) -> None:
    for row in data["rows"]:
        expected = row["values"]
        if row["name"] == "teacher_temp":
            begin, end, epochs, total = row["kwargs"]
            found = [warmed(begin, end, epoch, epochs) for epoch in range(total)]
        elif row["name"] in ("lr", "weight_decay", "momentum"):
            steps, warmup = row["epochs"] * row["niter"], row["warmup_epochs"] * row["niter"]
            found = cosine_schedule(row["base"], row["final"], steps, warmup).tolist()
            if not warmup:
                ours = [cosine(row["base"], row["final"], step, steps) for step in range(steps)]
                close(ours, expected, 1e-9, 0.0, row["name"])
        else:
            pytest.fail(f"no way to schedule {row['name']!r}")
        close(found, expected, 1e-9, 0.0, row["name"])


# what belongs to the published launcher and has no counterpart
NO_COUNTERPART = {"arch", "patch_size", "saveckp_freq", "num_workers", "local_rank", "use_fp16", "seed"}


def defaults(data: dict[str, Any]) -> None:
    """What the shipped recipe with the published settings, and the defaults under it, come to."""
    recipe = load_recipe("videomae/pretrain_dino_published")
    assert recipe.pretext is not None
    options, optimiser = recipe.pretext.options, recipe.optimiser
    published = data["values"]
    pretext = DINO(create_encoder("vaerr_test"), (VIEWS,), outputs=8)
    plain = dino_options()
    found = {
        "out_dim": plain["outputs"],
        "norm_last_layer": not pretext.head.prototypes.scale.requires_grad,
        "momentum_teacher": pretext.momentum,
        "use_bn_in_head": any(isinstance(layer, nn.BatchNorm1d) for layer in pretext.head.mlp),
        "warmup_teacher_temp": pretext.temperatures[0],
        "teacher_temp": pretext.temperatures[1],
        "warmup_teacher_temp_epochs": pretext.temperatures[2],
        "freeze_last_layer": pretext.freeze_last_layer,
        "local_crops_number": plain["small_views"],
        "global_crops_scale": list(options["large"]["crop_scale"]),
        "local_crops_scale": list(options["small"]["crop_scale"]),
        "drop_path_rate": recipe.model.arguments["drop_path"],
        "weight_decay": optimiser.weight_decay,
        "weight_decay_end": optimiser.weight_decay_end,
        "clip_grad": optimiser.clip,
        "lr": optimiser.lr,
        # the published smallest rate is not multiplied by the batch
        "min_lr": optimiser.min_lr * recipe.data.batch / 256,
        "optimizer": optimiser.kind,
        "epochs": recipe.schedule.epochs,
        "warmup_epochs": recipe.schedule.warmup_epochs,
        "batch_size_per_gpu": recipe.part,
    }
    assert optimiser.clip_scope == "tensor"
    assert optimiser.base_batch == 256
    for name, value in published.items():
        if name in NO_COUNTERPART:
            continue
        if name not in found:
            pytest.fail(f"no counterpart of {name!r}")
        assert found[name] == pytest.approx(value) if not isinstance(value, str) else found[name] == value, name


def dino_options() -> dict[str, Any]:
    """Defaults of our builder and of the class under it."""
    parameters = {**inspect.signature(DINO.__init__).parameters, **inspect.signature(dino).parameters}
    return {name: p.default for name, p in parameters.items()}


def train_step(data: dict[str, Any]) -> None:
    kwargs = data["kwargs"]
    settings = settings_of(kwargs)
    decay = settings.weight_decay
    pretext = dino_of(
        head_in(data["state"]) | {"norm_last_layer": kwargs.get("norm_last_layer", True)},
        data["state"],
        momentum=kwargs["momentum_teacher"],
        freeze_last_layer=kwargs["freeze_last_layer"],
    )
    pretext.teacher.head.load_state_dict(pretext.head.state_dict())
    pretext.teacher.encoder.load_state_dict(pretext.encoder.state_dict())
    fill_teacher(pretext)
    pretext.train()
    # the case does not say how large its crops are: as in the multi-crop case
    sizes = [[2, 4, 48, 48] if "global" in case else [2, 4, 32, 32] for case in data["input_cases"]]
    crops = crops_of(data, data.get("input_shapes", sizes))
    student_out = watch_outputs(pretext.head)
    teacher_out = watch_outputs(pretext.teacher.head)
    batch = {"views": torch.stack(crops[:2], 1), "small_views": torch.stack(crops[2:], 1)}
    moment = Moment(kwargs["epoch"], 10**9, 1)
    pretext.before_step(moment)
    loss, _ = pretext.loss(batch)
    assert_summary(student_out[0], data["student_out"], FORWARD, "student")
    assert_summary(teacher_out[0], data["teacher_out"], FORWARD, "teacher")
    close(loss.item(), data["loss"], FORWARD, 0.0, "loss")
    groups = parameter_groups(pretext, decay)
    sizes_of = {group["name"]: len(group["params"]) for group in groups}
    assert (sizes_of["decay"], sizes_of["no_decay"]) == (data["n_regularised"], data["n_not_regularised"])
    moved = make_optimiser(groups, settings)
    for group in moved.param_groups:
        group["lr"], group["weight_decay"] = settings.lr, decay if group["decayed"] else 0.0
    loss.backward()
    compare_norms(pretext, data["grad_norms_raw"])
    clip_gradients(pretext.parameters(), settings)
    compare_norms(pretext, data["grad_norms_clipped"])
    pretext.before_update(moment)
    frozen = {n for n, p in pretext.head.named_parameters() if p.grad is None}
    assert sorted(published_head(dict.fromkeys(frozen), "head.", 3)) == sorted(data["cancelled_or_frozen"])
    moved.step()
    pretext.teacher.follow(pretext.encoder, pretext.head, pretext.momentum)
    layers = layers_of(pretext)
    for part, encoder, head in (
        ("student_after", pretext.encoder, pretext.head),
        ("teacher_after", pretext.teacher.encoder, pretext.teacher.head),
    ):
        state = published_encoder(encoder.state_dict(), "backbone.")
        state |= published_head(head.state_dict(), "head.", layers)
        for name, summary in data[part].items():
            assert_summary(state[name], summary, BACKWARD, f"{part}: {name}")


def settings_of(kwargs: Mapping[str, Any]) -> Optimiser:
    """The optimiser that a case tells in words, such as ``sgd lr 0.03 momentum 0.9 weight decay 1e-4 ...``."""
    name, *words = kwargs["optimizer"].split()
    numbers = {word: float(words[at + 1]) for at, word in enumerate(words) if word in ("lr", "momentum", "decay")}
    if name not in ("sgd", "adamw", "lars") or words[-3:] != ["on", "matrices", "only"]:
        pytest.fail(f"no way to step with {kwargs['optimizer']!r}")
    momentum = {"momentum": numbers["momentum"]} if "momentum" in numbers else {}
    return Optimiser(
        kind=name,
        lr=numbers["lr"],
        weight_decay=numbers.get("decay", 0.0),
        clip=kwargs["clip"],
        clip_scope="tensor",
        **momentum,
    )


def head_in(state: Mapping[str, Any], prefix: str = "head.") -> dict[str, Any]:
    """The published arguments of a head whose tensors have these shapes."""
    own = {name.removeprefix(prefix): shape for name, shape in state.items() if name.startswith(prefix)}
    linear = [shape for name, shape in own.items() if name.startswith("mlp.") and len(shape) == 2]
    out_dim, bottleneck = own["last_layer.weight_v"]
    return {
        "in_dim": linear[0][1],
        "out_dim": out_dim,
        "nlayers": len(linear),
        "use_bn": any(name.endswith("running_mean") for name in own),
        "bottleneck_dim": bottleneck,
        "hidden_dim": linear[0][0],
    }


def layers_of(pretext: DINO) -> int:
    return sum(isinstance(layer, nn.Linear) for layer in pretext.head.mlp)


def fill_teacher(pretext: DINO) -> None:
    """Parameters of the teacher are a function of their published names under ``teacher.``."""
    for prefix, module, named in (
        ("backbone.", pretext.teacher.encoder, published_encoder),
        ("head.", pretext.teacher.head, lambda n, p: published_head(n, p, layers_of(pretext))),
    ):
        ours = dict(module.named_parameters())
        with torch.no_grad():
            for name, parameter in named(ours, prefix).items():
                parameter.copy_(tensor_for(f"teacher.{name}", parameter.shape))


def compare_norms(pretext: DINO, expected: Mapping[str, float]) -> None:
    gradients = {n: p.grad for n, p in pretext.encoder.named_parameters()}
    found = published_encoder(gradients, "backbone.")
    found |= published_head({n: p.grad for n, p in pretext.head.named_parameters()}, "head.", layers_of(pretext))
    for name, norm in expected.items():
        close(found[name].norm().item(), norm, BACKWARD, NOTHING, f"norm of the gradient of {name}")


def optimiser(data: dict[str, Any]) -> None:
    kwargs = data["kwargs"]
    out, width = data["state"]["weight"]
    layer = nn.Linear(width, out)
    layer.load_state_dict(state_for(data["state"]))
    moved = LARS(
        layer.parameters(),
        lr=kwargs["lr"],
        weight_decay=kwargs["weight_decay"],
        momentum=kwargs["momentum"],
        trust=kwargs["eta"],
    )
    if data["loss"] != "mean of squared outputs":
        pytest.fail(f"no way to compute the loss {data['loss']!r}")
    for case, after in zip(data["input_cases"], data["after"], strict=True):
        moved.zero_grad()
        layer(input_for(case, data.get("input_shape", (5, width)))).square().mean().backward()
        moved.step()
        for name, summary in after.items():
            assert_summary(layer.state_dict()[name], summary, FORWARD, name)
