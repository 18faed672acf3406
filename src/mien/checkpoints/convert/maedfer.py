"""Checkpoints of sunlicai/MAE-DFER: LGI-Former and, as its ``joint`` mode, VideoMAE at 160 px."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mien.checkpoints.convert.base import Converter, Plan, heads_of, telling
from mien.checkpoints.convert.renaming import Renaming, Rule
from mien.checkpoints.convert.videomae import (
    ENCODER_ARGUMENTS,
    block_rules,
    decoder_rules,
    leave_out_classes,
    taken,
)
from mien.errors import MienError, UsageError
from mien.models.maedfer import MAEDFER
from mien.models.videomae import VideoMAE

# what the registered names fix (an encoder_ prefix is added for pretraining)
NAMED: dict[str, dict[str, Any]] = {
    "base_dim512_no_depth_patch16_160": {"embed_dim": 512, "num_heads": 8},
    "base_patch16_160": {"embed_dim": 768, "num_heads": 12, "depth": 12},
}
FIXED = {"img_size": 160, "patch_size": 16, "mlp_ratio": 4, "qkv_bias": True, "norm_eps": 1e-6}
STEPS = {"first": "local", "second": "global", "third": "exchange"}


def encoder_rules(theirs: str, mine: str, norm: str) -> list[Rule]:
    """Names of an encoder under two prefixes; ``norm`` is what the published one calls its last layer norm."""
    return [
        (f"{theirs}patch_embed.proj.{{leaf}}", f"{mine}embedding.{{leaf}}"),
        (f"{theirs}pos_embed", f"{mine}positions.table"),
        *region_rules(theirs, mine),
        *block_rules(theirs, mine),
        (f"{theirs}{norm}.{{leaf}}", f"{mine}norm.{{leaf}}"),
    ]


def region_rules(theirs: str, mine: str) -> list[Rule]:
    """Names of an LGI-Former's region tokens and blocks under two prefixes."""
    block, ours = f"{theirs}blocks.{{i}}.", f"{mine}blocks.{{i}}."
    rules: list[Rule] = [(f"{theirs}lg_region_tokens", f"{mine}region_tokens")]
    for published, step in STEPS.items():
        rules += [
            (f"{block}{published}_attn_norm0.{{leaf}}", f"{ours}{step}_norm.{{leaf}}"),
            (f"{block}{published}_attn_norm1.{{leaf}}", f"{ours}{step}_context_norm.{{leaf}}"),
            (f"{block}{published}_attn.q_bias", f"{ours}{step}_attention.query_bias"),
            (f"{block}{published}_attn.v_bias", f"{ours}{step}_attention.value_bias"),
            (f"{block}{published}_attn.q.weight", f"{ours}{step}_attention.q.weight"),
            (f"{block}{published}_attn.kv.weight", f"{ours}{step}_attention.kv.weight"),
            (f"{block}{published}_attn.proj.{{leaf}}", f"{ours}{step}_attention.out.{{leaf}}"),
        ]
    return rules


