"""Attention rollout (Abnar and Zuidema 2020, arXiv 2005.00928) for every transformer of mien.

A second pass lets only attention act: values pass unchanged, MLPs add nothing, norms do nothing, and residuals add what
they carry. What is then linear in the input tokens has a gradient that is the product of all attention maps with the
identity added, whatever way the tokens take: reduced in time, gathered in bottlenecks or regions, read by latents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mien.errors import UsageError
from mien.models.contract import Encoder
from mien.models.svfap import SpatialBottleneck, TemporalReduction
from mien.models.tubelet import TubeletEncoder
from mien.models.viper import PerceiverLayer, StreamPerceiver
from mien.nn.attention import CrossAttention, SelfAttention
from mien.nn.block import LayerScale, Mlp
from mien.nn.patches import Size3, grid_of

_ALONE = Lock()  # modules are changed for the time of a call, and windows are worked on side by side


class _Recorder(TorchFunctionMode):
    """Notes the weights of every scaled dot product, mean over heads, in the order of computation."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.scaled_dot_product_attention:
            query, key = args[0], args[1]
            scale = (kwargs or {}).get("scale") or query.shape[-1] ** -0.5
            self.weights.append((query @ key.transpose(-2, -1) * scale).softmax(dim=-1).mean(dim=1).float())
        return func(*args, **(kwargs or {}))


def rolls_out(encoder: Encoder) -> bool:
    """Whether an encoder is a transformer that rollout knows its way through."""
    return isinstance(_core(encoder), TubeletEncoder | StreamPerceiver)


def rollout(encoder: Encoder, inputs: Mapping[str, Tensor]) -> Tensor:
    """How much of each input token reaches the pooled features through attention, whatever the answer is.

    Args:
        encoder: a transformer over video tubelets or over feature streams, in eval mode.
        inputs: of the model.

    The encoder's modules act otherwise during the call: let no other thread use it meanwhile.

    Returns:
        ``(B, t, h, w)`` over tubelets, or ``(B, T)`` over steps of streams; at least 0, each clip adds up to 1.

    Raises:
        UsageError: the encoder is no such transformer.
    """
    core = _core(encoder)
    if not isinstance(core, TubeletEncoder | StreamPerceiver):
        raise UsageError(f"{type(encoder).__name__} has no attention over its input to roll out; use gradients")
    with _ALONE:
        relevance = _relevance(encoder, core, inputs)
    if isinstance(core, StreamPerceiver):
        return relevance
    grid: Size3 = grid_of(inputs["video"], core.tubelet)
    return relevance.unflatten(1, grid)


def _relevance(encoder: Encoder, core: Encoder, inputs: Mapping[str, Tensor]) -> Tensor:
    """Of every token, ``(B, N)``, adding up to 1."""
    entry = "embed" if isinstance(core, TubeletEncoder) else "join"
    tokens: list[Tensor] = []
    gathered: list[Tensor] = []
    with torch.no_grad(), _Recorder() as recorder, _noting(core, entry, tokens, gathered):
        encoder.forward_features(inputs)
    start = torch.zeros_like(tokens[0]).requires_grad_()
    with torch.enable_grad(), _attention_alone(core, entry, start, recorder.weights, gathered):
        pooled = encoder.forward_features(inputs).pooled
        (relevance,) = torch.autograd.grad(pooled.sum(), start)
    summed: Tensor = relevance.sum(dim=-1).clamp_min(0)
    return summed / summed.sum(dim=1, keepdim=True).clamp_min(1e-12)


def _core(encoder: Encoder) -> Encoder:
    """The transformer itself, where an encoder only adds a branch to it."""
    return encoder if isinstance(encoder, TubeletEncoder | StreamPerceiver) else encoder.core()[1]


@contextmanager
def _noting(core: Encoder, entry: str, tokens: list[Tensor], gathered: list[Tensor]) -> Iterator[None]:
    """Keep what enters the transformer, and the weights of its bottlenecks."""
    usual = getattr(core, entry)

    def note(*arguments: Any, **options: Any) -> Tensor:
        made: Tensor = usual(*arguments, **options)
        tokens.append(made)
        return made

    setattr(core, entry, note)
    hooks = [
        module.score.register_forward_hook(lambda _, __, out: gathered.append(out.softmax(dim=2)))
        for module in core.modules()
        if isinstance(module, SpatialBottleneck)
    ]
    try:
        yield
    finally:
        delattr(core, entry)
        for hook in hooks:
            hook.remove()


@contextmanager
def _attention_alone(
    core: Encoder, entry: str, start: Tensor, weights: list[Tensor], gathered: list[Tensor]
) -> Iterator[None]:
    """Replace the forward of every module by what rollout makes of it; weights come in the order of computation."""
    maps, means = iter(weights), iter(gathered)

    def mixed(context: Tensor) -> Tensor:
        return next(maps) @ context

    def read(latents: Tensor, context: Tensor | None = None) -> Tensor:
        seen = latents if context is None else context.mean(dim=-1, keepdim=True).expand(-1, -1, latents.shape[-1])
        return latents + mixed(seen)

    def rule(module: nn.Module) -> Callable[..., Tensor] | None:
        if isinstance(module, PerceiverLayer):
            return read
        if isinstance(module, SelfAttention | CrossAttention):
            return lambda tokens, context=None: mixed(tokens if context is None else context)
        if isinstance(module, Mlp):
            return torch.zeros_like
        if isinstance(module, nn.LayerNorm | LayerScale):
            return lambda tokens: tokens
        if isinstance(module, TemporalReduction):
            return lambda tokens: (
                tokens[:, : tokens.shape[1] // module.step * module.step].unflatten(1, (-1, module.step)).mean(dim=2)
            )
        if isinstance(module, SpatialBottleneck):
            return lambda tokens: next(means).transpose(2, 3) @ tokens
        return None

    changed = []
    for module in core.modules():
        replacement = rule(module)
        if replacement is not None:
            module.forward = replacement
            changed.append(module)
    setattr(core, entry, lambda *arguments, **options: start)
    try:
        yield
    finally:
        delattr(core, entry)
        for module in changed:
            del module.forward
