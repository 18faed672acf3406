"""Extractors from checkpoints in the hub's file layout, loaded by transformers (``pip install 'mien[hf]'``).

A source is a local folder, or a hub id ``owner/name[@revision]`` that lies in the hub's cache already: nothing is
downloaded here. ViPER, sections on features: vision transformer, WavLM x-vector, sentences chosen by CLIP.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mien.checkpoints.hub import is_hub_id
from mien.data.streams import Stream
from mien.errors import MienError, UsageError
from mien.extraction.contract import Extractor, stream
from mien.extraction.material import RATE, Material
from mien.extraction.sentences import ALL

SECOND = 16000  # samples of a window that the x-vector model is given; what is longer is cut, as published
TOKENS = 16


def make_pretrained(kind: str, source: str, device: str, batch: int) -> Extractor:
    """``vit``, ``wavlm`` (one source each) or ``clip`` (``CLIP+ROBERTA``)."""
    made: dict[str, type[VisionTransformer] | type[XVector] | type[ChosenSentence]] = {
        "vit": VisionTransformer,
        "wavlm": XVector,
        "clip": ChosenSentence,
    }
    return made[kind](source, device, batch)


class VisionTransformer(Extractor):
    """Class token of the last hidden state, after the final norm, for every picture: ``(steps, hidden size)``."""

    def __init__(self, source: str, device: str, batch: int) -> None:
        self.described, self.device, self.batch = f"vit:{source}", device, batch
        options, self.revision = locate("vit", source)
        self.model: Any = _model("ViTModel", options, add_pooling_layer=False).to(device)
        self.width = int(self.model.config.hidden_size)
        self.pictures = PictureSettings.read(options, (int(self.model.config.image_size),) * 2, (0.5,) * 3, (0.5,) * 3)

    @torch.inference_mode()
    def __call__(self, clip: Material) -> Stream:
        values = [
            self.model(pixel_values=part.to(self.device)).last_hidden_state[:, 0].float().cpu()
            for part in self.pictures(clip.frames).split(self.batch)
        ]
        return stream(torch.cat(values).numpy(), clip.times)


class XVector(Extractor):
    """Speaker embedding (x-vector head) of every sound window, each padded or cut to its first second."""

    def __init__(self, source: str, device: str, batch: int) -> None:
        self.described, self.device, self.batch = f"wavlm:{source}", device, batch
        options, self.revision = locate("wavlm", source)
        self.model: Any = _model("WavLMForXVector", options).to(device)
        self.width = int(self.model.config.xvector_output_dim)
        self.prepare: Any = _load("Wav2Vec2FeatureExtractor", options)

    @torch.inference_mode()
    def __call__(self, clip: Material) -> Stream:
        windows, times = clip.sounds()
        values = []
        for first in range(0, len(windows), self.batch):
            made = self.prepare(
                [window if len(window) else np.zeros(1, np.float32) for window in windows[first : first + self.batch]],
                sampling_rate=RATE,
                padding="max_length",
                max_length=SECOND,
                truncation=True,
                return_tensors="pt",
            )
            # no attention mask, as published
            values.append(self.model(input_values=made["input_values"].to(self.device)).embeddings.float().cpu())
        return stream(torch.cat(values).numpy(), times)


class ChosenSentence(Extractor):
    """For every picture the sentence that CLIP finds closest, as RoBERTa's first token of it.

    Only as many vectors exist as there are sentences, so all are computed once.
    """

    def __init__(self, source: str, device: str, batch: int) -> None:
        first, plus, second = source.partition("+")
        if not plus:
            raise UsageError(f"features: clip needs two sources, as in text=clip:CLIP+ROBERTA, not {source!r}")
        self.described, self.device, self.batch = f"clip:{source}", device, batch
        look, seen = locate("clip", first)
        words, read = locate("clip", second)
        self.revision = "+".join(part for part in (seen, read) if part)
        self.clip: Any = _model("CLIPModel", look).to(device)
        self.pictures = PictureSettings.read(
            look,
            (int(self.clip.config.vision_config.image_size),) * 2,
            (0.48145466, 0.4578275, 0.40821073),
            (0.26862954, 0.26130258, 0.27577711),
        )
        with torch.inference_mode():
            tokens = _load("AutoTokenizer", look)(list(ALL), padding=True, truncation=True, return_tensors="pt")
            self.sentences = F.normalize(_pooled(self.clip.get_text_features(**tokens.to(device))), dim=-1)
            self.vectors = self._vectors(words)
        self.width = self.vectors.shape[1]

    def _vectors(self, options: dict[str, Any]) -> NDArray[np.float32]:
        model: Any = _model("RobertaModel", options, add_pooling_layer=False).to(self.device)
        tokens = _load("AutoTokenizer", options)(
            list(ALL), padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
        ).to(self.device)
        made = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        vectors: NDArray[np.float32] = made.last_hidden_state[:, 0].float().cpu().numpy()
        return vectors

    def choose(self, pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Index of the closest sentence for every picture; the first of equals."""
        chosen = []
        with torch.inference_mode():
            for part in self.pictures(pictures).split(self.batch):
                seen = _pooled(self.clip.get_image_features(pixel_values=part.to(self.device)))
                chosen.append((F.normalize(seen, dim=-1) @ self.sentences.T).argmax(dim=-1).cpu().numpy())
        return np.concatenate(chosen)

    def __call__(self, clip: Material) -> Stream:
        return stream(self.vectors[self.choose(clip.frames)], clip.times)


