"""Checkpoints of SS-VAERR (Instassa/VAERR_SelfSupervisedVE): whole models, and encoders that a pretext left behind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mien.checkpoints.convert.base import Converter, Plan
from mien.checkpoints.convert.renaming import Renaming, Rule
from mien.checkpoints.strict import brief
from mien.errors import MienError, UsageError
from mien.models.specification import TaskConfig

HIDDEN = 256
STAGES = 4
# accepted without effect on what the published model computes
IGNORED = {"gamma_zero", "lengths", "num_classes", "every_frame"}
# Names that pretexts give the encoder → those of the model, in the order in which the authors renamed files by hand:
# BYOL wraps an audio-visual learner, DINO a student, LiRA and lip readers an encoder with a front end.
PRETEXT_NAMES: tuple[tuple[str, str], ...] = (
    (r"^module\.", ""),
    (r"^net\.", ""),
    (r"^model\.model1\.backbone\.resnet\.stem\.", "frontend3D."),
    (r"^model\.model1\.backbone\.resnet\.", "trunk."),
    (r"^encoder\.frontend\.", ""),
    (r"^backbone\.(?=frontend3D\.|trunk\.)", ""),
    (r"^backbone\.", "trunk."),
)
_ENCODER = re.compile(r"^(frontend3D\.|trunk\.layer)")


def model_name(published: str) -> str:
    """The published model's name of a tensor that a pretext saved under its own."""
    for pattern, replacement in PRETEXT_NAMES:
        published = re.sub(pattern, replacement, published)
    return published


class VaerrConverter(Converter):
    """SS-VAERR. No weights are published; the repository carries no licence.

    A whole model (``model_state_dict``) fits strictly, its unused second head ``gru2`` included. A pretext's file
    (``netG``, ``state_dict`` or ``student``) gives its encoder: names are brought to the model's, projectors and heads
    of the pretext are left out and listed as dropped, and a file without the whole encoder is refused.
    """

    system = "vaerr"
    paper = "arXiv 2210.11341"

    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_arguments``."""
        given = {name: value for name, value in published.items() if name not in IGNORED}
        arguments: dict[str, Any] = {}
        activation = given.pop("relu_type", "relu")
        if activation not in ("relu", "prelu"):
            raise UsageError(f"relu_type={activation!r} is not built by the published code; it takes relu or prelu")
        if activation != "relu":
            arguments["activation"] = activation
        if given.pop("avg_pool_downsample", False):
            arguments["pooled_shortcut"] = True
        hidden = int(given.pop("hiddenDim", given.pop("hidden_dim", HIDDEN)))
        bins = int(given.pop("bins", 20))
        outputs = int(given.pop("n_classes", 2 * (bins + 1)))
        if outputs != 2 * (bins + 1):
            raise UsageError(f"n_classes={outputs} does not fit bins={bins}; the model needs 2 (bins + 1)")
        if given:
            raise UsageError(f"SS-VAERR has no argument {', '.join(sorted(given))}")
        return whole(arguments, bins, hidden, spare=True)

    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_state``."""
        names = {model_name(name) for name in state}
        kernel = next((state[name] for name in state if model_name(name) == "frontend3D.0.weight"), None)
        if kernel is None or kernel.ndim != 5 or not any(name.startswith("trunk.layer") for name in names):
            raise MienError(
                "the file is no SS-VAERR checkpoint: no tensor is called frontend3D.0.weight (5-D) and trunk.layer..., "
                f"as it stands or under a pretext's prefix; it holds {brief(sorted(state))}"
            )
        arguments: dict[str, Any] = {}
        if "frontend3D.2.weight" in names:
            arguments["activation"] = "prelu"
        if "trunk.layer2.0.downsample.2.weight" in names:
            arguments["pooled_shortcut"] = True
        if kernel.shape[1] != 1:
            arguments["channels"] = int(kernel.shape[1])
        if "gru.fc.weight" not in state:
            return Plan("pretraining", "vaerr_resnet18", arguments, pretext_kind="")
        outputs, width = (int(size) for size in state["gru.fc.weight"].shape)
        if outputs % 2 or outputs < 6:
            raise MienError(f"gru.fc.weight has {outputs} rows; a model of two values has 2 (bins + 1)")
        return whole(arguments, outputs // 2 - 1, width // 2, spare="gru2.fc.weight" in state)

    def renaming(self, plan: Plan) -> Renaming:
        """See ``Converter.renaming``."""
        return Renaming(encoder_rules() + head_rules())

    def to_mien(self, state: Mapping[str, Tensor], plan: Plan) -> dict[str, Tensor]:
        """See ``Converter.to_mien``; of a pretext's file the encoder alone."""
        if plan.form == "pretraining":
            state = encoder_of(state)
        return super().to_mien(state, plan)

    def model_name(self, published: str) -> str:
        """See ``Converter.model_name``."""
        return model_name(published)


CONVERTER = VaerrConverter()


def whole(arguments: dict[str, Any], bins: int, hidden: int, spare: bool) -> Plan:
    """The plan of a model with its head, which reads arousal and then valence for every frame."""
    options = {"bins": bins, "hidden": hidden, "layers": 2, "spare": spare}
    task = TaskConfig(kind="binned", level="frame", outputs=("arousal", "valence"), options=options)
    return Plan("finetuned", "vaerr_resnet18", arguments, 2 * (bins + 1), head=options, task=task)


def encoder_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder in a pretext's file under the model's names; ``MienError`` where two tensors claim one place."""
    kept: dict[str, Tensor] = {}
    for name, value in state.items():
        ours = model_name(name)
        if not _ENCODER.match(ours):
            continue
        if ours in kept:
            raise MienError(f"two tensors would both be called {ours}; {name} is one of them")
        kept[ours] = value
    return kept


def encoder_rules() -> list[Rule]:
    """Names of the 3-D stem and of the ResNet's blocks."""
    parts = [("conv{n}", "conv{n}"), ("bn{n}", "norm{n}"), ("relu{n}", "act{n}"), ("downsample.{n}", "shortcut.{n}")]
    rules: list[Rule] = [("frontend3D.{i}.{leaf}", "encoder.stem.{i}.{leaf}")]
    for stage in range(STAGES):
        rules += [
            (f"trunk.layer{stage + 1}.{{j}}.{theirs}.{{leaf}}", f"encoder.stages.{stage}.{{j}}.{ours}.{{leaf}}")
            for theirs, ours in parts
        ]
    return rules


def head_rules() -> list[Rule]:
    """Names of the recurrent head and of its unused twin."""
    return [
        ("gru.gru.{leaf}", "head.gru.{leaf}"),
        ("gru.fc.{leaf}", "head.linear.{leaf}"),
        ("gru2.gru.{leaf}", "head.spare.gru.{leaf}"),
        ("gru2.fc.{leaf}", "head.spare.linear.{leaf}"),
    ]
