"""ViPER: a Perceiver over streams of features (face appearance, voice, text, action units).

Vaiani, La Quatra, Cagliero, Garza: ViPER: Video-based Perceiver for Emotion Recognition, MuSe workshop at ACM MM 2022.
The Perceiver is Jaegle et al., Perceiver IO, ICLR 2022 (arXiv 2107.14795). Streams are joined on the channel axis per
time step; the published model has no positions, so it cannot see the order of steps (``time_embedding`` adds them).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import MienError, UsageError
from mien.models.contract import Encoder, Features, ModelInputs
from mien.models.registry import register_model
from mien.models.specification import Inputs, StreamInput
from mien.nn import Mlp, sinusoid_table
from mien.nn.device import sent_once
from mien.nn.recompute import Recomputable, recomputable

# Widths of the published feature streams; 27 action units and expressions are followed by 5 zeros so that heads divide.
WIDTHS = {"visual": 768, "audio": 512, "text": 768, "fau": 32}

# What the published heads give, in their order (Hume-Reaction, MuSe 2022).
REACTIONS = ("Adoration", "Amusement", "Anxiety", "Disgust", "Empathic-Pain", "Fear", "Surprise")


_times = sent_once(sinusoid_table)


class PerceiverLayer(Recomputable):
    """Attention of latents over a context (or themselves), then an MLP of the same width, each with a residual.

    Args:
        dim: width C of the latents.
        context_dim: width D of the context, which is also the width inside attention; None: the latents themselves.
        heads: attention heads.
        dropout: on the attention weights.
    """

    def __init__(self, dim: int, heads: int, context_dim: int | None = None, dropout: float = 0.1) -> None:
        super().__init__()
        inner = context_dim or dim
        self.heads = heads
        self.dropout = dropout
        self.norm = nn.LayerNorm(dim)
        self.context_norm = nn.LayerNorm(inner) if context_dim else None
        self.query = nn.Linear(dim, inner)
        self.key = nn.Linear(inner, inner)
        self.value = nn.Linear(inner, inner)
        self.out = nn.Linear(inner, dim)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, ratio=1.0)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    @recomputable
    def forward(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """``(B, L, C)`` and context ``(B, N, D)`` → ``(B, L, C)``."""
        query = self.norm(latents)
        seen = query if context is None or self.context_norm is None else self.context_norm(context)
        attended = F.scaled_dot_product_attention(
            self._heads(self.query(query)),
            self._heads(self.key(seen)),
            self._heads(self.value(seen)),
            dropout_p=self.dropout if self.training else 0.0,
        )
        latents = latents + self.out(attended.transpose(1, 2).flatten(2))
        out: Tensor = latents + self.mlp(self.mlp_norm(latents))
        return out


class StreamPerceiver(Encoder):
    """Streams ``(B, T, width)`` by name → ``pooled (B, dim)``.

    Args:
        streams: name → width, in the order in which they are joined.
        latents, dim, depth, heads: number and width of the latents, self-attention layers and heads.
        dropout: on attention weights while training.
        time_embedding: add sinusoids over the steps; the published model has none.
        modality_embedding: add a learned vector to each stream where it is there, and put another in its place where
            it is not; the published model has none and sees zeros.
    """

    def __init__(
        self,
        streams: dict[str, int],
        *,
        latents: int = 256,
        dim: int = 1280,
        depth: int = 26,
        heads: int = 8,
        dropout: float = 0.1,
        time_embedding: bool = False,
        modality_embedding: bool = False,
    ) -> None:
        super().__init__()
        self.streams = dict(streams)
        self.modalities = tuple(streams)
        self.feature_dim = dim
        self.depth = depth
        self.time_embedding = time_embedding
        self.modality_embedding = modality_embedding
        width = sum(streams.values())
        for given in (dim, width):
            if given % heads:
                raise UsageError(f"{heads} heads do not divide a width of {given}; choose other streams or heads")
        self.latents = nn.Parameter(torch.empty(latents, dim).normal_(std=0.02))
        self.read = PerceiverLayer(dim, heads, width, dropout)
        self.blocks = nn.ModuleList(PerceiverLayer(dim, heads, None, dropout) for _ in range(depth))
        self.output_query = nn.Parameter(torch.empty(1, dim).normal_(std=0.02))
        self.decode = PerceiverLayer(dim, 1, dim, dropout)
        if modality_embedding:
            self.seen = _vectors(streams)
            self.unseen = _vectors(streams)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def join(self, inputs: ModelInputs) -> Tensor:
        """All streams side by side ``(B, T, sum of widths)``; what is absent is zeros, as the published model had it.

        A stream is absent where its key is, or where ``<name>_present`` (B,) or (B, T) is False. Narrower streams are
        followed by zeros (the published action units: 27 values and 5 zeros).
        """
        there = [inputs[name] for name in self.streams if name in inputs]
        if not there:
            raise MienError(f"none of the streams {', '.join(self.streams)} is there; a prediction needs at least one")
        steps = max(x.shape[1] for x in there)
        return torch.cat([self._stream(name, inputs, there[0], steps) for name in self.streams], dim=-1)

    def _stream(self, name: str, inputs: ModelInputs, like: Tensor, steps: int) -> Tensor:
        width, x = self.streams[name], inputs.get(name)
        present = like.new_zeros(len(like), steps, 1)
        if x is None:
            x = like.new_zeros(len(like), steps, width)
        elif x.shape[1] != steps or x.shape[2] > width:
            raise MienError(
                f"stream {name} is {x.shape[1]} steps of {x.shape[2]} values, not {steps} of {width}; "
                "extract all streams with the same number of steps"
            )
        else:
            x = F.pad(x, (0, width - x.shape[2]))
            mask = inputs.get(f"{name}_present")
            present = present + 1 if mask is None else (present + mask.reshape(len(x), -1, 1).to(x))
            x = x * present
        if not self.modality_embedding:
            return x
        return x + present * self.seen[name] + (1 - present) * self.unseen[name]

    def forward_features(self, inputs: ModelInputs) -> Features:
        """``tokens`` are the latents after the last block."""
        x = self.join(inputs)
        if self.time_embedding:
            x = x + _times(x.device, x.shape[1], x.shape[2]).to(x)
        z = self.read(self.latents.expand(x.shape[0], -1, -1), x)
        for block in self.blocks:
            z = block(z)
        pooled = self.decode(self.output_query.expand(x.shape[0], -1, -1), z)
        return Features(pooled=pooled[:, 0], tokens=z)

    def layer_of(self, name: str) -> int:
        """0 latents and reading layer, i + 1 block i, then the rest."""
        part = name.split(".")
        if part[0] == "blocks":
            return int(part[1]) + 1
        return 0 if part[0] in {"latents", "read", "seen", "unseen"} else self.depth + 1


def _vectors(streams: dict[str, int]) -> nn.ParameterDict:
    return nn.ParameterDict(
        {name: nn.Parameter(torch.empty(width).normal_(std=0.02)) for name, width in streams.items()}
    )


def _inputs(*names: str) -> Inputs:
    return Inputs(streams=tuple(StreamInput(name=name, width=WIDTHS[name], steps=32) for name in names))


def _perceiver(names: tuple[str, ...], options: dict[str, object]) -> StreamPerceiver:
    streams = options.pop("streams", None) or {name: WIDTHS[name] for name in names}
    return StreamPerceiver(streams, **options)  # type: ignore[arg-type]


@register_model(_inputs("visual", "audio"))
def viper_test(**options: object) -> StreamPerceiver:
    """Tiny Perceiver on visual and audio streams: 8 latents of width 32, 2 layers. For tests; no published weights."""
    return _perceiver(("visual", "audio"), {"latents": 8, "dim": 32, "depth": 2, "heads": 4, **options})


@register_model(_inputs("visual"))
def viper_v(**options: object) -> StreamPerceiver:
    """ViPER-V, 272.5 M parameters with 7 intensities. Weights: VaianiLorenzo/ViPER-V on the Hugging Face hub."""
    return _perceiver(("visual",), options)


@register_model(_inputs("visual", "audio"))
def viper_va(**options: object) -> StreamPerceiver:
    """ViPER-VA, 276.0 M parameters with 7 intensities. Weights: VaianiLorenzo/ViPER-VA on the Hugging Face hub."""
    return _perceiver(("visual", "audio"), options)


@register_model(_inputs("visual", "text"))
def viper_vt(**options: object) -> StreamPerceiver:
    """ViPER-VT, 278.1 M parameters with 7 intensities. Weights: VaianiLorenzo/ViPER-VT on the Hugging Face hub."""
    return _perceiver(("visual", "text"), options)


@register_model(_inputs("visual", "fau"))
def viper_vf(**options: object) -> StreamPerceiver:
    """ViPER-VF, 272.7 M parameters with 7 intensities. Weights: VaianiLorenzo/ViPER-VF on the Hugging Face hub."""
    return _perceiver(("visual", "fau"), options)


@register_model(_inputs("visual", "audio", "text"))
def viper_vat(**options: object) -> StreamPerceiver:
    """ViPER-VAT, 283.0 M parameters with 7 intensities. Weights: VaianiLorenzo/ViPER-VAT on the Hugging Face hub."""
    return _perceiver(("visual", "audio", "text"), options)


@register_model(_inputs("visual", "audio", "fau"))
def viper_vaf(**options: object) -> StreamPerceiver:
    """ViPER-VAF, 276.2 M parameters with 7 intensities. Weights: VaianiLorenzo/ViPER-VAF on the Hugging Face hub."""
    return _perceiver(("visual", "audio", "fau"), options)


@register_model(_inputs("visual", "text", "fau"))
def viper_vtf(**options: object) -> StreamPerceiver:
    """ViPER-VTF, 278.3 M parameters with 7 intensities. Weights: VaianiLorenzo/ViPER-VTF on the Hugging Face hub."""
    return _perceiver(("visual", "text", "fau"), options)


@register_model(_inputs("visual", "audio", "text", "fau"))
def viper_vatf(**options: object) -> StreamPerceiver:
    """ViPER-VATF, 283.4 M parameters with 7 intensities. Weights: VaianiLorenzo/ViPER-VATF on the Hugging Face hub."""
    return _perceiver(("visual", "audio", "text", "fau"), options)
