"""The Conformer against transformers' blocks of the same design, and against what must not matter."""

from __future__ import annotations

import pytest
import torch

from mien.nn.conformer import Conformer, RelativeAttention, by_distance, relative_sinusoids


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
