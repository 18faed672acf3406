"""The recurrent head of SS-VAERR (arXiv 2210.11341): a bidirectional GRU over per-frame features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mien.errors import UsageError
from mien.models.contract import Features, ModelInputs


class RecurrentHead(nn.Module):
    """Bidirectional GRU and a linear layer: ``frames (B, T, D)`` → ``(B, T', outputs)``.

    ``inputs["length"]`` (B,) gives the valid frames of every clip, in any order; then ``T' = max(length)`` and steps
    past a clip's end hold the linear layer's bias. Without it all T frames are valid.

    Args:
        spare: keep a second, unused head of the same shape. The published model stores one; strict loading and
            exact parameter counts need it, nothing else does.
    """

    def __init__(self, feature_dim: int, outputs: int, hidden: int = 256, layers: int = 2, spare: bool = False) -> None:
        super().__init__()
        self.gru = nn.GRU(feature_dim, hidden, layers, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, outputs)
        nn.init.normal_(self.linear.weight, std=(2.0 / (2 * hidden)) ** 0.5)
        self.spare = RecurrentHead(feature_dim, outputs, hidden, layers) if spare else None

    def forward(self, features: Features, inputs: ModelInputs) -> Tensor:
        if features.frames is None:
            raise UsageError("a recurrent head needs features over time; this encoder gives one vector per clip")
        length = inputs.get("length")
        if length is None:
            x, _ = self.gru(features.frames)
        else:
            packed = pack_padded_sequence(
                features.frames, length.to("cpu", torch.int64), batch_first=True, enforce_sorted=False
            )
            x, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        out: Tensor = self.linear(x)
        return out
