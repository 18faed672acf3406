"""Checkpoints of VaianiLorenzo/ViPER: a pickled Perceiver module, read without executing it or having its library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mien.checkpoints.convert.base import Converter, Plan
from mien.checkpoints.convert.renaming import Renaming, Rule
from mien.checkpoints.modules import read_module
from mien.checkpoints.reading import Foreign, read_foreign
from mien.errors import MienError, UsageError
from mien.models.specification import TaskConfig
from mien.models.viper import REACTIONS, WIDTHS

# What a published file may name (tensors, OrderedDict and set aside, which are always read).
_PERCEIVER = (
    "Model", "Embeddings", "Encoder", "Layer", "Attention", "SelfAttention", "SelfOutput", "MLP",
    "ClassificationDecoder", "BasicDecoder", "TrainablePositionEncoding",
)  # fmt: skip
ALLOWED = (
    *(f"transformers.models.perceiver.modeling_perceiver.Perceiver{name}" for name in _PERCEIVER),
    "transformers.models.perceiver.configuration_perceiver.PerceiverConfig",
    "transformers.activations.*",  # releases of the library differ in how they keep GELU
    "torch._C._nn.gelu",
    "torch.nn.modules.normalization.LayerNorm",
    "torch.nn.modules.linear.Linear",
    "torch.nn.modules.linear.Identity",
    "torch.nn.modules.dropout.Dropout",
    "torch.nn.modules.container.ModuleList",
)

# of the published files whose digest is known
SHA256 = {
    "VATF": "cf2a0568954bd6053d43e13312f224f1d52f28dd5c3910c31aca0386e4dcbfc9",
    "VTF": "39760d4df2dc2eb5f1e9cae4d59c6f1dbf6269b060540c4cd9c7be6e1df5f164",
}

LETTERS = {"V": "visual", "A": "audio", "T": "text", "F": "fau"}
PUBLISHED = ("V", "VA", "VF", "VT", "VAT", "VAF", "VTF", "VATF")
_WIDTHS = {sum(WIDTHS[LETTERS[letter]] for letter in letters): letters for letters in reversed(PUBLISHED)}

# published constructor argument → (ours, the published default)
ARGUMENTS: dict[str, tuple[str, Any]] = {
    "num_latents": ("latents", 256),
    "d_latents": ("dim", 1280),
    "num_self_attends_per_block": ("depth", 26),
    "num_self_attention_heads": ("heads", 8),
    "attention_probs_dropout_prob": ("dropout", 0.1),
}
# arguments whose other values make another network, and what they must be
FIXED: dict[str, Any] = {
    "num_blocks": 1,
    "self_attention_widening_factor": 1,
    "cross_attention_widening_factor": 1,
    "cross_attention_shape_for_attention": "kv",
    "use_query_residual": True,
    "hidden_act": "gelu",
}
# accepted without effect: the order of streams in words; an epsilon that the published layers do not look at
IGNORED = {"order", "layer_norm_eps", "initializer_range"}


class ViPERConverter(Converter):
    """ViPER's eight Perceivers. The hub names no licence for the weights."""

    system = "viper"
    paper = "ViPER: Video-based Perceiver for Emotion Recognition, MuSe workshop at ACM MM 2022"

    def read(self, file: Path, entry: str | None) -> Foreign:
        """A module saved whole, as published; or ``.safetensors`` under the published names."""
        if file.suffix == ".safetensors":
            return read_foreign(file, entry)
        if entry is not None:
            raise UsageError(f"ViPER's files are single modules without entries; leave {entry!r} out")
        return Foreign(read_module(file, ALLOWED), {})

    def recognised(self, digest: str) -> str:
        """See ``Converter.recognised``."""
        return next((f"ViPER-{letters} as published" for letters, known in SHA256.items() if known == digest), "")

    def seen(self, digest: str) -> tuple[str, ...]:
        """See ``Converter.seen``: the published Perceivers began with random weights."""
        return ("hume_reaction",) if digest in SHA256.values() else ()

    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_arguments``. ``modalities`` says which streams make up ``d_model``, such as ``VAF``."""
        rest = {name: value for name, value in published.items() if name not in IGNORED}
        for name, value in FIXED.items():
            if rest.pop(name, value) != value:
                raise UsageError(f"ViPER's Perceiver has {name}={value!r}, not {published[name]!r}")
        given = {ours: rest.pop(theirs, default) for theirs, (ours, default) in ARGUMENTS.items()}
        if rest.pop("num_cross_attention_heads", given["heads"]) != given["heads"]:
            raise UsageError("ViPER's Perceiver has as many heads in its cross-attention as in its self-attention")
        width, letters = rest.pop("d_model", None), rest.pop("modalities", None)
        outputs = int(rest.pop("num_labels", len(REACTIONS)))
        if rest:
            raise UsageError(f"ViPER has no argument {', '.join(sorted(rest))}")
        defaults = dict(ARGUMENTS.values())
        arguments = {name: value for name, value in given.items() if value != defaults[name]}
        model, streams = _streams(width, letters)
        return Plan("finetuned", model, arguments | streams, outputs, task=_task(outputs))

    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_state``. Weights do not tell heads: the published 8 unless ``num_heads`` says else."""
        latents = state.get("embeddings.latents")
        key = state.get("encoder.cross_attention.attention.self.key.weight")
        last = state.get("decoder.decoder.final_layer.weight")
        if latents is None or key is None or last is None or any(x.ndim != 2 for x in (latents, key, last)):
            raise MienError("the file is no ViPER checkpoint: it lacks the latents or layers of its Perceiver")
        layers = {name.split(".")[2] for name in state if name.startswith("encoder.self_attends.")}
        return self.plan_arguments(
            {
                "d_model": int(key.shape[0]),
                "num_latents": int(latents.shape[0]),
                "d_latents": int(latents.shape[1]),
                "num_self_attends_per_block": len(layers),
                "num_self_attention_heads": int(options.get("num_heads", 8)),
                "num_labels": int(last.shape[0]),
            }
        )

    def renaming(self, plan: Plan) -> Renaming:
        """See ``Converter.renaming``."""
        decoder = "decoder.decoder."
        rules: list[Rule] = [
            ("embeddings.latents", "encoder.latents"),
            (f"{decoder}output_position_encodings.position_embeddings", "encoder.output_query"),
            (f"{decoder}final_layer.{{leaf}}", "head.linear.{leaf}"),
            *_layer("encoder.cross_attention.", "encoder.read."),
            *_layer("encoder.self_attends.{i}.", "encoder.blocks.{i}."),
            *_layer(f"{decoder}decoding_cross_attention.", "encoder.decode."),
        ]
        return Renaming(rules)


