"""Hub-format extractors on tiny local checkpoints: equal to the library run by hand; offline; errors in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.extraction import checkpoints

from mien.data.manifest import Manifest
from mien.errors import MienError, UsageError
from mien.extraction.contract import Request
from mien.extraction.kinds import make_extractor
from mien.extraction.material import Material
from mien.extraction.pretrained import ChosenSentence, PictureSettings
from mien.extraction.sentences import ALL, SENTENCES

hf = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return checkpoints.make(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def clip(tiny_corpus: Manifest) -> Material:
    return Material(tiny_corpus.row(tiny_corpus.ids[0]))


@torch.inference_mode()
def test_vision_gives_the_class_token(hub: dict[str, Path], clip: Material) -> None:
    found = make_extractor(Request("visual", "vit", str(hub["vit"])), batch=5)(clip)
    model = hf.ViTModel.from_pretrained(hub["vit"]).eval()
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float(), (32, 32), mode="bilinear", antialias=True
    )
    expected = model(pixel_values=pixels.round().clip(0, 255) / 127.5 - 1).last_hidden_state[:, 0].numpy()
    assert found.values.shape == (32, 16)
    np.testing.assert_allclose(found.values, expected, atol=0.02)
    assert np.array_equal(found.times, clip.times)


@torch.inference_mode()
def test_speech_gives_embeddings_of_the_first_second(hub: dict[str, Path], clip: Material) -> None:
    extractor = make_extractor(Request("audio", "wavlm", str(hub["wavlm"])))
    found = extractor(clip)
    model = hf.WavLMForXVector.from_pretrained(hub["wavlm"]).eval()
    window = torch.from_numpy(clip.sounds()[0][3][:16000])
    window = (window - window.mean()) / (window.var(correction=0) + 1e-7).sqrt()
    padded = torch.nn.functional.pad(window, (0, 16000 - len(window)))
    expected = model(input_values=padded[None]).embeddings[0].numpy()
    assert found.values.shape == (32, extractor.width) == (32, 12)
    np.testing.assert_allclose(found.values[3], expected, atol=1e-5)


def test_text_is_the_vector_of_the_closest_sentence(hub: dict[str, Path], clip: Material) -> None:
    extractor = make_extractor(Request("text", "clip", f"{hub['clip']}+{hub['roberta']}"), batch=7)
    assert isinstance(extractor, ChosenSentence)
    found, chosen = extractor(clip), extractor.choose(clip.frames)
    assert extractor.vectors.shape == (len(ALL), 16)
    assert np.array_equal(found.values, extractor.vectors[chosen])
    roberta = hf.RobertaModel.from_pretrained(hub["roberta"]).eval()
    ids = checkpoints.tokenizer()(ALL[chosen[0]], max_length=16, truncation=True, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = roberta(ids).last_hidden_state[0, 0].numpy()
    np.testing.assert_allclose(found.values[0], expected, atol=1e-5)


def test_sentences_are_as_many_as_published() -> None:
    assert [len(group) for group in SENTENCES.values()] == [7, 9, 7, 6, 6, 6, 6, 6]
    assert len(set(ALL)) == 53


def test_pictures_can_be_cropped_to_their_middle() -> None:
    picture = np.zeros((1, 40, 80, 3), dtype=np.uint8)
    picture[:, :, 20:60] = 255
    made = PictureSettings(40, (40, 40), 2, (0.0,) * 3, (1.0,) * 3)(picture)
    assert made.shape == (1, 3, 40, 40)
    assert made.min() == 1.0


@pytest.mark.parametrize("shape", [(47, 83), (83, 47), (100, 231), (32, 32)])
def test_pictures_are_those_of_clips_own_processor(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    processor = getattr(hf, "CLIPImageProcessorPil", hf.CLIPImageProcessor)(**sizes)
    expected = processor(images=picture, return_tensors="np")["pixel_values"][0]
    mean, std = tuple(processor.image_mean), tuple(processor.image_std)
    found = PictureSettings(32, (32, 32), 3, mean, std)(picture[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_not_on_this_machine_is_refused_in_one_line(hub: dict[str, Path], tmp_path: Path) -> None:
    for source, error in ((str(tmp_path / "a/b/c"), UsageError), ("nobody/nothing", MienError), ("", UsageError)):
        with pytest.raises(error) as refusal:
            make_extractor(Request("visual", "vit", source))
        assert len(str(refusal.value).splitlines()) == 1
    with pytest.raises(UsageError, match="two sources"):
        make_extractor(Request("text", "clip", str(hub["clip"])))
