"""Scaled dot products in blocks against the written-out formula and torch's own kernel; quick products stay exact."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import mien.nn.products as products
from mien.nn.products import InBlocks, quick_products, scaled_dot_products

CPU = torch.device("cpu")


def written_out(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    return (query @ key.transpose(-2, -1) * scale).softmax(dim=-1) @ value


@settings(max_examples=20)
@given(entries=st.integers(1, 5), rows=st.integers(1, 7), columns=st.integers(1, 6), block=st.integers(1, 90), keep=...)
def test_blocks_of_any_size_give_the_formula_and_its_gradient(
    entries: int, rows: int, columns: int, block: int, keep: bool
) -> None:
    generator = torch.Generator().manual_seed(rows)
    shapes = ((entries, rows, 3), (entries, columns, 3), (entries, columns, 3))
    given_ = [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "BLOCK", block)
        mixed = InBlocks.apply(*given_, 0.7, keep)
        weights = torch.randn(mixed.shape, generator=generator, dtype=torch.float64)
        found = torch.autograd.grad((mixed * weights).sum(), given_)
    expected = written_out(*given_, 0.7)
    torch.testing.assert_close(mixed, expected)
    torch.testing.assert_close(found, torch.autograd.grad((expected * weights).sum(), given_))


@pytest.mark.parametrize("kept", [0, 2**24])
def test_bfloat16_is_as_near_to_float64_as_torch_s_kernel(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "KEPT", kept)
    monkeypatch.setattr(products, "has_matrix_tiles", lambda: False)
    generator = torch.Generator().manual_seed(0)
    exact = [torch.randn(2, 2, 50, 16, generator=generator, dtype=torch.float64) for _ in range(3)]
    wanted = written_out(*exact, 0.25)
    rounded = [each.bfloat16().requires_grad_() for each in exact]
    found = scaled_dot_products(*rounded)
    torchs = torch.nn.functional.scaled_dot_product_attention(*rounded)
    error, usual = ((each.double() - wanted).norm() / wanted.norm() for each in (found, torchs))
    assert found.grad_fn is not None
    assert "InBlocks" in type(found.grad_fn.next_functions[0][0]).__name__
    assert error < 2 * usual < 0.02
    gradients = [torch.autograd.grad(each.double().square().sum(), rounded) for each in (found, torchs)]
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours - theirs).norm() < 0.03 * theirs.norm()


def test_quick_products_round_as_float32_does_and_end_with_their_block() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(300, 300, generator=generator) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    with quick_products(CPU):
        product = left @ right
    assert torch.get_float32_matmul_precision() == before
    torch.testing.assert_close(product.double(), left.double() @ right.double(), rtol=1e-4, atol=1e-4)


def test_products_that_would_not_be_exact_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_onednn_is_quicker", lambda: True)
    monkeypatch.setattr(products, "_exact", lambda: False)
    with quick_products(CPU):
        assert torch.get_float32_matmul_precision() == "highest"
    monkeypatch.setattr(products, "_exact", lambda: True)
    with quick_products(CPU):
        assert torch.get_float32_matmul_precision() == "medium"
    with quick_products(torch.device("cuda")):  # it would round there
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == "highest"
