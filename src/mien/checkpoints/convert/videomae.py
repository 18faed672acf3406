"""Checkpoints of MCG-NJU/VideoMAE: fine-tuned classifiers and pretraining models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mien.checkpoints.convert.base import Converter, Plan, telling
from mien.checkpoints.convert.renaming import Renaming, Rule
from mien.errors import MienError, UsageError
from mien.models.videomae import VideoMAE
from mien.pretext.masked_builder import DECODERS

# published constructor argument → (ours, the published default)
ENCODER_ARGUMENTS: dict[str, tuple[str, Any]] = {
    "img_size": ("size", 224),
    "patch_size": ("patch", 16),
    "tubelet_size": ("tubelet", 2),
    "mlp_ratio": ("mlp_ratio", 4.0),
    "qkv_bias": ("qv_bias", False),
    "qk_scale": ("qk_scale", None),
    "drop_rate": ("dropout", 0.0),
    "attn_drop_rate": ("attention_dropout", 0.0),
    "drop_path_rate": ("drop_path", 0.0),
    "norm_eps": ("norm_eps", 1e-5),
    "init_values": ("layer_scale", 0.0),
}
# accepted without effect on what the model computes
IGNORED = {"use_checkpoint", "pretrained", "pretrained_cfg", "cache_dir"}

# what the registered published names fix, by size
NAMED = {
    "small": {"embed_dim": 384, "depth": 12, "num_heads": 6},
    "base": {"embed_dim": 768, "depth": 12, "num_heads": 12},
    "large": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
    "huge": {"embed_dim": 1280, "depth": 32, "num_heads": 16},
}
# width, depth → registered name, heads
SIZES = {(n["embed_dim"], n["depth"]): (f"videomae_{size}", n["num_heads"]) for size, n in NAMED.items()}


def block_rules(published: str, ours: str) -> list[Rule]:
    """Names of plain transformer blocks under two prefixes (each with its dot, or empty)."""
    pairs = (
        ("norm1.{leaf}", "attention_norm.{leaf}"),
        ("attn.q_bias", "attention.query_bias"),
        ("attn.v_bias", "attention.value_bias"),
        ("attn.qkv.weight", "attention.qkv.weight"),
        ("attn.proj.{leaf}", "attention.out.{leaf}"),
        ("gamma_1", "attention_scale.weight"),
        ("norm2.{leaf}", "mlp_norm.{leaf}"),
        ("mlp.fc1.{leaf}", "mlp.expand.{leaf}"),
        ("mlp.fc2.{leaf}", "mlp.contract.{leaf}"),
        ("gamma_2", "mlp_scale.weight"),
    )
    return [(f"{published}blocks.{{i}}.{theirs}", f"{ours}blocks.{{i}}.{mine}") for theirs, mine in pairs]


def decoder_rules() -> list[Rule]:
    """Names of what a masked autoencoder has beside its encoder; shared by the whole family."""
    return [
        ("mask_token", "mask_token"),
        ("encoder_to_decoder.weight", "bridge.weight"),
        *block_rules("decoder.", "decoder."),
        ("decoder.norm.{leaf}", "decoder.norm.{leaf}"),
        ("decoder.head.{leaf}", "decoder.head.{leaf}"),
    ]


class VideoMAEConverter(Converter):
    """VideoMAE. Weights by the authors: CC BY-NC 4.0."""

    system = "videomae"
    licence = "CC BY-NC 4.0"
    paper = "arXiv 2203.12602"

    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_arguments``. ``registered_name`` or ``cls`` says which constructor is meant."""
        given = {name: value for name, value in published.items() if name not in IGNORED}
        name = given.pop("registered_name", None)
        cls = given.pop("cls", None)
        if name is not None:
            given = _registered(str(name)) | given
        pretraining = str(name or cls).startswith(("pretrain_", "Pretrain"))
        return _plan_pretraining(given) if pretraining else _plan_finetuned(given)

    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_state``."""
        pretraining = "encoder_to_decoder.weight" in state
        prefix = "encoder." if pretraining else ""
        kernel = state.get(f"{prefix}patch_embed.proj.weight")
        if kernel is None or kernel.ndim != 5:
            raise MienError("the file is no VideoMAE checkpoint: it has no 3-D patch_embed.proj.weight")
        depth = _depth(state, f"{prefix}blocks.")
        arguments = _sizes(int(kernel.shape[0]), depth, options.get("num_heads"))
        arguments |= {
            "patch_size": int(kernel.shape[3]),
            "tubelet_size": int(kernel.shape[2]),
            "channels": int(kernel.shape[1]),
            "img_size": int(options.get("input_size", 224)),
            "all_frames": int(options.get("num_frames", 16)),
            "mlp_ratio": state[f"{prefix}blocks.0.mlp.fc1.weight"].shape[0] / kernel.shape[0],
            "qkv_bias": f"{prefix}blocks.0.attn.q_bias" in state,
            "init_values": 1.0 if f"{prefix}blocks.0.gamma_1" in state else 0.0,
            "norm_eps": 1e-6,
        }
        if not pretraining:
            arguments["num_classes"] = int(state["head.weight"].shape[0]) if "head.weight" in state else 0
            arguments["use_mean_pooling"] = "fc_norm.weight" in state
            arguments["use_learnable_pos_emb"] = "pos_embed" in state
            return _plan_finetuned(arguments)
        width = int(state["mask_token"].shape[-1])
        # an unpublished decoder's heads cannot be told, and only its encoder is kept
        heads = next((size.heads for size in DECODERS.values() if size.dim == width), 1)
        encoder = {f"encoder_{key}": arguments.pop(key) for key in ("embed_dim", "depth", "num_heads")}
        decoder = {"decoder_embed_dim": width, "decoder_num_heads": heads}
        return _plan_pretraining(arguments | encoder | decoder | {"decoder_depth": _depth(state, "decoder.blocks.")})

    def renaming(self, plan: Plan) -> Renaming:
        """See ``Converter.renaming``."""
        pretraining = plan.form == "pretraining"
        theirs = "encoder." if pretraining else ""
        norm = "norm" if pretraining or plan.arguments.get("pooling") == "first" else "fc_norm"
        rules: list[Rule] = [
            (f"{theirs}patch_embed.proj.{{leaf}}", "encoder.embedding.{leaf}"),
            (f"{theirs}pos_embed", "encoder.positions.table"),
            *block_rules(theirs, "encoder."),
            (f"{theirs}{norm}.{{leaf}}", "encoder.norm.{leaf}"),
        ]
        return Renaming(rules + (decoder_rules() if pretraining else [("head.{leaf}", "head.linear.{leaf}")]))


CONVERTER = VideoMAEConverter()


def _registered(name: str) -> dict[str, Any]:
    """Arguments that a registered published name fixes."""
    words = name.removeprefix("pretrain_videomae_").removeprefix("vit_").split("_")
    if len(words) != 3 or words[0] not in NAMED or words[1] != "patch16" or not words[2].isdigit():
        raise UsageError(f"{name!r} is no registered VideoMAE model, for example vit_base_patch16_224")
    fixed: dict[str, Any] = {"img_size": int(words[2]), "mlp_ratio": 4, "qkv_bias": True, "norm_eps": 1e-6}
    if not name.startswith("pretrain_"):
        return fixed | NAMED[words[0]]
    decoder = DECODERS[f"videomae_{words[0]}"]
    encoder = {f"encoder_{key}": value for key, value in NAMED[words[0]].items()}
    return fixed | encoder | {"decoder_embed_dim": decoder.dim, "decoder_num_heads": decoder.heads}


def taken(rest: dict[str, Any], known: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Take what ``known`` names out of ``rest``: our name → value, the published default where there is none."""
    values = {ours: (rest.pop(theirs, None), default) for theirs, (ours, default) in known.items()}
    return {name: default if value is None else value for name, (value, default) in values.items()}