CONVERTER = ViPERConverter()


def _layer(published: str, ours: str) -> list[Rule]:
    pairs = {
        "attention.self.layernorm1": "norm",
        "attention.self.layernorm2": "context_norm",
        "attention.self.query": "query",
        "attention.self.key": "key",
        "attention.self.value": "value",
        "attention.output.dense": "out",
        "layernorm": "mlp_norm",
        "mlp.dense1": "mlp.expand",
        "mlp.dense2": "mlp.contract",
    }
    return [(f"{published}{theirs}.{{leaf}}", f"{ours}{mine}.{{leaf}}") for theirs, mine in pairs.items()]


def _streams(width: int | None, letters: str | None) -> tuple[str, dict[str, Any]]:
    """Registered name and, where the set of streams was never published, the ``streams`` argument."""
    if letters is None:
        letters = _WIDTHS.get(width or 0)
    if letters is None:
        if not width:
            raise UsageError("give d_model or modalities: which streams the Perceiver reads")
        return "viper_v", {"streams": {"tokens": width}}
    unknown = [letter for letter in letters if letter not in LETTERS]
    if unknown or "".join(sorted(letters, key="VATF".index)) != letters:
        raise UsageError(f"modalities {letters!r} is no choice of the letters VATF in that order")
    streams = {LETTERS[letter]: WIDTHS[LETTERS[letter]] for letter in letters}
    if width is not None and width != sum(streams.values()):
        raise UsageError(f"d_model {width} is not the {sum(streams.values())} values of {letters} side by side")
    return (f"viper_{letters.lower()}", {}) if letters in PUBLISHED else ("viper_vatf", {"streams": streams})


def _task(outputs: int) -> TaskConfig:
    names = REACTIONS if outputs == len(REACTIONS) else tuple(f"output_{i}" for i in range(outputs))
    return TaskConfig(kind="intensities", outputs=names)
