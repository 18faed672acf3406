"""Every method on models whose answer depends, by construction, on one place at one moment; and against formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mien.checkpoints.bundle import Bundle
from mien.errors import UsageError
from mien.explanation.gradients import flat, integrated_gradients
from mien.explanation.occlusion import heat, hide_grid, hide_modalities, hide_moments, hide_places
from mien.explanation.parts import AROUND, NAMES, part_masks
from mien.explanation.reader import CELLS, METHODS, MOMENTS, Explainer, Method
from mien.explanation.rollout import rollout, rolls_out
from mien.explanation.score import Score
from mien.faces.recipe import CropRecipe
from mien.inference.settings import PredictSettings
from mien.models import Encoder, Features, ModelInputs, Recogniser, create_encoder, default_inputs, list_models
from mien.models.specification import Inputs, Specification, TaskConfig, VideoInput
from mien.models.videomae import VideoMAE
from mien.tasks import create_task

TASK = TaskConfig(kind="classification", outputs=("dark", "bright"))
MOMENT, ROW, COLUMN = 1, 2, 1  # of a 4 x 4 x 4 grid of tubelets of 2 frames and 16 px
SPOT = (MOMENT * 4 + ROW) * 4 + COLUMN


def one_place() -> Recogniser:
    """A transformer of one block that attends to the tubelet ``SPOT`` alone and answers by its brightness.

    Positions say which token it is (channel 0), tokens their brightness (1); attention writes that of ``SPOT`` to
    channel 5, which nothing else writes and which the head alone reads.
    """
    torch.manual_seed(0)
    encoder = VideoMAE(frames=8, size=64, dim=64, depth=1, heads=4, positions="learned")
    for parameter in encoder.parameters():
        nn.init.zeros_(parameter)
    for norm in (module for module in encoder.modules() if isinstance(module, nn.LayerNorm)):
        nn.init.ones_(norm.weight)
    places = next(parameter for name, parameter in encoder.named_parameters() if name.startswith("positions."))
    embedding = next(p for n, p in encoder.named_parameters() if n.startswith("embedding.") and n.endswith("weight"))
    block = encoder.blocks[0]
    with torch.no_grad():
        flat_places = places.view(-1, 64)
        flat_places[:, 2], flat_places[:, 3] = 10.0, -10.0  # hold the layer norm's scale, whatever is seen
        flat_places[SPOT, 0], flat_places[SPOT, 4] = 6.0, -6.0
        embedding[1] = 0.01 / embedding[1].numel()
        block.attention.query_bias[::16] = 30.0
        block.attention.qkv.weight[64:128:16, 0] = 1.0
        block.attention.qkv.weight[128 + 5, 1] = 100.0
        block.attention.out.weight[5, 5] = 1.0
    model = create_task(TASK).make_model(encoder)
    with torch.no_grad():
        linear = model.head.linear
        linear.weight.zero_()
        linear.bias.zero_()
        linear.weight[1, 5] = 1.0
    return model.eval()


def clips(model: Recogniser) -> dict[str, Tensor]:
    """Noise with a bright spot where the model looks: it says ``bright``."""
    video = torch.randn(2, 3, 8, 64, 64, generator=torch.Generator().manual_seed(1))
    video[:, :, 2 * MOMENT : 2 * MOMENT + 2, 16 * ROW : 16 * ROW + 16, 16 * COLUMN : 16 * COLUMN + 16] += 2.0
    return {"video": video}


@pytest.fixture(scope="module")
def score() -> Score:
    return Score(one_place(), create_task(TASK))


def test_the_model_is_what_it_should_be(score: Score) -> None:
    inputs = clips(score.model)
    assert score.chosen(inputs).tolist() == [1, 1]
    answer = score.model(inputs)
    elsewhere = inputs["video"].clone()
    elsewhere[:, :, :2] = 3.0
    elsewhere[:, :, 4:] = -3.0
    torch.testing.assert_close(score.model({"video": elsewhere}), answer, atol=1e-3, rtol=0)
    changed = inputs["video"] * 0
    assert (score.model({"video": changed}) - answer).abs().max() > 0.05


def test_gradients_point_there_and_are_complete(score: Score) -> None:
    inputs = clips(score.model)
    added = integrated_gradients(score, inputs)
    chosen = score.chosen(inputs)
    with torch.no_grad():
        expected = score.raw(inputs, chosen) - score.raw({"video": flat(inputs["video"])}, chosen)
    torch.testing.assert_close(added.sum(dim=(1, 2, 3, 4)), expected, atol=2e-3, rtol=0)
    cells = added.abs().sum(dim=1).unflatten(1, (4, 2)).unflatten(3, (4, 16)).unflatten(5, (4, 16)).sum(dim=(2, 4, 6))
    share = heat(cells)[:, MOMENT, ROW, COLUMN]
    assert (share > 0.9).all()


def test_rollout_points_there(score: Score) -> None:
    found = rollout(score.model.encoder, clips(score.model))
    assert found.shape == (2, 4, 4, 4)
    # every one of 64 tokens keeps itself and adds the spot: half of all, and its own share of the other half
    torch.testing.assert_close(found[:, MOMENT, ROW, COLUMN], torch.full((2,), 0.5 + 0.5 / 64), atol=1e-3, rtol=0)


def test_occlusion_points_there(score: Score) -> None:
    inputs = clips(score.model)
    places, moments = heat(hide_grid(score, inputs, 4)), heat(hide_moments(score, inputs, 4))
    assert (places[:, ROW, COLUMN] > 0.95).all()
    assert (moments[:, MOMENT] > 0.95).all()


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_the_reader_point_there(score: Score, method: Method) -> None:
    video = VideoInput(frames=8, stride=1, size=64, crop=None)
    specification = Specification(model="x", inputs=Inputs(video=video), task=TASK)
    bundle = Bundle(score.model, specification, score.task, None)  # type: ignore[arg-type]
    reader = Explainer(bundle, method, PredictSettings())
    answers = reader(clips(score.model))
    assert answers.shape == (2, MOMENTS, reader.width)
    maps = answers[..., -CELLS * CELLS :].unflatten(2, (CELLS, CELLS))
    torch.testing.assert_close(maps.sum(dim=(1, 2, 3)), torch.full((2,), float(MOMENTS)))
    for one in maps:
        when, down, across = (int(index) for index in torch.unravel_index(one.argmax(), one.shape))
        assert when // 2 == MOMENT
        assert (int((down + 0.5) * 4 / CELLS), int((across + 0.5) * 4 / CELLS)) == (ROW, COLUMN)


def test_rollout_is_the_product_of_the_maps() -> None:
    """Two blocks of VideoMAE: (I + A2)(I + A1), averaged over the tokens that are pooled."""
    torch.manual_seed(0)
    encoder = create_encoder("videomae_test").eval()
    with torch.no_grad():
        for block in encoder.blocks:
            block.attention.qkv.weight.mul_(6)
    video = torch.randn(1, 3, 8, 64, 64)
    maps, tokens = [], encoder.embed(video)
    with torch.no_grad():
        for block in encoder.blocks:
            query, key, _ = nn.functional.linear(
                block.attention_norm(tokens),
                block.attention.qkv.weight,
                torch.cat((block.attention.query_bias, torch.zeros(64), block.attention.value_bias)),
            ).chunk(3, dim=-1)
            query, key = (part.unflatten(2, (4, 16)).transpose(1, 2) for part in (query, key))
            maps.append((query @ key.transpose(2, 3) / 4).softmax(-1).mean(1)[0])
            tokens = block(tokens)
    eye = torch.eye(64)
    expected = ((eye + maps[1]) @ (eye + maps[0])).mean(dim=0)
    found = rollout(encoder, {"video": video}).flatten()
    torch.testing.assert_close(found, expected / expected.sum())


@pytest.mark.parametrize("name", [name for name in list_models("*_test") if not default_inputs(name).sound])
def test_every_transformer_rolls_out_and_is_left_as_it_was(name: str) -> None:
    torch.manual_seed(0)
    encoder, inputs = create_encoder(name).eval(), default_inputs(name)
    batch = {stream.name: torch.randn(2, stream.steps or 4, stream.width) for stream in inputs.streams}
    if inputs.video is not None:
        channels = 1 if inputs.video.channels == "grey" else 3
        batch["video"] = torch.randn(2, channels, inputs.video.frames or 4, inputs.video.size, inputs.video.size)
    with torch.no_grad():
        before = encoder.forward_features(batch).pooled
    if not rolls_out(encoder):
        with pytest.raises(UsageError, match="no attention over its input"):
            rollout(encoder, batch)
        return
    found = rollout(encoder, batch)
    torch.testing.assert_close(found.flatten(1).sum(dim=1), torch.ones(2))
    assert (found > 0).all()
    with torch.no_grad():
        assert torch.equal(encoder.forward_features(batch).pooled, before)


class TwoSenses(Encoder):
    """Answers by what it hears alone; sees in vain."""

    modalities = ("video", "sound")
    feature_dim, depth = 2, 0

    def forward_features(self, inputs: ModelInputs) -> Features:
        there = inputs.get("sound_present", torch.ones(len(inputs["sound"]), dtype=torch.bool))
        loud = inputs["sound"].mean(dim=1) * there
        return Features(torch.stack([-loud, loud], dim=1))


def test_a_modality_that_counts_and_one_that_does_not() -> None:
    model = Recogniser(TwoSenses(), nn.Identity())
    model.forward = lambda inputs: model.encoder.forward_features(inputs).pooled  # type: ignore[method-assign]
    score = Score(model, create_task(TASK))
    lost = hide_modalities(score, {"video": torch.randn(2, 3, 2, 4, 4), "sound": torch.full((2, 8), 1.0)})
    torch.testing.assert_close(lost["video"], torch.zeros(2))
    torch.testing.assert_close(lost["sound"], torch.full((2,), torch.sigmoid(torch.tensor(2.0)).item() - 0.5))


def test_parts_of_the_face_lie_where_faces_have_them() -> None:
    masks = dict(zip(NAMES, part_masks(160, CropRecipe(margin=0.25)), strict=True))
    rows = {name: float((mask * torch.arange(160)[:, None]).sum() / mask.sum()) for name, mask in masks.items()}
    order = ["forehead", "brows", "eyes", "nose", "mouth", "chin"]
    assert sorted(order, key=lambda name: rows[name]) == order
    for name, mask in masks.items():
        torch.testing.assert_close(mask.flip(1), mask, msg=f"{name} is not symmetrical")
    assert not (masks[AROUND] * sum(mask for name, mask in masks.items() if name != AROUND)).any()


def test_parts_of_the_face_follow_its_landmarks() -> None:
    """A face that is turned by 30 degrees, shifted and half as large: every part turns about the eyes with it."""
    upright = torch.tensor([[0.35, 0.4], [0.65, 0.4], [0.5, 0.58], [0.38, 0.72], [0.62, 0.72]])
    angle, eyes, moved = torch.tensor(torch.pi / 6), torch.tensor([0.5, 0.4]), torch.tensor([0.45, 0.45])
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).reshape(2, 2)
    turned = 0.5 * (upright - eyes) @ turn.T + moved
    both = part_masks(200, CropRecipe(), torch.stack([upright, turned, torch.full((5, 2), torch.nan)])[None])
    assert both.shape == (1, 3, len(NAMES), 200, 200)
    centres = (torch.arange(200) + 0.5) / 200
    places = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)
    for name, first, second in zip(NAMES, both[0, 0], both[0, 1], strict=True):
        if name == AROUND:
            continue
        middle, other = ((places * mask[..., None]).sum(dim=(0, 1)) / mask.sum() for mask in (first, second))
        torch.testing.assert_close(other, 0.5 * turn @ (middle - eyes) + moved, atol=0.006, rtol=0)
        assert float(second.sum()) == pytest.approx(float(first.sum()) / 4, rel=0.08)
    first = dict(zip(NAMES, both[0, 0], strict=True))
    for part, points in {"eyes": upright[:2], "nose": upright[2:3], "mouth": upright[3:]}.items():
        for x, y in points.tolist():
            assert first[part][int(200 * y), int(200 * x)] == 1
    torch.testing.assert_close(both[0, 2], part_masks(200, CropRecipe()))


def test_hiding_a_part_uses_its_mask(score: Score) -> None:
    inputs = clips(score.model)
    mask = torch.zeros(64, 64)
    mask[16 * ROW : 16 * ROW + 16, 16 * COLUMN : 16 * COLUMN + 16] = 1
    lost = hide_places(score, inputs, [mask, 1 - mask])
    assert (lost[:, 0] > 0.02).all()
    assert (lost[:, 1].abs() < 0.02 * lost[:, 0]).all()


def test_an_output_that_is_not_there(score: Score) -> None:
    with pytest.raises(UsageError, match="no output 'joy'; it tells dark, bright"):
        Score(score.model, score.task, "joy")