def leave_out_classes(rest: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Take numbers of classes out of a pretraining model's arguments, which has none but the values of a tubelet."""
    outputs = rest.pop("decoder_num_classes", None)
    wanted = arguments["channels"] * arguments["tubelet"] * arguments["patch"] ** 2
    if outputs not in (None, wanted):
        raise UsageError(f"decoder_num_classes {outputs} is not the {wanted} values of a tubelet")
    for unused in ("encoder_num_classes", "num_classes"):
        rest.pop(unused, None)


def _plan_finetuned(given: Mapping[str, Any]) -> Plan:
    rest = dict(given)
    arguments = _encoder_arguments(rest, ("embed_dim", "depth", "num_heads"), "in_chans")
    arguments["frames"] = rest.pop("all_frames", 16)
    arguments["pooling"] = "mean" if rest.pop("use_mean_pooling", True) else "first"
    if rest.pop("use_learnable_pos_emb", False):
        arguments["positions"] = "learned"
    head = {"dropout": rest.pop("fc_drop_rate", 0.0), "init_scale": rest.pop("init_scale", 0.0)}
    outputs = rest.pop("num_classes", 1000)
    _refuse(rest)
    model = _name(arguments)
    return Plan("finetuned", model, _telling(model, arguments), outputs, head=head)


def _plan_pretraining(given: Mapping[str, Any]) -> Plan:
    rest = dict(given)
    if rest.pop("use_learnable_pos_emb", False):
        raise UsageError("learned positions do not work in published VideoMAE pretraining; use fixed ones")
    arguments = _encoder_arguments(
        rest, ("encoder_embed_dim", "encoder_depth", "encoder_num_heads"), "encoder_in_chans"
    )
    # the published pretraining model is built for 16 frames, whatever it is fed with
    arguments["frames"] = rest.pop("all_frames", 16)
    pretext = {
        "decoder_dim": rest.pop("decoder_embed_dim", 512),
        "decoder_heads": rest.pop("decoder_num_heads", 8),
        "decoder_depth": rest.pop("decoder_depth", 8),
    }
    leave_out_classes(rest, arguments)
    rest.pop("in_chans", None)
    _refuse(rest)
    model = _name(arguments)
    return Plan("pretraining", model, _telling(model, arguments), pretext=pretext)


def _encoder_arguments(rest: dict[str, Any], sizes: tuple[str, str, str], channels: str) -> dict[str, Any]:
    """Take what concerns the encoder out of ``rest``."""
    arguments = taken(rest, ENCODER_ARGUMENTS)
    dim, depth, heads = (rest.pop(name, default) for name, default in zip(sizes, (768, 12, 12), strict=True))
    return arguments | {
        "dim": dim,
        "depth": depth,
        "heads": heads,
        "channels": rest.pop("channels", rest.pop(channels, 3)),
    }


def _name(arguments: Mapping[str, Any]) -> str:
    """The registered size, or the base size (its builder takes any other width and depth as arguments)."""
    return SIZES.get((arguments["dim"], arguments["depth"]), ("videomae_base", 0))[0]


def _telling(model: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    (dim, depth), heads = next((size, heads) for size, (name, heads) in SIZES.items() if name == model)
    return telling(arguments, VideoMAE, {"dim": dim, "depth": depth, "heads": heads})


def _sizes(dim: int, depth: int, heads: Any) -> dict[str, Any]:
    if heads is None and (dim, depth) not in SIZES:
        raise MienError(
            f"width {dim} with {depth} blocks is no published VideoMAE, and weights do not tell the number of "
            "attention heads; give it (--heads)"
        )
    return {"embed_dim": dim, "depth": depth, "num_heads": int(heads or SIZES[dim, depth][1])}


def _depth(state: Mapping[str, Tensor], prefix: str) -> int:
    return 1 + max((int(n.removeprefix(prefix).split(".")[0]) for n in state if n.startswith(prefix)), default=-1)


def _refuse(rest: Mapping[str, Any]) -> None:
    if rest:
        raise UsageError(f"VideoMAE has no argument {', '.join(sorted(rest))}")
