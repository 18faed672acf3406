"""Checkpoints of sunlicai/SVFAP: fine-tuned models and pretraining models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mien.checkpoints.convert.base import Converter, Plan, heads_of, telling
from mien.checkpoints.convert.renaming import Renaming, Rule
from mien.checkpoints.convert.videomae import ENCODER_ARGUMENTS as VIT_ARGUMENTS
from mien.checkpoints.convert.videomae import block_rules, decoder_rules, leave_out_classes, taken
from mien.errors import MienError, UsageError
from mien.models.svfap import SVFAP

# registered size → what it fixes
SIZES: dict[str, dict[str, Any]] = {
    "svfap_small": {"dim": 384, "depths": (8, 4, 2), "heads": 6},
    "svfap_base": {"dim": 512, "depths": (12, 6, 3), "heads": 8},
}
# what the registered names fix
NAMED: dict[str, dict[str, Any]] = {
    "svfap_base_patch16_160": {"embed_dim": 512, "num_heads": 8},
    "pretrain_svfap_base_patch16_160": {
        "encoder_embed_dim": 768,
        "encoder_num_heads": 12,
        "decoder_embed_dim": 384,
        "decoder_num_heads": 6,
        "forward": "released",
    },
}
FIXED = {"img_size": 160, "patch_size": 16, "mlp_ratio": 4, "qkv_bias": True, "norm_eps": 1e-6}

# published constructor argument → (ours, the published default)
ENCODER_ARGUMENTS: dict[str, tuple[str, Any]] = {
    **VIT_ARGUMENTS,
    "all_frames": ("frames", 16),
    "stage_depths": ("depths", (12, 6, 3)),
    "num_bottleneck_tokens": ("bottlenecks", (8,)),
    "temporal_kernel_size": ("temporal_kernel", 2),
}


class SVFAPConverter(Converter):
    """SVFAP. Code and weights by the authors: MIT."""

    system = "svfap"
    licence = "MIT"
    paper = "arXiv 2401.00416"

    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_arguments``. ``constructor`` says which published class or registered name is meant."""
        given = dict(published)
        name = str(given.pop("constructor", "TPSBT"))
        if name in NAMED:
            given = FIXED | NAMED[name] | given
        elif name not in {"TPSBT", "PretrainVisionTransformer"}:
            raise UsageError(f"{name!r} is no SVFAP model, for example svfap_base_patch16_160")
        layer_norm = given.pop("norm_layer", None)
        if layer_norm is not None:
            given["norm_eps"] = float(str(layer_norm).partition("eps=")[2].rstrip(")") or 1e-5)
        return _pretraining(given) if name.lower().startswith("pretrain") else _finetuned(given)

    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_state``."""
        pretraining = "encoder_to_decoder.weight" in state
        prefix = "encoder." if pretraining else ""
        kernel = state.get(f"{prefix}patch_embed.proj.weight")
        if kernel is None or kernel.ndim != 5 or f"{prefix}temporal_downsamples.0.weight" not in state:
            raise MienError("the file is no SVFAP checkpoint: it has no tubelet embedding with temporal_downsamples")
        dim = int(kernel.shape[0])
        given: dict[str, Any] = FIXED | {
            "patch_size": int(kernel.shape[3]),
            "tubelet_size": int(kernel.shape[2]),
            "img_size": int(options.get("input_size", 160)),
            "all_frames": int(options.get("num_frames", 16)),
            "qkv_bias": f"{prefix}blocks.0.attn.q_bias" in state,
            "init_values": 1.0 if f"{prefix}blocks.0.gamma_1" in state else 0.0,
            "stage_depths": _depths(state, prefix, options.get("stage_depths")),
            "temporal_kernel_size": int(state[f"{prefix}temporal_downsamples.0.weight"].shape[2]),
            "num_bottleneck_tokens": _bottlenecks(state, prefix),
        }
        heads = heads_of(dim, options.get("num_heads"))
        if not pretraining:
            outputs = int(state["head.weight"].shape[0]) if "head.weight" in state else 0
            told = {name: options[name] for name in ("keep_temporal_dim", "head_activation_func") if name in options}
            return _finetuned(
                given
                | {"embed_dim": dim, "num_heads": heads, "num_classes": outputs}
                | {"use_mean_pooling": "fc_norm.weight" in state, "use_learnable_pos_emb": "pos_embed" in state}
                | told
            )
        width = int(state["mask_token"].shape[-1])
        depth = len({name.split(".")[2] for name in state if name.startswith("decoder.blocks.")})
        decoder = {"decoder_embed_dim": width, "decoder_num_heads": max(1, width // 64), "decoder_depth": depth}
        return _pretraining(given | decoder | {"encoder_embed_dim": dim, "encoder_num_heads": heads})

    def renaming(self, plan: Plan) -> Renaming:
        """See ``Converter.renaming``."""
        pretraining = plan.form == "pretraining"
        theirs = "encoder." if pretraining else ""
        norm = "norm" if pretraining or plan.arguments.get("pooling") == "first" else "fc_norm"
        block = f"{theirs}blocks.{{i}}.", "encoder.blocks.{i}."
        gather = f"{theirs}spatial_downsamples.{{i}}.", "encoder.bottlenecks.{i}."
        pairs = (
            (*block, "cross_norm1.{leaf}", "cross_norm.{leaf}"),
            (*block, "cross_norm2.{leaf}", "context_norm.{leaf}"),
            (*block, "cross_attn.q_bias", "cross.query_bias"),
            (*block, "cross_attn.v_bias", "cross.value_bias"),
            (*block, "cross_attn.q.weight", "cross.q.weight"),
            (*block, "cross_attn.kv.weight", "cross.kv.weight"),
            (*block, "cross_attn.proj.{leaf}", "cross.out.{leaf}"),
            (*block, "gamma_0", "cross_scale.weight"),
            (*gather, "norm.{leaf}", "norm.{leaf}"),
            (*gather, "mlp.fc1.{leaf}", "score.0.{leaf}"),
            (*gather, "mlp.fc2.{leaf}", "score.2.{leaf}"),
        )
        rules: list[Rule] = [
            (f"{theirs}patch_embed.proj.{{leaf}}", "encoder.embedding.{leaf}"),
            (f"{theirs}pos_embed", "encoder.positions.table"),
            *block_rules(theirs, "encoder."),
            *((f"{before}{published}", f"{after}{ours}") for before, after, published, ours in pairs),
            (f"{theirs}temporal_downsamples.{{i}}.{{leaf}}", "encoder.reductions.{i}.{leaf}"),
            (f"{theirs}{norm}.{{leaf}}", "encoder.norm.{leaf}"),
        ]
        return Renaming(rules + (decoder_rules() if pretraining else [("head.{leaf}", "head.linear.{leaf}")]))


CONVERTER = SVFAPConverter()


def _depths(state: Mapping[str, Tensor], prefix: str, told: Any) -> tuple[int, ...]:
    """Blocks per stage: stage 1 has no cross-attention; how the rest divide only the training options tell."""
    indices = {int(n.removeprefix(f"{prefix}blocks.").split(".")[0]) for n in state if n.startswith(f"{prefix}blocks.")}
    later = {i for i in indices if f"{prefix}blocks.{i}.cross_norm1.weight" in state}
    first, rest = len(indices) - len(later), len(later)
    if told:
        return tuple(int(depth) for depth in told)
    for size in SIZES.values():
        depths: tuple[int, ...] = size["depths"]
        if depths[0] == first and sum(depths[1:]) == rest:
            return depths
    stages = 1 + len({n for n in state if n.startswith(f"{prefix}temporal_downsamples.") and n.endswith("weight")})
    if stages == 2:
        return first, rest
    raise MienError(
        f"the weights do not tell how {rest} blocks divide among {stages - 1} later stages; "
        "convert the training checkpoint, whose options tell it"
    )


def _bottlenecks(state: Mapping[str, Tensor], prefix: str) -> tuple[int, ...]:
    name = f"{prefix}spatial_downsamples.{{}}.mlp.fc2.weight"
    count = len({n for n in state if n.startswith(f"{prefix}spatial_downsamples.") and n.endswith("mlp.fc2.weight")})
    return tuple(int(state[name.format(i)].shape[0]) for i in range(count))


def _encoder_arguments(rest: dict[str, Any], dim: str, heads: str) -> dict[str, Any]:
    arguments = taken(rest, ENCODER_ARGUMENTS)
    arguments |= {"dim": rest.pop(dim, 768), "heads": rest.pop(heads, 12), "channels": rest.pop("in_chans", 3)}
    return arguments | {name: tuple(arguments[name]) for name in ("depths", "bottlenecks")}


def _finetuned(given: Mapping[str, Any]) -> Plan:
    rest = dict(given)
    arguments = _encoder_arguments(rest, "embed_dim", "num_heads")
    arguments["pooling"] = "mean" if rest.pop("use_mean_pooling", True) else "first"
    if rest.pop("use_learnable_pos_emb", False):
        arguments["positions"] = "learned"
    head = {
        "init_scale": rest.pop("init_scale", 0.0),
        "per_frame": rest.pop("keep_temporal_dim", False),
        "activation": rest.pop("head_activation_func", None),
    }
    outputs = rest.pop("num_classes", 1000)
    _refuse(rest)
    model = _name(arguments)
    return Plan("finetuned", model, telling(arguments, SVFAP, SIZES[model]), outputs, head=head)


def _pretraining(given: Mapping[str, Any]) -> Plan:
    rest = dict(given)
    if rest.pop("use_learnable_pos_emb", False):
        raise UsageError("learned positions do not work in published SVFAP pretraining; use fixed ones")
    arguments = _encoder_arguments(rest, "encoder_embed_dim", "encoder_num_heads")
    leave_out_classes(rest, arguments)
    arguments["pretraining"] = rest.pop("forward", "corrected")
    pretext = {
        "decoder_dim": rest.pop("decoder_embed_dim", 512),
        "decoder_heads": rest.pop("decoder_num_heads", 8),
        "decoder_depth": rest.pop("decoder_depth", 8),
    }
    _refuse(rest)
    model = _name(arguments)
    return Plan("pretraining", model, telling(arguments, SVFAP, SIZES[model]), pretext=pretext)


def _name(arguments: Mapping[str, Any]) -> str:
    """The registered size, or the base size (its builder takes any other widths as arguments)."""
    own = arguments["dim"], arguments["depths"]
    return next((name for name, size in SIZES.items() if (size["dim"], size["depths"]) == own), "svfap_base")


def _refuse(rest: Mapping[str, Any]) -> None:
    if rest:
        raise UsageError(f"SVFAP has no argument {', '.join(sorted(rest))}")
