"""The Conformer against transformers' blocks of the same design, and against what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.nn.conformer import Conformer, ConformerBlock, RelativeAttention, by_distance, relative_sinusoids


def test_scores_are_shifted_to_the_distance_of_query_and_key() -> None:
    steps = 5
    distances = torch.arange(steps - 1, -steps, -1.0).expand(2, 3, steps, -1)
    expected = torch.arange(steps)[:, None] - torch.arange(steps)[None]
    assert torch.equal(by_distance(distances), expected.float().expand(2, 3, -1, -1))


@pytest.mark.slow
def test_attention_agrees_with_transformers() -> None:
    pytest.importorskip("transformers")
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import (
        Wav2Vec2ConformerRelPositionalEmbedding,
        Wav2Vec2ConformerSelfAttention,
    )

    torch.manual_seed(0)
    config = Wav2Vec2ConformerConfig(
        hidden_size=16, num_attention_heads=4, position_embeddings_type="relative", max_source_positions=50
    )
    theirs = Wav2Vec2ConformerSelfAttention(config).eval()
    ours = RelativeAttention(16, 4).eval()
    biases = {"pos_bias_u": "content_bias", "pos_bias_v": "distance_bias"}
    pairs = {"linear_q": "query", "linear_k": "key", "linear_v": "value", "linear_out": "out", "linear_pos": "distance"}
    state = {}
    for name, value in theirs.state_dict().items():
        layer, _, leaf = name.partition(".")
        state[f"{pairs[layer]}.{leaf}" if layer in pairs else biases[name]] = value
    ours.load_state_dict(state)
    x = torch.randn(2, 7, 16)
    positions = Wav2Vec2ConformerRelPositionalEmbedding(config)(x)
    torch.testing.assert_close(relative_sinusoids(7, 16), positions[0], rtol=1e-5, atol=1e-5)
    expected = theirs(x, relative_position_embeddings=positions)[0]
    torch.testing.assert_close(ours(x, positions[0]), expected, rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Conformer(6, dim=16, heads=2, hidden=32, blocks=2, kernel=5).eval()
    clip = torch.randn(1, 9, 6)
    padded = torch.cat((clip, 100 * torch.randn(1, 4, 6)), dim=1)
    present = torch.arange(13)[None] < 9
    torch.testing.assert_close(model(padded, present)[:, :9], model(clip), rtol=1e-4, atol=1e-5)


def test_it_sees_both_past_and_future() -> None:
    model = Conformer(6, dim=16, heads=2, hidden=32, blocks=1, kernel=3).eval()
    clip = torch.randn(1, 20, 6, requires_grad=True)
    model(clip)[0, 10].sum().backward()
    assert clip.grad is not None
    assert (clip.grad[0].abs().sum(dim=1) > 0).all()


def by_loops(block: ConformerBlock, x: np.ndarray) -> np.ndarray:
    """A block on ``(T, C)`` in evaluation, its sums written out."""
    w = {name: value.detach().double().numpy() for name, value in block.state_dict().items()}
    steps, dim = x.shape
    heads, width = w["attention.content_bias"].shape

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        scaled = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ w[f"{name}.weight"].reshape(-1, x.shape[1]).T + w.get(f"{name}.bias", 0.0)

    def swish(x: np.ndarray) -> np.ndarray:
        return x / (1 + np.exp(-x))

    def half(name: str, x: np.ndarray) -> np.ndarray:
        return 0.5 * linear(f"{name}.4", swish(linear(f"{name}.1", norm(f"{name}.0", x))))

    def place(distance: int) -> np.ndarray:
        angles = distance / 10000 ** (np.arange(0, dim, 2) / dim)
        return np.stack([np.sin(angles), np.cos(angles)], 1).ravel()

    x = x + half("before", x)
    inner = norm("attention_norm", x)
    query, key, value = (linear(f"attention.{name}", inner) for name in ("query", "key", "value"))
    mixed = np.zeros_like(x)
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        for i in range(steps):
            scores = np.zeros(steps)
            for j in range(steps):
                distance = linear("attention.distance", place(i - j)[None])[0, own]
                content = (query[i, own] + w["attention.content_bias"][head]) @ key[j, own]
                scores[j] = (content + (query[i, own] + w["attention.distance_bias"][head]) @ distance) / np.sqrt(width)
            shares = np.exp(scores - scores.max())
            mixed[i, own] = shares / shares.sum() @ value[:, own]
    x = x + linear("attention.out", mixed)
    wide = linear("convolution.gate", norm("convolution_norm", x))
    gated = wide[:, :dim] / (1 + np.exp(-wide[:, dim:]))
    kernel, bias = w["convolution.depthwise.weight"][:, 0], w["convolution.depthwise.bias"]
    reach = kernel.shape[1] // 2
    rows = [
        bias + sum(kernel[:, k + reach] * gated[t + k] for k in range(-reach, reach + 1) if 0 <= t + k < steps)
        for t in range(steps)
    ]
    spread = np.sqrt(w["convolution.norm.running_var"] + 1e-5)
    even = (np.stack(rows) - w["convolution.norm.running_mean"]) / spread
    even = even * w["convolution.norm.weight"] + w["convolution.norm.bias"]
    x = x + linear("convolution.out", swish(even))
    return norm("norm", x + half("after", x))


@torch.no_grad()
def test_a_block_is_its_formula() -> None:
    torch.manual_seed(0)
    block = ConformerBlock(8, 2, 12, 5, 0.1)
    for tensor in block.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) - 0.4 if tensor.ndim > 1 else torch.rand_like(tensor) + 0.5)
    x = torch.randn(1, 7, 8)
    found = block.eval()(x, relative_sinusoids(7, 8))[0]
    np.testing.assert_allclose(found.numpy(), by_loops(block, x[0].double().numpy()), atol=1e-5)