class MAEDFERConverter(Converter):
    """MAE-DFER; ``attn_type="joint"`` is VideoMAE."""

    system = "maedfer"
    paper = "arXiv 2307.02227"

    def holds(self, model: str) -> bool:
        """See ``Converter.holds``; not the models with a motion branch, which have a converter of their own."""
        return model.startswith(("maedfer_", "videomae_")) and not model.startswith("maedfer_ca_")

    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_arguments``. ``registered_name`` or ``cls`` says which constructor is meant."""
        given = dict(published)
        name = str(given.pop("registered_name", ""))
        cls = str(given.pop("cls", ""))
        pretraining = (name or cls).lower().startswith("pretrain")
        if name:
            key = name.removeprefix("pretrain_videomae_").removeprefix("vit_")
            if key not in NAMED:
                raise UsageError(f"{name!r} is no MAE-DFER model, for example vit_base_dim512_no_depth_patch16_160")
            fixed = {f"encoder_{k}" if pretraining else k: value for k, value in NAMED[key].items()}
            decoder = {"decoder_embed_dim": 384, "decoder_num_heads": 6} if pretraining else {}
            given = FIXED | fixed | decoder | given
        return _pretraining(given) if pretraining else _finetuned(given)

    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_state``."""
        pretraining = "encoder_to_decoder.weight" in state
        prefix = "encoder." if pretraining else ""
        kernel = state.get(f"{prefix}patch_embed.proj.weight")
        if kernel is None or kernel.ndim != 5:
            raise MienError("the file is no MAE-DFER checkpoint: it has no 3-D patch_embed.proj.weight")
        given: dict[str, Any] = FIXED | {
            "patch_size": int(kernel.shape[3]),
            "tubelet_size": int(kernel.shape[2]),
            "img_size": int(options.get("input_size", 160)),
            "all_frames": int(options.get("num_frames", 16)),
            "use_learnable_pos_emb": f"{prefix}pos_embed" in state,
            **_attention(state, prefix, options),
        }
        dim = int(kernel.shape[0])
        sizes = {
            "embed_dim": dim,
            "depth": _depth(state, f"{prefix}blocks."),
            "num_heads": heads_of(dim, options.get("num_heads")),
        }
        if not pretraining:
            return _finetuned(given | sizes | _read_out(state, options))
        width = int(state["mask_token"].shape[-1])
        decoder = {"decoder_embed_dim": width, "decoder_num_heads": max(1, width // 64)}
        depth = {"decoder_depth": _depth(state, "decoder.blocks.")}
        plan = _pretraining(given | {f"encoder_{key}": value for key, value in sizes.items()} | decoder | depth)
        # the slip in the order concerns the decoder; a converted encoder is free of it
        plan.arguments.pop("order", None)
        return plan

    def renaming(self, plan: Plan) -> Renaming:
        """See ``Converter.renaming``."""
        pretraining = plan.form == "pretraining"
        theirs = "encoder." if pretraining else ""
        norm = "norm" if pretraining or plan.arguments.get("pooling") == "first" else "fc_norm"
        rules = encoder_rules(theirs, "encoder.", norm)
        return Renaming(rules + (decoder_rules() if pretraining else [("head.{leaf}", "head.linear.{leaf}")]))


CONVERTER = MAEDFERConverter()


def _attention(state: Mapping[str, Tensor], prefix: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Attention arguments that the weights show; the region size only the training options tell."""
    block = f"{prefix}blocks.0."
    if f"{prefix}lg_region_tokens" not in state:
        return {
            "attn_type": "joint",
            "init_values": 1.0 if f"{block}gamma_1" in state else 0.0,
            "qkv_bias": f"{block}attn.q_bias" in state,
        }
    region = options.get("lg_region_size")
    count = int(state[f"{prefix}lg_region_tokens"].shape[0])
    if region is None:
        known = {8: (2, 5, 10), 20: (2, 2, 10), 4: (4, 5, 10)}
        if count not in known:
            raise MienError(
                f"the weights do not tell the size of their {count} regions; convert the training checkpoint"
            )
        region = known[count]
    return {
        "attn_type": "local_global",
        "lg_region_size": tuple(int(side) for side in region),
        "lg_first_attn_type": "cross" if f"{block}first_attn_norm1.weight" in state else "self",
        "lg_third_attn_type": "cross" if f"{block}third_attn_norm1.weight" in state else "self",
        "lg_no_second": f"{block}second_attn.q.weight" not in state,
        "lg_no_third": f"{block}third_attn.q.weight" not in state,
        "lg_attn_param_sharing_first_third": _shared(state, block, "third"),
        "lg_attn_param_sharing_all": _shared(state, block, "second"),
        "qkv_bias": f"{block}first_attn.q_bias" in state,
    }


def _shared(state: Mapping[str, Tensor], block: str, step: str) -> bool:
    """Whether an attention is the first one under another name; both names are then in the file."""
    own = state.get(f"{block}{step}_attn.kv.weight")
    return own is not None and torch.equal(own, state[f"{block}first_attn.kv.weight"])


def _read_out(state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Any]:
    told = ("keep_temporal_dim", "head_activation_func")
    return {name: options[name] for name in told if name in options} | {
        "num_classes": int(state["head.weight"].shape[0]) if "head.weight" in state else 0,
        "use_mean_pooling": "fc_norm.weight" in state,
        "lg_classify_token_type": options.get("lg_classify_token_type", "region"),
    }


def _depth(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


def _encoder_arguments(rest: dict[str, Any], prefix: str, released: bool) -> tuple[str, dict[str, Any]]:
    """Take what concerns the encoder out of ``rest``: registered name and arguments.

    ``released`` asks for the order of tokens in which the published code left them.
    """
    arguments = taken(rest, ENCODER_ARGUMENTS)
    arguments |= {
        "frames": rest.pop("all_frames", 16),
        "channels": rest.pop(f"{prefix}in_chans", 3),
        "dim": rest.pop(f"{prefix}embed_dim", 768),
        "depth": rest.pop(f"{prefix}depth", 12),
        "heads": rest.pop(f"{prefix}num_heads", 12),
    }
    regions = {name: rest.pop(name) for name in list(rest) if name.startswith("lg_")}
    kind = rest.pop("attn_type", "joint")
    if kind == "joint":
        return "videomae_base", arguments
    if kind != "local_global":
        raise UsageError(f"attn_type={kind!r} is not known; use joint or local_global")
    if arguments.pop("layer_scale"):
        raise UsageError("layer scale (init_values) does not exist in the blocks of LGI-Former")
    third = "none" if regions.pop("lg_no_third", False) else regions.get("lg_third_attn_type", "cross")
    regions.pop("lg_third_attn_type", None)
    shared = regions.pop("lg_attn_param_sharing_first_third", False)
    readout = regions.pop("lg_classify_token_type", "org")
    arguments |= {
        "region": tuple(regions.pop("lg_region_size", (2, 2, 10))),
        "first": regions.pop("lg_first_attn_type", "self"),
        "second": not regions.pop("lg_no_second", False),
        "third": third,
        "sharing": "all" if regions.pop("lg_attn_param_sharing_all", False) else "first_third" if shared else "none",
        "readout": {"org": "original"}.get(readout, readout),
    }
    if released:
        arguments["order"] = "released"
    _refuse(regions)
    return "maedfer_base", arguments


def _finetuned(given: Mapping[str, Any]) -> Plan:
    rest = dict(given)
    per_frame = bool(rest.pop("keep_temporal_dim", False))
    model, arguments = _encoder_arguments(rest, "", released=per_frame)
    arguments["pooling"] = "mean" if rest.pop("use_mean_pooling", True) else "first"
    if rest.pop("use_learnable_pos_emb", False):
        arguments["positions"] = "learned"
    head = {
        "init_scale": rest.pop("init_scale", 0.0),
        "dropout": rest.pop("fc_drop_rate", 0.0),
        "per_frame": per_frame,
        "activation": rest.pop("head_activation_func", None),
    }
    outputs = rest.pop("num_classes", 1000)
    _refuse(rest)
    return Plan("finetuned", model, _telling(model, arguments), outputs, head=head)


def _pretraining(given: Mapping[str, Any]) -> Plan:
    rest = dict(given)
    if rest.pop("use_learnable_pos_emb", False):
        raise UsageError("learned positions do not work in published MAE-DFER pretraining; use fixed ones")
    model, arguments = _encoder_arguments(rest, "encoder_", released=True)
    leave_out_classes(rest, arguments)
    pretext = {
        "decoder_dim": rest.pop("decoder_embed_dim", 512),
        "decoder_heads": rest.pop("decoder_num_heads", 8),
        "decoder_depth": rest.pop("decoder_depth", 8),
    }
    _refuse(rest)
    return Plan("pretraining", model, _telling(model, arguments), pretext=pretext)


def _telling(model: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return telling(arguments, MAEDFER if model == "maedfer_base" else VideoMAE, {})


def _refuse(rest: Mapping[str, Any]) -> None:
    if rest:
        raise UsageError(f"MAE-DFER has no argument {', '.join(sorted(rest))}")
