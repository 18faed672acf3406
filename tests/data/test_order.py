"""The order of an epoch: every item once, the same for any number of processes, resumable anywhere."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.order import EpochOrder
from mien.errors import UsageError

sizes = st.tuples(st.integers(1, 60), st.integers(1, 7), st.integers(1, 5), st.integers(0, 9))


def shards(length: int, batch: int, world: int, seed: int = 0, drop_last: bool = False) -> list[EpochOrder]:
    return [EpochOrder(seed, length, batch, drop_last=drop_last, rank=rank, world=world) for rank in range(world)]


@given(sizes)
def test_evaluation_gives_every_item_to_exactly_one_process(size: tuple[int, int, int, int]) -> None:
    length, batch, world, epoch = size
    seen = [key for order in shards(length, batch, world) for keys in order.batches(epoch) for key in keys]
    assert sorted(seen) == [(epoch, position) for position in range(length)]
    for order in shards(length, batch, world):
        assert len(list(order.batches(epoch))) == len(order)


@given(sizes)
def test_training_gives_all_processes_full_batches_and_the_same_number(size: tuple[int, int, int, int]) -> None:
    length, batch, world, epoch = size
    if length < batch * world:
        with pytest.raises(UsageError, match="do not fill one batch"):
            EpochOrder(0, length, batch, world=world)
        return
    steps = [list(order.batches(epoch)) for order in shards(length, batch, world, drop_last=True)]
    assert len({len(batches) for batches in steps}) == 1
    assert all(len(keys) == batch for batches in steps for keys in batches)
    seen = [key for batches in steps for keys in batches for key in keys]
    assert len(set(seen)) == len(seen) == length // (batch * world) * batch * world


@given(st.integers(1, 5), st.integers(0, 9))
def test_number_of_processes_does_not_change_what_a_step_sees(world: int, epoch: int) -> None:
    alone = EpochOrder(1, 240, 60 // 1)
    together = shards(240, 60 // world, world, seed=1, drop_last=True) if 60 % world == 0 else []
    for step, keys in enumerate(alone.batches(epoch)):
        union = [key for order in together for key in list(order.batches(epoch))[step]]
        assert not together or sorted(union) == sorted(keys)


def test_epochs_and_seeds_differ_and_repeat() -> None:
    order = EpochOrder(3, 50, 10)
    first, again, later = (list(order.batches(epoch)) for epoch in (0, 0, 1))
    assert first == again
    assert [[p for _, p in keys] for keys in first] != [[p for _, p in keys] for keys in later]
    assert first != list(EpochOrder(4, 50, 10).batches(0))


@given(st.integers(0, 6))
def test_any_batch_can_be_the_first(first: int) -> None:
    order = EpochOrder(0, 50, 8)
    assert list(order.batches(2, first)) == list(order.batches(2))[first:]


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 9))
def test_repeats_of_a_clip_share_a_batch(clips: int, together: int, batch: int, epoch: int) -> None:
    order = EpochOrder(1, clips * together, batch * together, drop_last=False, together=together)
    batches = [[position // together for _, position in keys] for keys in order.batches(epoch)]
    assert sorted(order.positions(epoch)) == list(range(clips * together))
    assert all(keys.count(clip) == together for keys in batches for clip in keys)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 2), st.integers(0, 9))
def test_balanced_epochs_show_classes_and_clips_equally_often(labels: list[int], together: int, epoch: int) -> None:
    classes = np.asarray(labels)
    order = EpochOrder(3, len(labels) * together, together, together=together, classes=classes)
    clips = [position // together for _, position in chain.from_iterable(order.batches(epoch))][::together]
    assert len(clips) == len(labels)
    shown = [np.count_nonzero(classes[clips] == name) for name in np.unique(classes)]
    assert max(shown) - min(shown) <= 1
    for name in np.unique(classes):
        times = np.bincount(clips, minlength=len(labels))[classes == name]
        assert times.max() - times.min() <= 1


def test_without_shuffling_it_is_ascending() -> None:
    order = EpochOrder(0, 5, 2, shuffle=False, drop_last=False)
    assert list(order.batches(0)) == [[(0, 0), (0, 1)], [(0, 2), (0, 3)], [(0, 4)]]


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"rank": 2, "world": 2}])
def test_refusals(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        EpochOrder(**{"seed": 0, "length": 10, "batch_size": 1, **wrong})


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 40), st.integers(0, 3))
def test_a_few_shards_at_a_time(count: int, at_once: int, width: int, epoch: int) -> None:
    where = np.random.default_rng(width).permutation(np.repeat(np.arange(count), width))
    order = EpochOrder(2, len(where), 1, shards=where, at_once=at_once)
    positions = order.positions(epoch)
    assert sorted(positions) == list(range(len(where)))
    together = [set(where[positions[at : at + at_once * width]]) for at in range(0, len(where), at_once * width)]
    assert all(len(shards) <= at_once for shards in together)
    assert sum(len(shards) for shards in together) == count
    split = [EpochOrder(2, len(where), 1, drop_last=False, rank=r, world=3, shards=where) for r in range(3)]
    assert sorted(key for each in split for keys in each.batches(epoch) for key in keys) == [
        (epoch, position) for position in range(len(where))
    ]
