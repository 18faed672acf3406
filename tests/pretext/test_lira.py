"""What was heard at every frame: alignment, statistics, folders, and hidden layers of speech networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.data.manifest import Row
from mien.errors import MienError, UsageError
from mien.models.specification import Inputs, VideoInput
from mien.pretext import Moment, create_pretext
from mien.pretext.acoustic import Acoustics, Heard, at_frames, with_differences
from mien.pretext.lira import LiRA, Standard

VIDEO = VideoInput(frames=8, fps=25.0, size=32, channels="grey", mean=(0.0,), std=(1.0,))
SMALL = {"dim": 16, "heads": 2, "hidden": 16, "blocks": 1, "kernel": 3}
RNG = np.random.default_rng(0)


def lira(**options: object) -> LiRA:
    torch.manual_seed(0)
    pretext = create_pretext("lira", "vaerr_test", {}, VIDEO, {**SMALL, **options})
    assert isinstance(pretext, LiRA)
    return pretext


def test_a_frame_of_40_ms_is_told_by_its_four_features() -> None:
    values = torch.arange(40.0)[:, None]
    starts = torch.arange(8, dtype=torch.float64) / 25
    heard, present = at_frames(values, torch.ones(40, dtype=torch.bool), starts, 0.04, 0.01, 4)
    assert torch.equal(heard[..., 0], torch.arange(32.0).view(8, 4))
    assert present.all()


@pytest.mark.parametrize(("fps", "count"), [(25.0, 4), (50.0, 2), (15.0, 7), (29.97, 3)])
def test_features_are_the_nearest_in_time(fps: float, count: int) -> None:
    starts = 0.3 + torch.arange(10, dtype=torch.float64) / fps
    assert Acoustics().per_frame(1 / fps) == count
    moments = torch.arange(100.0)[:, None] * 0.01
    heard, _ = at_frames(moments, torch.ones(100, dtype=torch.bool), starts, 1 / fps, 0.01, count)
    wanted = starts[:, None] + torch.arange(count) / (fps * count)
    assert (heard[..., 0] - wanted).abs().max() <= 0.005 + 1e-6


def test_what_was_not_heard_is_not_present() -> None:
    there = torch.ones(20, dtype=torch.bool)
    there[6] = False
    _, present = at_frames(torch.zeros(20, 1), there, torch.arange(8, dtype=torch.float64) / 25, 0.04, 0.01, 4)
    assert present.all(dim=1).tolist() == [True, False, True, True, True, False, False, False]


def test_a_span_is_averaged_around_the_middle_of_a_frame() -> None:
    slow = Acoustics(reduce="mean", span=0.2)
    starts = torch.arange(8, dtype=torch.float64) / 25
    heard, present = slow.meet(torch.arange(40.0)[:, None], torch.ones(40, dtype=torch.bool), starts, 0.04)
    # 20 features of 10 ms from 80 ms before the frame on; at the ends, those that there are
    assert heard[3, 0] == pytest.approx(np.arange(4, 24).mean())
    assert heard[0, 0] == pytest.approx(np.arange(0, 12).mean())
    assert present.all()
    centred, _ = Acoustics(reduce="mean", centre="clip").meet(
        torch.arange(40.0)[:, None], torch.arange(40) < 16, starts, 0.04
    )
    assert centred[:4, 0].tolist() == [-6.0, -2.0, 2.0, 6.0]
    with pytest.raises(UsageError, match="needs reduce=mean"):
        Acoustics(span=0.2)


def item(length: int = 8) -> dict[str, Tensor]:
    return {"times": torch.arange(8, dtype=torch.float64) / 25 + 1.0, "length": torch.tensor(length)}


def test_a_folder_is_read_from_the_start_of_the_row(tmp_path: Path) -> None:
    np.save(tmp_path / "clip.npy", np.arange(200.0)[:, None])
    heard = Heard(Acoustics("folder", str(tmp_path)), 0.04)
    whole = heard(RNG, item(), Row("a", Path("clip.mp4")))
    assert whole["heard"][0].tolist() == [100.0, 101.0, 102.0, 103.0]
    later = heard(RNG, item(3), Row("clip", Path("other.mp4"), start=0.5))
    assert later["heard"][0].tolist() == [50.0, 51.0, 52.0, 53.0]
    assert later["heard_present"].tolist() == [True] * 3 + [False] * 5
    with pytest.raises(MienError, match=r"holds no b\.npy or none\.npy"):
        heard(RNG, item(), Row("b", Path("none.mp4")))


def test_differences_are_slopes() -> None:
    values = with_differences((torch.arange(6.0) ** 2)[:, None])
    assert values[2:4, 1].tolist() == [4.0, 6.0]
    assert values[2:4, 2].tolist() == [2.0, 2.0]


def test_targets_are_standardised_by_all_that_was_heard() -> None:
    torch.manual_seed(0)
    standard, rows = Standard(3), 5 * torch.randn(600, 3) - torch.tensor([50.0, 0.0, 7.0])
    here = torch.ones(600, dtype=torch.bool)
    first = standard(rows[:100], here[:100])
    assert first.mean(0).abs().max() < 1e-4
    for part in (rows[:100], rows[100:250], rows[250:]):
        standard._pending.clear()
        standard(part, here[: len(part)])
        standard.note()
    torch.testing.assert_close(standard.mean, rows.mean(0))
    torch.testing.assert_close(standard.variance, rows.var(0, correction=0))
    torch.testing.assert_close(
        standard.eval()(rows, here), (rows - rows.mean(0)) / rows.std(0, correction=0), rtol=1e-3, atol=1e-3
    )


def test_frames_without_sound_leave_no_trace_in_the_statistics() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, present = torch.randn(4, 6, 3, generator=generator), torch.rand(4, 6, generator=generator) < 0.5
    alone, gaps = Standard(3), Standard(3)
    for noisy in (rows, rows + 1):
        there = torch.where(present[..., None], noisy, 1e6)
        told, wanted = gaps(there, present), alone(noisy[present], torch.ones(int(present.sum()), dtype=torch.bool))
        torch.testing.assert_close(told[present], wanted)
        for one in (alone, gaps):
            one.note()
    torch.testing.assert_close(gaps.mean, alone.mean)
    torch.testing.assert_close(gaps.variance, alone.variance)
    before = gaps.variance.clone()
    gaps(rows, torch.zeros_like(present))
    gaps.note()
    assert torch.equal(gaps.variance, before)
    assert int(gaps.count) == 2 * int(present.sum())


@pytest.mark.parametrize("target", ["log_mel", "mfcc"])
def test_silent_frames_do_not_count(target: str) -> None:
    pretext = lira(target=target)
    assert pretext.reads(Inputs(video=VIDEO)).sound is not None
    width = pretext.projection[-1].out_features
    assert width == (320 if target == "log_mel" else 156)
    batch = {
        "video": torch.randn(2, 1, 8, 32, 32),
        "length": torch.tensor([8, 5]),
        "heard": torch.randn(2, 8, width),
        "heard_present": torch.arange(8)[None] < torch.tensor([[8], [5]]),
    }
    pretext.eval()
    loss, values = pretext.loss(batch)
    assert set(values) == {"explained", "feature_std"}
    louder = batch["heard"].clone()
    louder[1, 5:] += 1000.0
    assert pretext.loss(batch | {"heard": louder})[0] == loss
    silent, _ = pretext.loss(batch | {"heard_present": torch.zeros(2, 8, dtype=torch.bool)})
    assert silent == 0.0


def test_it_learns_what_can_be_seen() -> None:
    """A brightness that is also heard: a constant guess is beaten within some steps."""
    pretext = lira(target="log_mel", reduce="mean", dropout=0.0)
    optimiser = torch.optim.AdamW(pretext.parameters(), lr=5e-3)
    for step in range(25):
        level = torch.randn(8, 8)
        batch = {
            "video": level[:, None, :, None, None].expand(-1, 1, -1, 32, 32),
            "length": torch.full((8,), 8),
            "heard": level[..., None].expand(-1, -1, 80),
            "heard_present": torch.ones(8, 8, dtype=torch.bool),
        }
        loss, values = pretext.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        pretext.after_step(Moment(step, 25, 25))
    assert values["explained"] > 0.3


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UsageError, match="'hubart' is not known"):
        lira(target="hubart")
    with pytest.raises(UsageError, match=r"needs pretext\.options\.source"):
        lira(target="folder")
    with pytest.raises(UsageError, match=r"data\.sampling\.fps"):
        create_pretext("lira", "vaerr_test", {}, VideoInput(frames=8, stride=1, size=32), SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hubert", "wav2vec2"])
def test_a_hidden_layer_of_a_local_checkpoint(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    names = {"hubert": "Hubert", "wav2vec2": "Wav2Vec2"}
    config = getattr(transformers, f"{names[kind]}Config")(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7
    )
    torch.manual_seed(0)
    network = getattr(transformers, f"{names[kind]}Model")(config).eval()
    network.save_pretrained(tmp_path)
    pretext = lira(target=kind, source=str(tmp_path), layer=1)
    assert pretext.extras is None
    assert not any("network" in name for name in pretext.state_dict())
    sound = torch.randn(2, 8 * 640)
    batch = {
        "video": torch.randn(2, 1, 8, 32, 32),
        "sound": sound,
        "sound_present": torch.ones(2, 8 * 640, dtype=torch.bool),
        "times": torch.arange(8, dtype=torch.float64).expand(2, -1) / 25,
        "length": torch.tensor([8, 8]),
    }
    assert pretext.network is not None
    heard, present = pretext.network(batch)
    scaled = (sound - sound.mean(1, keepdim=True)) / sound.std(1, keepdim=True, correction=0)
    expected = network(scaled, output_hidden_states=True).hidden_states[1]
    # two features of 20 ms for a frame of 40 ms; sound of n features is one window longer than n hops
    assert heard.shape == (2, 8, 32)
    torch.testing.assert_close(heard[:, :7].reshape(2, 14, 16), expected[:, :14], rtol=1e-3, atol=1e-4)
    assert present.all()
    loss, _ = pretext.loss(batch)
    loss.backward()
    assert torch.isfinite(loss)
    with pytest.raises(UsageError, match="has layers 0 to 2"):
        lira(target=kind, source=str(tmp_path), layer=3)
    with pytest.raises(MienError, match="hf download"):
        lira(target=kind, source=str(tmp_path / "missing"))