class PictureSettings:
    """How a checkpoint wants its pictures (``preprocessor_config.json``): size, interpolation, mean and deviation.

    Args:
        size: height and width in pixels, or the shorter side where pictures are cropped to their middle.
        crop: height and width of the middle that is kept; None keeps all.
        resample: of Pillow.
        mean, std: on values in 0..1.
    """

    def __init__(
        self,
        size: tuple[int, int] | int,
        crop: tuple[int, int] | None,
        resample: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        self.size, self.crop, self.resample = size, crop, Image.Resampling(resample)
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))

    @classmethod
    def read(
        cls, options: dict[str, Any], size: tuple[int, int], mean: tuple[float, ...], std: tuple[float, ...]
    ) -> PictureSettings:
        """From a checkpoint; what it does not say is as given."""
        path = _file("preprocessor_config.json", options)
        told = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
        wanted = told.get("size", {"height": size[0], "width": size[1]})
        if isinstance(wanted, int):
            wanted = (
                {"height": wanted, "width": wanted} if not told.get("do_center_crop") else {"shortest_edge": wanted}
            )
        crop = told.get("crop_size", wanted) if told.get("do_center_crop") else None
        if isinstance(crop, int):
            crop = {"height": crop, "width": crop}
        return cls(
            int(wanted["shortest_edge"])
            if "shortest_edge" in wanted
            else (int(wanted["height"]), int(wanted["width"])),
            None if crop is None else (int(crop["height"]), int(crop["width"])),
            int(told.get("resample", 2)),
            tuple(told.get("image_mean", mean)),
            tuple(told.get("image_std", std)),
        )

    def __call__(self, pictures: NDArray[np.uint8]) -> Tensor:
        """uint8 ``(N, H, W, 3)`` → float32 ``(N, 3, height, width)``."""
        return torch.stack([(self._one(Image.fromarray(picture)) - self.mean) / self.std for picture in pictures])

    def _one(self, picture: Image.Image) -> Tensor:
        if isinstance(self.size, int):
            # whole pixels as transformers counts them, or the middle lies elsewhere
            width, height = (int(self.size * side / min(picture.size)) for side in picture.size)
            picture = picture.resize((width, height), self.resample)
        else:
            picture = picture.resize(self.size[::-1], self.resample)
        if self.crop is not None:
            left, top = (picture.width - self.crop[1]) // 2, (picture.height - self.crop[0]) // 2
            picture = picture.crop((left, top, left + self.crop[1], top + self.crop[0]))
        return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255).permute(2, 0, 1)


def locate(kind: str, source: str) -> tuple[dict[str, Any], str]:
    """Where a checkpoint lies, as arguments for transformers, and its revision (the commit, for a hub id)."""
    if not source:
        raise UsageError(f"features: {kind} needs a folder or hub id, as in name={kind}:owner/model")
    if Path(source).is_dir():
        return {"pretrained_model_name_or_path": source}, ""
    name, _, revision = source.partition("@")
    if not is_hub_id(source) and "/" in source:
        raise UsageError(f"features: {source} is no folder and no hub id; give one of the two")
    options = {"pretrained_model_name_or_path": name, "revision": revision or None}
    config = _load("AutoConfig", options)
    return options, str(getattr(config, "_commit_hash", "") or revision)


def _model(name: str, options: dict[str, Any], **arguments: Any) -> Any:
    return _load(name, options, **arguments).eval()


def _load(name: str, options: dict[str, Any], **arguments: Any) -> Any:
    """One of transformers' classes filled from a checkpoint that is on this machine."""
    transformers = _library()
    source = options["pretrained_model_name_or_path"]
    try:
        return getattr(transformers, name).from_pretrained(**options, local_files_only=True, **arguments)
    except Exception as error:  # the library raises OSError, ValueError, its own and those of its parts
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise MienError(
            f"{source} cannot be loaded as {name} from this machine ({reason}); first run: hf download {source}"
        ) from error


def _file(name: str, options: dict[str, Any]) -> Path | None:
    source = Path(options["pretrained_model_name_or_path"])
    if source.is_dir():
        return source / name if (source / name).is_file() else None
    hub = import_module("huggingface_hub")
    found = hub.try_to_load_from_cache(str(source), name, revision=options["revision"])
    return Path(found) if isinstance(found, str) else None


def _pooled(made: Any) -> Tensor:
    """Projected features; releases of the library return them bare or as ``pooler_output``."""
    features: Tensor = made if isinstance(made, Tensor) else made.pooler_output
    return features


def _library() -> Any:
    try:
        transformers = import_module("transformers")
    except ImportError as error:
        raise UsageError("these features need an extra; install it with: pip install 'mien[hf]'") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers
