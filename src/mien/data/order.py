"""The order of an epoch: a pure function of (seed, epoch), whatever the number of workers, resumable at any batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.data.seeding import generator
from mien.errors import UsageError

Key = tuple[int, int]


@dataclass(frozen=True)
class EpochOrder:
    """Batches of an epoch for one of several processes.

    Batch b of all processes together is the same slice of the epoch's order however many processes share it.
    Training drops what does not fill a batch on every process, so that all take the same number of steps; evaluation
    (``drop_last=False``) gives every item to exactly one process, so that the last batches may be short or missing.

    Attributes:
        seed: of the run.
        length: items of an epoch.
        batch_size: items of a batch on one process.
        shuffle: draw a new order for each epoch; otherwise ascending.
        drop_last: leave out the incomplete last batch.
        rank, world: this process and how many there are.
        shards: int64 ``(length,)`` where each position lies, to shuffle a few shards at a time; None shuffles all.
        at_once: how many shards that is. Which shards go together is drawn anew for each epoch.
        together: so many items in a row (the repeats of one clip) stay beside each other when the order is drawn; with
            a batch that is a multiple of it they share a batch.
        classes: int64 ``(length / together,)``, class of every clip, where an epoch shall show equally many clips of
            every class that occurs: rare ones come again, of frequent ones some are left out, others the next time.
    """

    seed: int
    length: int
    batch_size: int
    shuffle: bool = True
    drop_last: bool = True
    rank: int = 0
    world: int = 1
    shards: NDArray[np.int64] | None = None
    at_once: int = 1
    together: int = 1
    classes: NDArray[np.int64] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch size {self.batch_size} must be 1 or more")
        if not 0 <= self.rank < self.world:
            raise UsageError(f"process {self.rank} of {self.world} does not exist")
        if self.drop_last and self.length < self.batch_size * self.world:
            raise UsageError(
                f"{self.length} training clip(s) do not fill one batch of {self.batch_size} on each of "
                f"{self.world} process(es); use a smaller batch"
            )

    def __len__(self) -> int:
        """Batches of an epoch on this process."""
        whole, rest = divmod(self.length, self.batch_size * self.world)
        return whole if self.drop_last or rest <= self.rank else whole + 1

    def positions(self, epoch: int) -> NDArray[np.int64]:
        """All positions in the order of an epoch."""
        if not self.shuffle:
            return np.arange(self.length)
        rng = generator(self.seed, "order", epoch)
        count = self.length // self.together
        clips = rng.permutation(count) if self.classes is None else self._balanced(rng)
        if self.shards is not None:
            shards = rng.permutation(int(self.shards.max()) + 1) // self.at_once
            clips = clips[np.argsort(shards[self.shards[clips * self.together]], kind="stable")]
        return (clips[:, None] * self.together + np.arange(self.together)).reshape(-1)

    def _balanced(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """As many clips as there are, equally many of every class; the clips of a class take turns."""
        assert self.classes is not None
        there = np.unique(self.classes)
        shares = np.full(len(there), len(self.classes) // len(there))
        shares[rng.permutation(len(there))[: len(self.classes) % len(there)]] += 1
        drawn = []
        for number, share in zip(there, shares, strict=True):
            members = np.flatnonzero(self.classes == number)
            turns = [rng.permutation(members) for _ in range(-(-int(share) // len(members)))]
            drawn.append(np.concatenate(turns)[:share])
        return rng.permutation(np.concatenate(drawn))

    def batches(self, epoch: int, first: int = 0) -> Iterator[list[Key]]:
        """Batches of this process from number ``first`` on, as lists of ``(epoch, position)``."""
        order = self.positions(epoch)
        width = self.batch_size * self.world
        for batch in range(first, len(self)):
            mine = order[batch * width : (batch + 1) * width][self.rank :: self.world]
            yield [(epoch, int(position)) for position in mine]
