"""Checkpoints of zengqunzhao/EfficientFace: the still-image classifier, whose names begin with ``module.``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mien.checkpoints.convert.base import Converter, Plan, telling
from mien.checkpoints.convert.renaming import Renaming, Rule
from mien.checkpoints.reading import Foreign
from mien.errors import MienError, UsageError
from mien.models import default_inputs
from mien.models.efficientface import COLOURS, EfficientFace
from mien.models.specification import Inputs, TaskConfig

EMOTIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")
REPEATS = (4, 8, 4)
CHANNELS = (29, 116, 232, 464, 1024)
QUADRANTS = 4
# index in our gates → published name
CHANNEL_GATE = {0: "gate_c_fc_0", 1: "gate_c_bn_1", 3: "gate_c_fc_final"}
SPATIAL_GATE = {
    0: "gate_s_conv_reduce0",
    1: "gate_s_bn_reduce0",
    3: "gate_s_conv_di_0",
    4: "gate_s_bn_di_0",
    6: "gate_s_conv_di_1",
    7: "gate_s_bn_di_1",
    9: "gate_s_conv_final",
}
LOCAL = {0: "conv{k}_1", 1: "bn{k}_1", 3: "conv{k}_2", 4: "bn{k}_2"}


class EfficientFaceConverter(Converter):
    """EfficientFace; the repository is under the MIT licence and says nothing of the weights.

    A file that says AffectNet or CAER-S in its name is fed with the colours of that corpus, any other with RAF-DB's.
    """

    system = "efficientface"
    paper = "Robust Lightweight Facial Expression Recognition Network with Label Distribution Training, AAAI 2021"

    def read(self, file: Path, entry: str | None) -> Foreign:
        """See ``Converter.read``. Which corpus published weights were trained on, and so with which colours they are
        fed, stands in the names of their files alone."""
        foreign = super().read(file, entry)
        name = file.name.lower().replace("-", "").replace("_", "")
        found = [corpus for corpus in COLOURS if corpus.replace("-", "") in name]
        return Foreign(foreign.state, foreign.options | {"trained_on": found[0]}) if found else foreign

    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_arguments``; ``num_classes``, ``repeats`` and ``channels`` as in the reference."""
        rest = dict(published)
        outputs = int(rest.pop("num_classes", len(EMOTIONS)))
        given = {
            "repeats": tuple(rest.pop("repeats", REPEATS)),
            "widths": tuple(rest.pop("channels", CHANNELS)),
        }
        if rest:
            raise UsageError(f"EfficientFace has no argument {', '.join(sorted(rest))}")
        arguments = telling(given, EfficientFace, {})
        names = EMOTIONS if outputs == len(EMOTIONS) else tuple(f"output_{i}" for i in range(outputs))
        task = TaskConfig(kind="classification", outputs=names)
        return Plan("finetuned", "efficientface", arguments, outputs, task=task)

    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_state``."""
        if "modulator.channel_att.gate_c.gate_c_fc_0.weight" not in state or "fc.weight" not in state:
            raise MienError("the file is no EfficientFace checkpoint: it lacks the modulator's gates or fc.weight")
        plan = self.plan_arguments({"num_classes": int(state["fc.weight"].shape[0]), **sizes_of(state, "")})
        video = default_inputs(plan.model).video
        assert video is not None
        mean, std = COLOURS[options.get("trained_on", "raf-db")]
        return replace(plan, inputs=Inputs(video=video.model_copy(update={"mean": mean, "std": std})))

    def renaming(self, plan: Plan) -> Renaming:
        """See ``Converter.renaming``."""
        return Renaming([("fc.{leaf}", "head.linear.{leaf}"), *face_rules("", "encoder.")])


CONVERTER = EfficientFaceConverter()


def sizes_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, tuple[int, ...]]:
    """``repeats`` and ``channels`` that the weights show."""
    firsts = ["conv1.0", *(f"stage{stage}.0.branch2.5" for stage in (2, 3, 4)), "conv5.0"]
    found = [state.get(f"{prefix}{name}.weight") for name in firsts]
    if any(weight is None for weight in found):
        raise MienError(f"the file is no whole EfficientFace: it lacks {prefix}stage2 to {prefix}stage4 or conv5")
    widths = [int(weight.shape[0]) for weight in found if weight is not None]
    widths[1:4] = [2 * half for half in widths[1:4]]
    repeats = [len({name.split(".")[0] for name in _under(state, f"{prefix}stage{stage}.")}) for stage in (2, 3, 4)]
    return {"repeats": tuple(repeats), "channels": tuple(widths)}


def _under(state: Mapping[str, Tensor], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in state if name.startswith(prefix)]


def face_rules(theirs: str, mine: str) -> list[Rule]:
    """Names of the network without its classifier under two prefixes."""
    rules: list[Rule] = [
        (f"{theirs}conv1.{{i}}.{{leaf}}", f"{mine}stem.{{i}}.{{leaf}}"),
        (f"{theirs}conv5.{{i}}.{{leaf}}", f"{mine}last.{{i}}.{{leaf}}"),
    ]
    for stage in range(3):
        for branch, ours in (("branch1", "skip"), ("branch2", "main")):
            published = f"{theirs}stage{stage + 2}.{{unit}}.{branch}.{{i}}.{{leaf}}"
            rules.append((published, f"{mine}stages.{stage}.{{unit}}.{ours}.{{i}}.{{leaf}}"))
    for quadrant in range(QUADRANTS):
        for index, name in LOCAL.items():
            published = f"{theirs}local.{name.format(k=quadrant + 1)}.{{leaf}}"
            rules.append((published, f"{mine}local.quadrants.{quadrant}.{index}.{{leaf}}"))
    for gate, part, names in (
        ("channel_att.gate_c", "channel", CHANNEL_GATE),
        ("spatial_att.gate_s", "spatial", SPATIAL_GATE),
    ):
        for index, name in names.items():
            rules.append((f"{theirs}modulator.{gate}.{name}.{{leaf}}", f"{mine}modulator.{part}.{index}.{{leaf}}"))
    return rules
