"""Whether this machine has what mien needs: versions, codecs, devices, extras."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

State = Literal["ok", "absent", "broken"]

# name in FFmpeg → what it is met in
DECODERS = {
    "h264": "most MP4 files",
    "hevc": "MP4 of phones",
    "vp8": "WebM",
    "vp9": "WebM",
    "libdav1d": "AV1 in new MP4 and WebM",
    "mpeg4": "AVI of older corpora",
    "mjpeg": "AVI of webcams",
    "wmv3": "WMV",
    "aac": "sound of MP4",
    "mp3": "sound",
    "opus": "sound of WebM",
    "vorbis": "sound of WebM",
    "flac": "sound",
    "pcm_s16le": "WAV",
}
ENCODERS = {"libx264": "pictures of clips and overlays", "aac": "sound of clips and overlays"}
NEEDED = {"h264", "aac", "pcm_s16le", *ENCODERS}
LIBRARIES = ("torch", "lightning", "av", "numpy", "pandas", "scipy", "safetensors", "pydantic", "pillow", "matplotlib")
# extra → (module, what it is for)
EXTRAS = {
    "log": ("tensorboard", "curves in TensorBoard"),
    "parquet": ("pyarrow", "Parquet manifests and timelines"),
    "yunet": ("cv2", "the YuNet face detector"),
    "hub": ("huggingface_hub", "bundles from the hub"),
    "ray": ("ray", "preparation of a corpus over several machines"),
    "hf": ("transformers", "ViT, WavLM, CLIP and RoBERTa as feature extractors"),
}
LEAST_FREE = 5.0  # GB: below, preparation of a corpus soon fails


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        group: ``versions``, ``codecs``, ``devices``, ``extras``, ``speed``.
        name: what was looked at.
        state: ``ok``; ``absent``: optional and not there; ``broken``: mien cannot do its work without.
        value: what was found.
        remedy: what to do; empty where nothing need be done.
    """

    group: str
    name: str
    state: State
    value: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All attributes as plain data."""
        return asdict(self)


def check_installation() -> list[Check]:
    """Everything that can be seen without computing."""
    return [*_versions(), *_codecs(), *_devices(), *_extras()]


def _versions() -> Iterator[Check]:
    from mien import __version__

    yield Check("versions", "mien", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    yield Check("versions", "Python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")
    for name in LIBRARIES:
        try:
            yield Check("versions", name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Check("versions", name, "broken", "not installed", f"pip install {name}")


def _codecs() -> Iterator[Check]:
    import av

    versions = ", ".join(f"{name} {'.'.join(map(str, number))}" for name, number in av.library_versions.items())
    yield Check("codecs", "FFmpeg", "ok", versions)
    yield from (_codec(name, "r", use) for name, use in DECODERS.items())
    yield from (_codec(name, "w", use) for name, use in ENCODERS.items())


def _codec(name: str, mode: Literal["r", "w"], use: str) -> Check:
    word = "decode" if mode == "r" else "encode"
    if _has_codec(name, mode):
        return Check("codecs", name, "ok", f"{word}s {use}")
    state: State = "broken" if name in NEEDED else "absent"
    return Check("codecs", name, state, f"does not {word} {use}", "pip install --force-reinstall av")


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    import av

    try:
        av.Codec(name, mode)
    except (av.FFmpegError, ValueError):
        return False
    return True


def _devices() -> Iterator[Check]:
    import torch

    from mien.training.hardware import choose_precision

    count = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    precision = {"bf16": "bf16 natively", "fp32": "fp32 (bf16 only emulated)"}
    cores = f"{allowed} of {count} cores, torch computes with {torch.get_num_threads()} thread(s)"
    yield Check("devices", "cpu", "ok", f"{cores}, {precision[choose_precision('auto', 'cpu')]}")
    if not torch.cuda.is_available():
        built = torch.version.cuda
        how = f"for CUDA {built}" if built else "without CUDA"
        remedy = "look at nvidia-smi" if built and shutil.which("nvidia-smi") else ""
        yield Check("devices", "cuda", "absent", f"no GPU; torch is built {how}", remedy)
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        memory = properties.total_memory / 2**30
        yield Check(
            "devices",
            f"cuda:{number}",
            "ok",
            f"{properties.name}, {memory:.0f} GiB, {precision[choose_precision('auto', 'cuda')]}",
        )
    if torch.backends.mps.is_available():
        yield Check("devices", "mps", "ok", "Apple GPU")
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    low = free < LEAST_FREE
    yield Check("devices", "disk", "broken" if low else "ok", f"{free:.0f} GB free here", "make room" if low else "")


def _extras() -> Iterator[Check]:
    for extra, (module, use) in EXTRAS.items():
        there = find_spec(module) is not None
        remedy = "" if there else f'pip install "mien[{extra}]"'
        yield Check("extras", extra, "ok" if there else "absent", use, remedy)


def attempt(group: str, name: str, work: Callable[[], str]) -> Check:
    """Run ``work`` and say what it found; an error becomes a broken line instead of ending the table."""
    try:
        return Check(group, name, "ok", work())
    except Exception as error:  # the table must say what fails, whatever it is
        line = str(error).splitlines()[0] if str(error) else ""
        return Check(group, name, "broken", f"{type(error).__name__}: {line}", "look at the lines above")
