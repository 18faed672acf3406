"""Bundles: what is saved is what is loaded; what is wrong is one clear line; a failure destroys nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import mien
from mien.checkpoints import files
from mien.checkpoints.bundle import load, save
from mien.checkpoints.card import Figure, ModelCard
from mien.errors import MienError, UsageError
from mien.evaluation.calibrating import calibrate
from mien.evaluation.courses import fit_smoothing
from mien.lock import alone
from mien.models import Encoder, Recogniser, create_encoder
from mien.models.specification import Specification

CLIP = {"video": torch.randn(1, 3, 8, 64, 64, generator=torch.Generator().manual_seed(0))}


def test_what_is_saved_is_what_is_loaded(tmp_path: Path, model: Recogniser, specification: Specification) -> None:
    folder = save(model, specification, tmp_path / "bundle")
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    bundle = mien.load(folder)
    assert bundle.specification == specification
    assert bundle.task is not None
    assert bundle.task.columns() == ("calm", "angry", "glad")
    assert not bundle.model.training
    assert torch.equal(bundle.model(CLIP), model(CLIP))
    assert bundle.encoder is bundle.model.encoder


def test_a_bundle_has_one_writer(tmp_path: Path, model: Recogniser, specification: Specification) -> None:
    bare = save(model, specification, tmp_path / "bare")
    kept = save(model, specification, tmp_path / "run" / "bundle")
    (tmp_path / "run" / "recipe.yaml").write_text("")
    for folder, holder in ((bare, files.hold_bundle(bare)), (kept, alone(tmp_path / "run"))):
        with holder:
            for write in (
                lambda source: calibrate(source, "none.csv"),
                lambda source: fit_smoothing(source, "none.csv"),
            ):
                with pytest.raises(UsageError, match="is being written by process"):
                    write(folder)
            assert load(folder).specification == specification
            save(model, specification, folder)
            assert len(list(folder.iterdir())) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare", "run"]


def test_equal_weights_have_equal_digests(tmp_path: Path, model: Recogniser, specification: Specification) -> None:
    """Several times, since an order that is left to chance may come out the same once."""
    saved = [save(model, specification, tmp_path / name) / "model.safetensors" for name in "abcd"]
    assert len({file.read_bytes() for file in saved}) == 1


def test_a_bare_encoder_has_no_task(tmp_path: Path, specification: Specification) -> None:
    encoder = create_encoder("videomae_test", depth=1)
    bare = specification.model_copy(update={"task": None})
    bundle = load(save(encoder, bare, tmp_path / "bundle"))
    assert isinstance(bundle.model, Encoder)
    assert bundle.encoder is bundle.model
    assert bundle.task is None


def test_a_run_is_loaded_by_the_bundle_that_it_holds(
    tmp_path: Path, model: Recogniser, specification: Specification
) -> None:
    save(model, specification, tmp_path / "run" / "bundle")
    assert load(tmp_path / "run").folder == tmp_path / "run" / "bundle"


def test_saving_again_replaces_and_leaves_nothing_behind(
    tmp_path: Path, model: Recogniser, specification: Specification
) -> None:
    save(model, specification, tmp_path / "bundle")
    model.head.linear.bias.data += 1.0
    save(model, specification, tmp_path / "bundle")
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]
    assert torch.equal(load(tmp_path / "bundle").model(CLIP), model(CLIP))


def test_a_failure_leaves_the_earlier_bundle(
    tmp_path: Path, model: Recogniser, specification: Specification, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(model, specification, tmp_path / "bundle")
    before = {file.name: file.read_bytes() for file in (tmp_path / "bundle").iterdir()}

    def full_disk(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "save_file", full_disk)
    with pytest.raises(MienError, match=r"cannot be written \(No space left on device\)"):
        save(model, specification, tmp_path / "bundle")
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]
    assert {file.name: file.read_bytes() for file in (tmp_path / "bundle").iterdir()} == before


def test_a_folder_with_other_things_is_not_replaced(
    tmp_path: Path, model: Recogniser, specification: Specification
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(MienError, match="holds other things"):
        save(model, specification, tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_specification_that_does_not_rebuild_the_model_is_refused(
    tmp_path: Path, model: Recogniser, specification: Specification
) -> None:
    with pytest.raises(MienError, match="do not fit the model"):
        save(model, specification.model_copy(update={"arguments": {"depth": 2}}), tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def edited(folder: Path, change: str) -> None:
    """Break a bundle in one way."""
    config, weights = folder / "config.json", folder / "model.safetensors"
    if change in {"config.json", "model.safetensors"}:
        (folder / change).unlink()
    elif change == "not json":
        config.write_text("{")
    elif change == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif change == "tensor gone":
        state = load_file(weights)
        del state["encoder.norm.weight"]
        save_file(state, weights)
    else:
        content = json.loads(config.read_text())
        content.update(json.loads(change))
        config.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("config.json", MienError, "config.json is missing"),
        ("model.safetensors", MienError, "model.safetensors is missing"),
        ("not json", MienError, "is no Specification"),
        ("truncated", MienError, "is damaged"),
        ("tensor gone", MienError, r"missing encoder\.norm\.weight"),
        ('{"model": "videomae_tset"}', UsageError, "did you mean videomae_test"),
        ('{"arguments": {"depth": 3}}', MienError, "do not fit the model: missing"),
        ('{"arguments": {"patch": 8}}', MienError, r"encoder\.embedding\.weight is \(64, 3, 2, 16, 16\) but"),
        ('{"surprise": 1}', MienError, "surprise: extra inputs are not permitted"),
        ('{"task": {"kind": "prophecy", "outputs": ["a", "b"]}}', UsageError, "task 'prophecy' is not known"),
    ],
)
def test_wrong_bundles_give_one_clear_line(
    tmp_path: Path,
    model: Recogniser,
    specification: Specification,
    change: str,
    error: type[MienError],
    message: str,
) -> None:
    folder = save(model, specification, tmp_path / "bundle")
    edited(folder, change)
    with pytest.raises(error, match=message) as refusal:
        load(folder)
    assert len(str(refusal.value).splitlines()) == 1


def test_nothing_there_and_files_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load(tmp_path / "bundle")
    (tmp_path / "model.pth").touch()
    with pytest.raises(UsageError, match="mien convert"):
        load(tmp_path / "model.pth")
    with pytest.raises(UsageError, match=r"is no bundle: it holds no config\.json and no model\.safetensors"):
        load(tmp_path)
    (tmp_path / "config.json").touch()
    with pytest.raises(MienError, match=r"no complete bundle: model\.safetensors is missing") as caught:
        load(tmp_path)
    assert caught.value.exit_code == 1


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    files.write_weights(tmp_path / "w.safetensors", {"a": shared, "b": shared, "c": shared[1:4]})
    state = load_file(tmp_path / "w.safetensors")
    assert state["b"].tolist() == shared.tolist()
    assert state["c"].tolist() == [1.0, 2.0, 3.0]


def test_the_card_says_what_it_must(tmp_path: Path, model: Recogniser, specification: Specification) -> None:
    card = ModelCard(
        summary="Trained for a test.",
        protocol="5 folds by subject, fold 1, digest 1234",
        weights="best by uar on validation",
        figures=(Figure(metric="uar", value=0.71234, n=40, low=0.6, high=0.8), Figure(metric="war", value=0.7, n=40)),
        limits=("Frontal faces only.",),
    )
    text = (save(model, specification, tmp_path / "bundle", card) / "README.md").read_text()
    for wanted in (
        "| uar | 0.7123 | 0.6000 – 0.8000 | 40 |",
        "| war | 0.7000 | – | 40 |",
        "5 folds by subject, fold 1, digest 1234",
        "best by uar on validation",
        "| synthetic | fine-tuning | – | 40 |",
        "calm, angry, glad",
        "8 frames of 64 px, rgb, every 2. frame",
        "## Intended uses",
        "Article 5(1)(f)",
        "in the workplace and in\neducation institutions",
        "Frontal faces only.",
        "procedural faces",
    ):
        assert wanted in text
    assert text.startswith("---\nlibrary_name: mien\n")
