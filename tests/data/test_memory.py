"""Memory that is used again is never taken from somebody who still looks at it."""

from __future__ import annotations

import gc

import numpy as np
import torch

from mien.data.augment import Augmented
from mien.data.dataset import ClipDataset
from mien.data.loader import Batch, ClipLoader
from mien.data.manifest import Manifest
from mien.data.memory import WORTH, Pool
from mien.data.order import EpochOrder
from mien.data.sampling import RandomWindow
from mien.data.settings import AugmentationSettings
from mien.models.specification import Inputs, VideoInput

LARGE = Inputs(video=VideoInput(frames=4, stride=1, size=192, crop=None))


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    pool = Pool()
    whole = pool.empty((3, WORTH))
    place, part = whole.data_ptr(), whole[1, 5:9]
    part.fill_(7.0)
    del whole
    gc.collect()
    other = pool.empty((3, WORTH))
    assert other.data_ptr() != place
    other.fill_(1.0)
    assert part.tolist() == [7.0] * 4
    del part
    gc.collect()
    again = pool.empty((2, WORTH), torch.float32)
    assert again.data_ptr() == place
    assert again.shape == (2, WORTH)
    weight = torch.ones(3, requires_grad=True)
    loss = (again[0, 0] * weight).sum()  # a graph holds what it needs
    del again
    gc.collect()
    assert pool.empty((2, WORTH)).data_ptr() != place
    loss.backward()


def large(corpus: Manifest, workers: int, later: bool) -> ClipLoader:
    change = Augmented(LARGE, AugmentationSettings(contrast=0.3, erase=0.5), later=later)
    data = ClipDataset(corpus, corpus.ids, LARGE, RandomWindow(2), change, seed=1)
    return ClipLoader(data, EpochOrder(1, len(data), 3), workers)


def test_batches_that_are_kept_stay_as_they_came(corpus: Manifest) -> None:
    """More of them than workers have memory to share; and what is shared is free again when they are gone."""
    for later in (False, True):
        alone, helped = large(corpus, 0, later), large(corpus, 2, later)
        slots = helped._loader.collate_fn._slots
        expected = [batch for _ in range(4) for batch in alone]
        kept = [batch for _ in range(4) for batch in helped]
        assert len(kept) == len(expected) >= 20
        assert 8 < int(slots._taken.sum()) <= 16
        for one, other in zip(kept, expected, strict=True):
            assert torch.equal(one["video"], other["video"])
        assert one["video"].nbytes > WORTH
        del kept, one, other
        gc.collect()
        assert not slots._taken.any()


def test_work_that_stops_in_the_middle_leaves_nothing_taken(corpus: Manifest) -> None:
    loader = large(corpus, 2, False)
    slots = loader._loader.collate_fn._slots

    def first() -> Batch:
        return next(iter(loader))

    for _ in range(6):
        loader.set_epoch(0)
        loader.batch = 0
        first()
    gc.collect()
    read_ahead = 2 * 2  # by each of two workers
    assert int(slots._taken.sum()) <= read_ahead + 2
    assert np.isfinite(first()["video"].numpy()).all()
