"""Checkpoints of katerynaCh/multimodal-emotion-recognition: three fusions, and their two branches on their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mien.checkpoints.convert.base import Converter, Plan
from mien.checkpoints.convert.efficientface import face_rules
from mien.checkpoints.convert.renaming import Renaming, Rule
from mien.errors import MienError, UsageError
from mien.models.avfusion import Fusion, published_inputs
from mien.models.specification import Inputs, TaskConfig

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
FRAMES = 15
BLOCKS = 4
# published name of a fusion → ours, and the number that its attention carries in its name
FUSIONS: dict[str, tuple[Fusion, str]] = {
    "lt": ("late_transformer", ""),
    "it": ("intermediate_transformer", "1"),
    "ia": ("intermediate_attention", "1"),
}
# accepted without effect on the network: which EfficientFace file training starts from
IGNORED = {"pretr_ef", "pretr_ef_path"}
SOUND, VIDEO = "avfusion_audio_cnn", "avfusion_video_cnn"


class AVFusionConverter(Converter):
    """The published fusions (MIT licence). Weights do not tell the number of heads, so it has to be given.

    They were trained on pictures in the order blue, green, red without normalisation, cut tightly around the face, and
    on zeros for what is missing; so are converted models fed (``absent="zeros"``).
    """

    system = "avfusion"
    licence = "the MIT licence of their repository"
    paper = "arXiv 2201.11095"

    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_arguments``. ``branch`` (``audio`` or ``video``) asks for one branch alone."""
        rest = {name: value for name, value in published.items() if name not in IGNORED}
        outputs = int(rest.pop("num_classes", len(EMOTIONS)))
        length = rest.pop("seq_length", rest.pop("im_per_sample", FRAMES))
        branch, fusion, heads = rest.pop("branch", None), rest.pop("fusion", "ia"), int(rest.pop("num_heads", 1))
        if rest:
            raise UsageError(f"the published fusion has no argument {', '.join(sorted(rest))}")
        names = EMOTIONS if outputs == len(EMOTIONS) else tuple(f"output_{i}" for i in range(outputs))
        task = TaskConfig(kind="classification", outputs=names)
        inputs = published_inputs(int(length))
        arguments: dict[str, Any] = {"absent": "zeros"}
        if branch is not None:
            if branch not in ("audio", "video"):
                raise UsageError(f"branch={branch!r} is not known; it is audio or video")
            name, kept = (SOUND, "sound") if branch == "audio" else (VIDEO, "video")
            return Plan(
                "finetuned", name, arguments, outputs, task=task, inputs=Inputs(**{kept: getattr(inputs, kept)})
            )
        if fusion not in FUSIONS:
            raise UsageError(f"fusion={fusion!r} was not published; choose from {', '.join(FUSIONS)}")
        arguments |= {"heads": heads, "spare_classes": outputs}
        return Plan("finetuned", f"avfusion_{FUSIONS[fusion][0]}", arguments, outputs, task=task, inputs=inputs)

    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_state``; ``num_heads`` must be among the options for a fusion."""
        last = state.get("classifier_1.0.weight")
        if last is None:
            raise MienError("the file is no fusion checkpoint: it lacks classifier_1.0.weight")
        told: dict[str, Any] = {"num_classes": int(last.shape[0]), "seq_length": options.get("num_frames", FRAMES)}
        if "conv1d_0.0.weight" in state:
            return self.plan_arguments(told | {"branch": "video" if "conv5.0.weight" in state else "audio"})
        signs = {"lt": "av.attn.q.weight", "it": "av1.attn.q.weight", "ia": "av1.q.weight"}
        fusion = next((name for name, sign in signs.items() if sign in state), None)
        if fusion is None or "audio_model.conv1d_0.0.weight" not in state:
            raise MienError(f"the file is no fusion checkpoint: it has none of {', '.join(signs.values())}")
        if options.get("num_heads") is None:
            raise MienError(
                "the weights do not tell the number of attention heads; give --heads (num_heads in the opts*.json "
                "beside the checkpoint; 1 unless it was changed)"
            )
        return self.plan_arguments(told | {"fusion": fusion, "num_heads": options["num_heads"]})

    def renaming(self, plan: Plan) -> Renaming:
        """See ``Converter.renaming``."""
        head: Rule = ("classifier_1.0.{leaf}", "head.linear.{leaf}")
        if plan.model == SOUND:
            return Renaming([head, *_temporal_rules("", "encoder.branch.")])
        if plan.model == VIDEO:
            return Renaming([head, *_temporal_rules("", "encoder.branch."), *face_rules("", "encoder.branch.encoder.")])
        number = next(number for fusion, number in FUSIONS.values() if plan.model == f"avfusion_{fusion}")
        rules = [head]
        for theirs, mine in (("audio_model.", "encoder.sound."), ("visual_model.", "encoder.video.")):
            rules += [*_temporal_rules(theirs, mine), (f"{theirs}classifier_1.0.{{leaf}}", f"{mine}spare.{{leaf}}")]
        rules += face_rules("visual_model.", "encoder.video.encoder.")
        for theirs, mine in (("av", "to_sound"), ("va", "to_video")):
            rules += _attention_rules(f"{theirs}{number}.", f"encoder.{mine}.")
        return Renaming(rules)


CONVERTER = AVFusionConverter()


def _temporal_rules(theirs: str, mine: str) -> list[Rule]:
    return [
        (f"{theirs}conv1d_{block}.{{i}}.{{leaf}}", f"{mine}stages.{block // 2}.{block % 2}.{{i}}.{{leaf}}")
        for block in range(BLOCKS)
    ]


def _attention_rules(theirs: str, mine: str) -> list[Rule]:
    """Names of a bare attention and of a transformer block around one."""
    rules: list[Rule] = []
    for outer, ours in (("", ""), ("attn.", "attention.")):
        for published, name in (("q", "query"), ("kv", "key_value"), ("proj", "projection")):
            rules.append((f"{theirs}{outer}{published}.{{leaf}}", f"{mine}{ours}{name}.{{leaf}}"))
    for published, name in (
        ("norm1_q", "norm_query"),
        ("norm1_k", "norm_key"),
        ("norm2", "norm"),
        ("mlp.fc1", "mlp.0"),
        ("mlp.fc2", "mlp.2"),
    ):
        rules.append((f"{theirs}{published}.{{leaf}}", f"{mine}{name}.{{leaf}}"))
    return rules
