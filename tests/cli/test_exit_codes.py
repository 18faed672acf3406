"""One rule for all verbs: 2 where what was typed has to change, 1 where it is right and the work fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mien.checkpoints.bundle import save
from mien.cli.app import VERBS
from mien.data.manifest import Manifest
from mien.models import create_encoder, default_inputs
from mien.models.specification import Specification, TaskConfig
from mien.tasks import create_task

Here = Callable[..., tuple[int, str, str]]

# PATH: what is wrong with it heads the columns. Kinds: nowhere; folder, an empty one; text, a file of one word;
# half, a bundle without its weights; torn, one with cut off weights. None: not of this kind of question.
KINDS = ("nowhere", "folder", "text", "half", "torn")
WALK: list[tuple[str, tuple[int | None, ...]]] = [
    ("bundle show PATH", (2, 2, 2, 1, None)),  # looks at config.json alone
    ("bundle verify PATH", (2, 2, 2, 1, 1)),
    ("bundle smooth PATH --data MANIFEST", (2, 2, 2, 1, 1)),
    ("bundle smooth BUNDLE --data PATH", (2, 2, 2, 2, 2)),
    ("bundle push PATH me/mine", (2, 2, 2, 1, None)),
    ("calibrate PATH --data MANIFEST", (2, 2, 2, 1, 1)),
    ("calibrate BUNDLE --data PATH", (2, 2, 2, 2, 2)),
    ("evaluate PATH --data MANIFEST", (2, 2, 2, 1, 1)),
    ("evaluate BUNDLE --data PATH", (2, 2, 2, 2, 2)),
    ("evaluate BUNDLE --data MANIFEST --protocol PATH", (2, 2, 2, 2, 2)),
    ("evaluate BUNDLE --data MANIFEST --against PATH", (2, 2, 2, 2, 2)),
    ("report PATH", (2, 2, 2, 2, 2)),
    ("predict PATH --model BUNDLE --out new", (2, 2, 1, 2, 2)),
    ("predict VIDEO PATH --model BUNDLE --out new", (2, 2, None, 2, 2)),  # before the first one is read
    ("predict VIDEO --model PATH --out new", (2, 2, 2, 1, 1)),
    ("predict VIDEO --model BUNDLE --out PATH/new", (None, None, 2, None, None)),
    ("embed PATH --model BUNDLE --out new", (2, 2, 1, 2, 2)),
    ("embed VIDEO --model PATH --out new", (2, 2, 2, 1, 1)),
    ("explain PATH --model BUNDLE --out new", (2, 2, 1, 2, 2)),
    ("explain VIDEO --model PATH --out new", (2, 2, 2, 1, 1)),
    ("convert videomae PATH --out new", (2, 2, 1, 2, 2)),
    ("convert videomae PATH --out new.safetensors --to-published", (2, 2, 2, 1, 1)),
    ("convert videomae torn/model.safetensors --out PATH", (None, None, 2, None, None)),
    ("extract PATH --features m=mfcc", (2, 2, 2, 2, 2)),
    ("extract MANIFEST --features m=bundle:PATH --out new.safetensors", (2, 2, 2, 1, 1)),
    ("extract MANIFEST --features m=folder:PATH --out new.safetensors", (2, 2, 2, 2, 2)),
    ("prepare PATH --out new --jobs 1", (2, 2, None, 2, 2)),
    ("prepare VIDEO --out PATH/new", (None, None, 2, None, None)),
    ("prepare VIDEO --out new --openface PATH", (2, 2, 2, 2, 2)),
    ("prepare --corpus dfew PATH --out new", (2, 2, 2, 2, 2)),
    ("pretrain PATH", (2, 2, 2, 2, 2)),
    ("train PATH", (2, 2, 2, 2, 2)),
    ("train --run PATH --resume", (2, 2, 2, 2, 2)),
    ("train svfap/finetune_synthetic data.manifest=PATH model.init=null --run new", (2, 2, 2, 2, 2)),
    ("train svfap/finetune_synthetic data.manifest=MANIFEST model.init=PATH --run new", (2, 2, 2, 1, None)),
    ("train svfap/finetune_synthetic data.manifest=MANIFEST model.init=null --run PATH", (None, None, 2, 2, 2)),
    ("corpora show PATH", (2, 2, 2, 2, 2)),
    ("corpora pack PATH new", (2, 2, 2, 2, 2)),
    ("corpora pack MANIFEST PATH", (None, None, 2, None, None)),
    ("corpora divide PATH --out new", (2, 2, 2, 2, 2)),
    ("corpora check PATH", (2, 2, 2, 2, 2)),
    ("corpora check MANIFEST --protocol PATH", (2, 2, 2, 2, 2)),
    ("corpora join PATH --out new.csv", (2, 2, 2, 2, 2)),
    ("corpora view PATH --out new.html", (2, 2, 2, 2, 2)),
    ("corpora view MANIFEST --out PATH/new.html", (None, None, 2, None, None)),
    ("corpora synthetic PATH", (None, None, 2, 2, 2)),
    ("corpora continuous recola --videos PATH --annotations PATH --out new", (2, 2, 2, 2, 2)),
    ("demo --out PATH", (None, None, 2, None, None)),
    ("doctor PATH", (2, 2, 2, 2, 2)),
    ("models PATH", (2, 2, 2, 2, 2)),
    ("recipes show PATH", (2, 2, 2, 2, 2)),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    task = TaskConfig(kind="classification", outputs=("calm", "other"))
    specification = Specification(model="videomae_test", inputs=default_inputs("videomae_test"), task=task)
    model = create_task(task).make_model(create_encoder("videomae_test"))
    return save(model, specification, tmp_path_factory.mktemp("bundle") / "bundle")


@pytest.mark.parametrize(("line", "codes"), WALK, ids=[line for line, _ in WALK])
def test_what_is_named_wrongly_and_what_is_damaged(
    here: Here, bundle: Path, tiny_corpus: Manifest, tmp_path: Path, line: str, codes: tuple[int | None, ...]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("hello")
    shutil.copytree(bundle, tmp_path / "half")
    (tmp_path / "half/model.safetensors").unlink()
    shutil.copytree(bundle, tmp_path / "torn")
    (tmp_path / "torn/model.safetensors").write_bytes((bundle / "model.safetensors").read_bytes()[:5000])
    before = sorted(tmp_path.rglob("*"))
    video = tiny_corpus.row(tiny_corpus.ids[0]).path
    words = {"MANIFEST": tiny_corpus.root / "manifest.csv", "BUNDLE": bundle, "VIDEO": video}
    for kind, expected in zip(KINDS, codes, strict=True):
        if expected is None:
            continue
        call = line.replace("PATH", kind)
        for name, path in words.items():
            call = call.replace(name, str(path))
        code, out, err = here(*call.split())
        assert (code, "Traceback" in err) == (expected, False), f"{call}: {err}"
        lines = [one for one in (out + err).splitlines() if one.startswith(("mien: ", "FAILED"))]
        assert len(lines) == 1, f"{call}: {out}{err}"
        assert sorted(tmp_path.rglob("*")) == before, call


def test_every_verb_is_walked() -> None:
    assert {line.split()[0] for line, _ in WALK} == set(VERBS)
