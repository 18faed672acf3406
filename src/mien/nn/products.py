"""Matrix products and scaled dot products by the quickest way that a processor has.

Scores of scaled dot products are worked on in blocks that stay in the processor's cache. Torch's fused kernel for
processors brings its own matrix products. In bfloat16 they take two to four times as long, forward and backward, as
torch's batched products, unless the processor multiplies in tiles (AMX). Batched products of a few heads at a time do
its work here; the backward pass computes the scores anew where keeping them would take much memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 2**20  # scores at a time: 2 MB in bfloat16
KEPT = 2**24  # most weights that wait for the backward pass: 32 MB in bfloat16


@contextmanager
def quick_products(device: torch.device) -> Iterator[None]:
    """Inside, float32 is multiplied by oneDNN where that is quicker on this processor, and as exact as ever.

    Nothing changes where ``device`` is not the processor: the switch would round on GPUs.

    Torch multiplies float32 by MKL, which leaves half of what AMD's processors can do unused. Torch offers oneDNN under
    a switch that also allows it to round to bfloat16; it does so where the processor multiplies in tiles, and nowhere
    else. So the switch is thrown on AMD's processors without tiles, once a trial product has come out exact.
    """
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # the program that we are part of has set precisions in torch's newer way; they stay
        yield
        return
    if device.type == "cpu" and before == "highest" and _onednn_is_quicker():
        torch.set_float32_matmul_precision("medium")
        if not _exact():
            torch.set_float32_matmul_precision(before)
    try:
        yield
    finally:
        if torch.get_float32_matmul_precision() != before:
            torch.set_float32_matmul_precision(before)


@cache
def _onednn_is_quicker() -> bool:
    processor = torch.cpu.get_capabilities()
    return "AMD" in str(processor.get("cpu_name", "")) and bool(processor.get("avx512_f")) and not has_matrix_tiles()


def _exact() -> bool:
    """Whether a product of float32 has float32's rounding: bfloat16 would be off by a thousand times as much."""
    trial = torch.linspace(-1, 1, 128 * 128).reshape(128, 128).sin()
    with torch.autocast("cpu", enabled=False):
        return torch.allclose((trial @ trial).double(), trial.double() @ trial.double(), rtol=1e-5, atol=1e-4)


@cache
def has_matrix_tiles() -> bool:
    """Whether this processor multiplies bfloat16 in tiles (AMX)."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def scaled_dot_products(
    query: Tensor, key: Tensor, value: Tensor, *, dropout: float = 0.0, scale: float | None = None
) -> Tensor:
    """``softmax(q·kᵀ·scale)·v`` by the quickest way that the device has.

    Args:
        query: ``(B, h, N, d)``.
        key, value: ``(B, h, M, d)``.
        dropout: share of the weights that are dropped.
        scale: None is ``d ** -0.5``.

    Returns:
        ``(B, h, N, d)``.
    """
    if torch.compiler.is_compiling() or query.device.type != "cpu" or dropout or not _quicker_in_blocks(query.dtype):
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scale)
    flat = [each.flatten(0, 1) for each in (query, key, value)]
    wanted = torch.is_grad_enabled() and any(each.requires_grad for each in flat)
    keep = wanted and len(flat[0]) * query.shape[2] * key.shape[2] <= KEPT
    mixed: Tensor = InBlocks.apply(*flat, query.shape[-1] ** -0.5 if scale is None else scale, keep)
    return mixed.unflatten(0, query.shape[:2])


def _quicker_in_blocks(dtype: torch.dtype) -> bool:
    """Float32 where ``quick_products`` holds, bfloat16 without tiles."""
    if dtype == torch.float32:
        with suppress(RuntimeError):  # precisions set in torch's newer way
            onednn: Any = torch.backends.mkldnn
        return bool(onednn.matmul.fp32_precision == "bf16") and not has_matrix_tiles()
    return dtype == torch.bfloat16 and not has_matrix_tiles()


class InBlocks(torch.autograd.Function):
    """``(n, N, d)``, ``(n, M, d)`` → ``(n, N, d)``, block by block; weights may be kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float, keep: bool) -> Tensor:
        """See the class."""
        out = query.new_empty(query.shape)
        room, parts = _blocks(query, key)
        kept = query.new_empty(len(query) if keep else 0, *room.shape[1:])
        for part in parts:
            weights = _weights(kept[part] if keep else room, query[part], key[part], scale)
            torch.bmm(weights, value[part], out=out[part])
        ctx.save_for_backward(query, key, value, kept)
        ctx.scale = scale
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of query, key and value."""
        query, key, value, kept = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_query, of_key, of_value = (each.new_empty(each.shape) for each in (query, key, value))
        room, parts = _blocks(query, key)
        more = torch.empty_like(room)
        for part in parts:
            q, k, v, g = query[part], key[part], value[part], gradient[part]
            weights = kept[part] if len(kept) else _weights(room, q, k, ctx.scale)
            # products with the small factor first: the scores need not be turned round
            of_value[part] = (g.transpose(1, 2) @ weights).transpose(1, 2)
            scores = torch.bmm(g, v.transpose(1, 2), out=more[: len(q)])
            torch.ops.aten._softmax_backward_data.out(scores, weights, -1, scores.dtype, grad_input=scores)
            torch.bmm(scores, k, out=of_query[part])
            of_key[part] = (q.transpose(1, 2) @ scores).transpose(1, 2)
        return of_query.mul_(ctx.scale), of_key.mul_(ctx.scale), of_value, None, None


def _blocks(query: Tensor, key: Tensor) -> tuple[Tensor, list[slice]]:
    """Room for the scores of one block, and the blocks."""
    count, rows, columns = len(query), query.shape[1], key.shape[1]
    size = min(count, max(1, BLOCK // (rows * columns)))
    parts = [slice(first, min(count, first + size)) for first in range(0, count, size)]
    return query.new_empty(size, rows, columns), parts


def _weights(room: Tensor, query: Tensor, key: Tensor, scale: float) -> Tensor:
    """Softmax of the scores, in ``room``."""
    scores = room[: len(query)]
    torch.baddbmm(scores, query, key.transpose(1, 2), beta=0, alpha=scale, out=scores)
    # under autocast ``softmax`` would make a float32 copy
    torch.ops.aten._softmax.out(scores, -1, False, out=scores)
    return scores
