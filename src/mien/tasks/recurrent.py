"""The recurrent head of SS-VAERR (arXiv 2210.11341): a bidirectional GRU over per-frame features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mien.errors import UsageError
from mien.models.contract import Features, ModelInputs
from mien.tasks.heads import to_frames


class RecurrentHead(nn.Module):
    """Bidirectional GRU and a linear layer: ``frames (B, T, D)`` → ``(B, T, outputs)``.

    ``inputs["length"]`` (B,) gives the valid frames of every clip, in any order; steps past a clip's end hold the
    linear layer's bias. Without it all T frames are valid. Where the encoder's steps are not the frames of the video,
    answers are interpolated between them and lengths scaled.

    Args:
        feature_dim: D.
        outputs: width of the answer.
        hidden, layers: of the GRU, in each direction.
        dropout: share of its inputs that every GRU layer after the first drops in training, and the linear layer.
        every_frame: False answers once for the clip, at its last valid step: ``(B, outputs)``.
        spare: keep a second, unused head of the same shape. The published model stores one; strict loading and
            exact parameter counts need it, nothing else does.
    """

    def __init__(
        self,
        feature_dim: int,
        outputs: int,
        hidden: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        every_frame: bool = True,
        spare: bool = False,
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.gru = nn.GRU(feature_dim, hidden, layers, batch_first=True, bidirectional=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * hidden, outputs)
        nn.init.normal_(self.linear.weight, std=(2.0 / (2 * hidden)) ** 0.5)
        self.every_frame = every_frame
        self.spare = RecurrentHead(feature_dim, outputs, hidden, layers) if spare else None

    def forward(self, features: Features, inputs: ModelInputs) -> Tensor:
        """Answers per frame of the video, or per clip; ``UsageError`` where the encoder gives no features over time."""
        if features.frames is None:
            raise UsageError("a recurrent head needs features over time; this encoder gives one vector per clip")
        steps = features.frames.shape[1]
        video = inputs.get("video")
        frames = steps if video is None else video.shape[2]
        lengths = _steps_of(inputs.get("length"), steps, frames)
        states = self._states(features.frames, lengths)
        if self.every_frame:
            answers: Tensor = self.linear(self.dropout(states))
            return to_frames(answers, frames)
        if lengths is None:
            last = states[:, -1]
        else:
            last = states[torch.arange(len(states)), lengths.to(states.device) - 1]
        answer: Tensor = self.linear(self.dropout(last))
        return answer

    def _states(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """States of both directions ``(B, T, 2 hidden)``, zero past the end."""
        if lengths is None:
            states: Tensor = self.gru(x)[0]
            return states
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]


def _steps_of(length: Tensor | None, steps: int, frames: int) -> Tensor | None:
    """Valid steps of every clip on the CPU, at least one; None where all are valid."""
    if length is None:
        return None
    valid = length.to("cpu", torch.int64)
    if steps != frames:
        valid = (valid * steps + frames - 1) // frames
    valid = valid.clamp(1, steps)
    return None if bool((valid == steps).all()) else valid
