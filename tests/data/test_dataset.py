"""The dataset: right frames, sound and targets; items that depend on (seed, epoch, id) alone; failures kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mien.data.augment import Augmented, Deterministic
from mien.data.dataset import ClipDataset, Failure, Item
from mien.data.loader import collate
from mien.data.manifest import Manifest
from mien.data.sampling import CoveringWindows, EvenViews, RandomWindow, Sampling
from mien.data.settings import AugmentationSettings
from mien.data.targets import TargetSpec
from mien.errors import UsageError
from mien.media import VideoReader, read_sound
from mien.models.specification import Inputs, SoundInput, VideoInput

VIDEO = VideoInput(frames=4, stride=3, size=48, mean=(0.0,) * 3, std=(1.0,) * 3)
SOUND = SoundInput(rate=8000, features="waveform")
INPUTS = Inputs(video=VIDEO)
TRAIN = Augmented(INPUTS, AugmentationSettings(brightness=0.3, erase=0.5))


def dataset(
    manifest: Manifest, inputs: Inputs = INPUTS, sampling: Sampling | None = None, **options: object
) -> ClipDataset:
    options = {"transform": Deterministic(inputs), **options}
    return ClipDataset(manifest, manifest.ids, inputs, sampling or EvenViews(2), **options)  # type: ignore[arg-type]


def read(data: ClipDataset, id_: str, epoch: int = 0) -> Item:
    item = data.item(epoch, data.ids.index(id_) * data.sampling.repeats)
    assert isinstance(item, Item), item
    return item


def test_views_hold_exactly_the_frames_they_name(corpus: Manifest) -> None:
    item = read(dataset(corpus, sampling=EvenViews(3)), corpus.ids[7])
    with VideoReader(corpus.row(item.id).path) as video:
        for view in item.views:
            expected = video.at_indices(view["index"].numpy()).transpose(3, 0, 1, 2) / 255
            np.testing.assert_allclose(view["video"].numpy(), expected, atol=1e-6)
            np.testing.assert_array_equal(view["times"].numpy(), video.times[view["index"].numpy()])
    assert [view["index"][0].item() for view in item.views] == [0, 15, 33]


def test_start_and_end_bound_what_is_seen(corpus: Manifest) -> None:
    frame = corpus.frame.iloc[[7]].assign(id="part", start=0.4, end=0.8)
    item = read(dataset(Manifest(frame, corpus.root), sampling=CoveringWindows(0.0)), "part")
    index = torch.cat([view["index"] for view in item.views])
    assert (index.min().item(), index.max().item()) == (10, 19)
    empty = Manifest(frame.assign(start=50.0, end=60.0), corpus.root)
    failure = dataset(empty).item(0, 0)
    assert isinstance(failure, Failure)
    assert "no frame between 50 and 60 s" in failure.reason


def test_sound_is_that_of_the_frames(corpus: Manifest) -> None:
    inputs = Inputs(video=VIDEO, sound=SOUND)
    view = read(dataset(corpus, inputs), corpus.ids[7]).views[1]
    start, end = view["times"][0].item(), view["times"][-1].item() + 3 / 25
    expected = read_sound(corpus.row(corpus.ids[7]).path, 8000, start, end)
    assert expected is not None
    assert view["sound"].shape == (round((end - start) * 8000),)
    np.testing.assert_allclose(view["sound"].numpy(), expected.samples, atol=1e-6)
    silent = read(dataset(corpus, inputs), corpus.ids[3]).views[0]
    assert not silent["sound_present"].any()


def test_sound_may_lie_in_another_file(corpus: Manifest) -> None:
    frame = corpus.frame.iloc[[3]].assign(audio="clips/4.mp4")
    view = read(dataset(Manifest(frame, corpus.root), Inputs(video=VIDEO, sound=SOUND)), corpus.ids[3]).views[0]
    other = read_sound(corpus.root / "clips/4.mp4", 8000, 0.0, view["times"][-1].item() + 3 / 25)
    assert other is not None
    np.testing.assert_allclose(view["sound"].numpy(), other.samples, atol=1e-6)


def test_models_that_only_hear_need_no_picture(corpus: Manifest) -> None:
    view = read(dataset(corpus, Inputs(sound=SOUND)), corpus.ids[5]).views[0]
    assert "video" not in view
    assert view["sound_present"].float().mean() > 0.95
    assert isinstance(dataset(corpus, Inputs(sound=SOUND)).item(0, sorted(corpus.ids).index(corpus.ids[3])), Failure)


def test_clip_targets(corpus: Manifest) -> None:
    classes = dataset(corpus, targets=TargetSpec(("label",), ("low", "high")))
    values = dataset(corpus, targets=TargetSpec(("valence",)))
    assert read(classes, corpus.ids[3]).views[0]["target"].item() == 1
    torch.testing.assert_close(read(values, corpus.ids[3]).views[1]["target"], torch.tensor([0.3]))
    with pytest.raises(UsageError, match="which is not one of the classes"):
        dataset(corpus, targets=TargetSpec(("label",), ("low", "medium")))


def test_frame_targets_follow_the_frames(corpus: Manifest) -> None:
    spec = TargetSpec(("arousal", "valence"), level="frame")
    for view in read(dataset(corpus, sampling=CoveringWindows(0.5), targets=spec), corpus.ids[7]).views:
        expected = np.stack([-view["times"] / 10, view["times"] / 10], axis=1)
        np.testing.assert_allclose(view["target"].numpy(), expected, atol=1e-6)


def test_repeated_frames_are_not_labelled(corpus: Manifest) -> None:
    """10 frames at stride 3 are four; a model of six frames sees the last one thrice and learns from it once."""
    long = VIDEO.model_copy(update={"frames": 6})
    spec = TargetSpec(("valence",), level="frame")
    view = read(dataset(corpus, Inputs(video=long), targets=spec), corpus.ids[0]).views[0]
    assert view["index"].tolist() == [0, 3, 6, 9, 9, 9]
    assert view["length"].item() == 4
    assert torch.isnan(view["target"][:, 0]).tolist() == [False] * 4 + [True] * 2


def test_items_depend_on_seed_epoch_and_id_alone(corpus: Manifest) -> None:
    options = {"sampling": RandomWindow(repeats=2), "transform": TRAIN, "seed": 5}
    data = dataset(corpus, **options)  # type: ignore[arg-type]
    assert len(data) == 16
    shuffled = Manifest(corpus.frame.iloc[::-1], corpus.root)
    again = ClipDataset(shuffled, shuffled.ids[2:], INPUTS, RandomWindow(2), TRAIN, seed=5)
    id_ = again.ids[2]
    here, there = (d.item(3, d.ids.index(id_) * 2 + 1) for d in (data, again))
    assert isinstance(here, Item)
    assert isinstance(there, Item)
    assert torch.equal(here.views[0]["video"], there.views[0]["video"])
    others = [data.item(4, data.ids.index(id_) * 2 + 1), data.item(3, data.ids.index(id_) * 2)]
    others.append(dataset(corpus, **{**options, "seed": 6}).item(3, data.ids.index(id_) * 2 + 1))  # type: ignore[arg-type]
    for other in others:
        assert isinstance(other, Item)
        assert not torch.equal(other.views[0]["video"], here.views[0]["video"])


def test_extras_are_drawn_from_the_items_own_generator(corpus: Manifest) -> None:
    def extras(rng: np.random.Generator, item: object, row: object) -> dict[str, torch.Tensor]:
        return {"mask": torch.from_numpy(rng.permutation(100))}

    data = dataset(corpus, sampling=RandomWindow(), extras=extras)
    first, again = (read(data, corpus.ids[0]).views[0]["mask"] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, read(data, corpus.ids[1]).views[0]["mask"])


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated"])
def test_damaged_files_become_records(corpus: Manifest, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.mp4"
    content = (corpus.root / "clips/7.mp4").read_bytes()
    damaged = {"missing": None, "empty": b"", "text": b"not a video\n" * 20, "truncated": content[:300]}
    if damaged[kind] is not None:
        path.write_bytes(damaged[kind])  # type: ignore[arg-type]
    failure = dataset(Manifest(pd.DataFrame({"path": [str(path)], "id": ["x"]}), tmp_path)).item(0, 0)
    assert isinstance(failure, Failure)
    assert (failure.id, failure.path) == ("x", str(path))
    assert "bad.mp4" in failure.reason
    assert "\n" not in failure.reason


def frame_folder(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        Image.fromarray(np.full((48, 64, 3), number, dtype=np.uint8)).save(folder / f"frame_{number}.png")
    return folder


def test_folders_of_frames_come_in_natural_order(tmp_path: Path) -> None:
    frame_folder(tmp_path / "a", 12)
    data = dataset(Manifest(pd.DataFrame({"path": ["a"]}), tmp_path), sampling=CoveringWindows(0.0))
    item = data.item(0, 0)
    assert isinstance(item, Item)
    values = [round(float(value) * 255) for view in item.views for value in view["video"][0, :, 0, 0]]
    assert values == [1, 4, 7, 10]


def test_crops_of_wide_pictures(tmp_path: Path) -> None:
    frame_folder(tmp_path / "a", 4)
    data = dataset(Manifest(pd.DataFrame({"path": ["a"]}), tmp_path), sampling=EvenViews(1, crops=3))
    item = data.item(0, 0)
    assert isinstance(item, Item)
    assert len(item.views) == 3
    assert item.views[0]["video"].shape == (3, 4, 48, 48)


def test_a_single_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    frame_folder(tmp_path / "a", 1)
    item = dataset(Manifest(pd.DataFrame({"path": ["a/frame_1.png"]}), tmp_path)).item(0, 0)
    assert isinstance(item, Item)
    assert item.views[0]["index"].tolist() == [0, 0, 0, 0]


def test_folders_have_no_clock_unless_told(tmp_path: Path) -> None:
    frame_folder(tmp_path / "a", 20)
    rate = Inputs(video=VIDEO.model_copy(update={"stride": None, "fps": 5.0}))
    with pytest.raises(UsageError, match="no clock; add a column fps"):
        dataset(Manifest(pd.DataFrame({"path": ["a"]}), tmp_path), rate).item(0, 0)
    item = dataset(Manifest(pd.DataFrame({"path": ["a"], "fps": [10]}), tmp_path), rate).item(0, 0)
    assert isinstance(item, Item)
    assert item.views[0]["times"].tolist() == [0.0, 0.2, 0.4, 0.6]


@pytest.mark.parametrize("damage", ["empty", "size", "text"])
def test_damaged_folders_become_records(tmp_path: Path, damage: str) -> None:
    folder = frame_folder(tmp_path / "a", 12)
    if damage == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    elif damage == "size":
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "frame_4.png")
    else:
        (folder / "frame_4.png").write_text("not a picture")
    assert isinstance(dataset(Manifest(pd.DataFrame({"path": ["a"]}), tmp_path)).item(0, 0), Failure)


def test_refusals_before_anything_is_read(corpus: Manifest, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no clips"):
        ClipDataset(corpus, [], INPUTS, RandomWindow(), TRAIN)
    with pytest.raises(UsageError, match="no row has id 'nobody'"):
        ClipDataset(corpus, ["nobody"], INPUTS, RandomWindow(), TRAIN)
    spec = TargetSpec(("valence",), level="frame")
    without = Manifest(corpus.frame.drop(columns="labels"), corpus.root)
    with pytest.raises(UsageError, match="need the column 'labels'"):
        dataset(without, targets=spec)
    with pytest.raises(UsageError, match="which does not exist"):
        dataset(Manifest(corpus.frame, tmp_path), targets=spec)


def test_torchs_own_loader_reads_it(corpus: Manifest) -> None:
    data = dataset(corpus, targets=TargetSpec(("label",), ("low", "high")))
    batches = list(DataLoader(data, batch_size=5, shuffle=False, collate_fn=collate))
    assert [id_ for batch in batches for id_ in batch["ids"]] == data.ids
    assert torch.equal(batches[0]["video"][:2], torch.stack([view["video"] for view in read(data, data.ids[0]).views]))
    assert len(list(data)) == len(data)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="wrong label"):
        collate([read(data, data.ids[0]), UsageError("wrong label")])
