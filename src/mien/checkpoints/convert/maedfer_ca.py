"""Checkpoints of drink36/MAE-DFER-CA: MAE-DFER's fine-tuned encoder joined by a motion branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mien.checkpoints.convert.base import Converter, Plan
from mien.checkpoints.convert.maedfer import CONVERTER as PLAIN
from mien.checkpoints.convert.maedfer import encoder_rules
from mien.checkpoints.convert.renaming import Renaming, Rule
from mien.checkpoints.convert.videomae import block_rules
from mien.errors import MienError, UsageError, nearest

# what the published variants are called (with the sizes in brackets that its folders carry) → registered name
VARIANTS = {"add": "maedfer_ca_add", "add(pos)": "maedfer_ca_add_pos", "cat": "maedfer_ca_cat"}
LARGE_REGIONS = {"add(4*5)", "add(4*5*10)"}
STAGES = 4


class MAEDFERCAConverter(Converter):
    """MAE-DFER-CA, fine-tuned models only: it has no pretraining of its own."""

    system = "maedfer_ca"
    paper = "github.com/drink36/MAE-DFER-CA"

    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_arguments``.

        Beside the arguments of MAE-DFER: ``variant`` (``add``, ``add(4*5)``, ``add(pos)``, ``cat``) and ``antialias``,
        what the resizing of the position branch did.
        """
        given = dict(published)
        variant = str(given.pop("variant", "add"))
        antialias = bool(given.pop("antialias", False))
        known = VARIANTS | dict.fromkeys(LARGE_REGIONS, VARIANTS["add"])
        if variant not in known:
            raise UsageError(f"{variant!r} is no variant of MAE-DFER-CA; {nearest(variant, known)}")
        return _joined(PLAIN.plan_arguments(given), known[variant], antialias)

    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """See ``Converter.plan_state``."""
        stem = state.get("conv_act.0.weight")
        if stem is None or "lg_region_tokens" not in state or "fc1.weight" not in state:
            raise MienError(
                "the file is no MAE-DFER-CA checkpoint: it lacks lg_region_tokens, conv_act.0.weight or fc1.weight"
            )
        model = VARIANTS["add"]
        if any(name.startswith("vit_pos.") for name in state):
            model = VARIANTS["add(pos)"]
        elif "head.weight" in state and state["head.weight"].shape[1] > state["fc1.weight"].shape[0]:
            model = VARIANTS["cat"]
        return _joined(PLAIN.plan_state(state, options), model, antialias=False)

    def renaming(self, plan: Plan) -> Renaming:
        """See ``Converter.renaming``."""
        norm = "norm" if plan.arguments.get("pooling") == "first" else "fc_norm"
        return Renaming(
            [
                *motion_rules("encoder.motion."),
                *encoder_rules("", "encoder.encoder.", norm),
                ("head.{leaf}", "head.linear.{leaf}"),
            ]
        )


CONVERTER = MAEDFERCAConverter()


def motion_rules(ours: str) -> list[Rule]:
    """Names of the motion branch; ``ours`` is our prefix."""
    rules: list[Rule] = [
        ("conv_act.{i}.{leaf}", f"{ours}stem.{{i}}.{{leaf}}"),
        ("cablock.conv1.{leaf}", f"{ours}entry.0.{{leaf}}"),
        ("cablock.bn1.{leaf}", f"{ours}entry.1.{{leaf}}"),
        ("cablock.fc.{leaf}", f"{ours}spare.{{leaf}}"),
        ("fc1.{leaf}", f"{ours}project.{{leaf}}"),
    ]
    for stage in range(STAGES):
        published, mine = f"cablock.layer{stage + 1}.0.", f"{ours}stages.{stage}."
        rules += [
            (f"{published}conv{{i}}.weight", f"{mine}conv{{i}}.weight"),
            (f"{published}bn{{i}}.{{leaf}}", f"{mine}norm{{i}}.{{leaf}}"),
            (f"{published}attn.{{i}}.{{leaf}}", f"{mine}attention.{{i}}.{{leaf}}"),
            (f"{published}downsample.{{i}}.{{leaf}}", f"{mine}shortcut.{{i}}.{{leaf}}"),
        ]
    return rules + position_rules(f"{ours}position.")


def position_rules(ours: str) -> list[Rule]:
    """Names of the position branch, those of its unused tensors included."""
    return [
        ("vit_pos.patch_embed.proj.{leaf}", f"{ours}embedding.{{leaf}}"),
        ("vit_pos.pos_embed", f"{ours}positions"),
        ("vit_pos.blocks.{i}.attn.qkv.bias", f"{ours}blocks.{{i}}.attention.qkv.bias"),
        *block_rules("vit_pos.", ours),
        ("vit_pos.norm.{leaf}", f"{ours}norm.{{leaf}}"),
        ("vit_pos.cls_token", f"{ours}spare_token"),
        ("vit_pos.head.{leaf}", f"{ours}spare_head.{{leaf}}"),
        ("vit_pos.to_Mask.0.{leaf}", f"{ours}spare_mask.{{leaf}}"),
    ]


def _joined(plain: Plan, model: str, antialias: bool) -> Plan:
    """The plan of the plain encoder with the motion branch beside it, unused published tensors included."""
    if plain.form != "finetuned" or plain.model != "maedfer_base":
        raise UsageError("MAE-DFER-CA joins fine-tuned LGI-Formers only (attn_type=local_global)")
    arguments = plain.arguments | {"spare": True}
    if antialias:
        arguments["antialias"] = True
    if model == VARIANTS["add"] and arguments.get("region") == (4, 5, 10):
        model = "maedfer_ca_add_4x5x10"
    return Plan("finetuned", model, arguments, plain.outputs, head=plain.head)
