"""Every corpus in small: the official names and columns, with files that hold next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Miniature:
    """A copy in small and what must come of it.

    Attributes:
        build: makes the copy in an empty folder.
        ids: of the rows, in order.
        columns: values of some columns, in the order of ids.
        remove: one clip (file or folder, relative to the copy) whose absence must be told.
        lists: an official list without which nothing goes, or None; its name must be in the message.
        choices: how it is taken.
        cropped: pictures are faces.
        patchy: missing clips are told but do not stop.
    """

    build: Callable[[Path], None]
    ids: tuple[str, ...]
    columns: dict[str, tuple[object, ...]] = field(default_factory=dict)
    remove: str = ""
    lists: str | None = None
    choices: dict[str, str] = field(default_factory=dict)
    cropped: bool = False
    patchy: bool = False


def touch(root: Path, *names: str) -> None:
    """Files of a few bytes."""
    for name in names:
        write(root, name, "clip " * 60)


def write(root: Path, name: str, text: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def frames(root: Path, folders: Iterable[str], pattern: str = "{0:05d}.jpg", count: int = 2) -> None:
    """Folders with pictures."""
    for folder in folders:
        touch(root, *(f"{folder}/{pattern.format(number, Path(folder).name)}" for number in range(1, count + 1)))


def dfew(root: Path) -> None:
    clips = [(number, number % 7 + 1, number % 5 + 1) for number in range(1, 11)]
    for fold in range(1, 6):
        for part, there in (("test", True), ("train", False)):
            rows = [f"{number},{label}" for number, label, own in clips if (own == fold) is there]
            text = "\r\n".join(["video_name,label", *rows])
            write(root, f"DFEW/EmoLabel_DataSplit/{part}(single-labeled)/set_{fold}.csv", text)
    frames(root, [f"DFEW/Clip/clip_224x224/{number:05d}" for number in range(1, 12)], "{1}_{0:05d}.jpg")


def crema_d(root: Path) -> None:
    names = ["1001_IEO_ANG_LO", "1001_DFA_NEU_XX", "1019_TIE_HAP_XX", "1091_ITH_SAD_XX"]
    touch(root, *(f"VideoFlash/{name}.flv" for name in names))
    rows = [f'{number},"{name}"' for number, name in enumerate(names, start=1)]
    write(root, "SentenceFilenames.csv", "\n".join(['"Stimulus_Number","Filename"', *rows]))
    people = ['1001,51,"Male","Caucasian","Not Hispanic"', '1019,22,"Female","Asian","Not Hispanic"']
    write(root, "VideoDemographics.csv", "\n".join(['"ActorID","Age","Sex","Race","Ethnicity"', *people]))
    votes = ['"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"']
    votes += [f'"{at}","{name}","N","60","N","60","{vote}","60"' for at, (name, vote) in enumerate(
        zip(names, ("A", "A:N", "H", "N"), strict=True))]  # fmt: skip
    write(root, "processedResults/summaryTable.csv", "\n".join(votes))


def ravdess(root: Path) -> None:
    """All takes of speech, since the design of the corpus is the list."""
    for actor in range(1, 25):
        for emotion in range(1, 9):
            for intensity in (1, 2) if emotion > 1 else (1,):
                for take in ("01-01", "01-02", "02-01", "02-02"):
                    name = f"01-{emotion:02d}-{intensity:02d}-{take}-{actor:02d}"
                    write(root, f"Actor_{actor:02d}/01-{name}.mp4", "x")
                    if actor == 24:
                        write(root, f"Actor_{actor:02d}/02-{name}.mp4", "x")


MINIATURES: dict[str, Miniature] = {
    "dfew": Miniature(
        dfew,
        tuple(f"{number:05d}" for number in range(1, 11)),
        {"label": ("sad", "neutral", "angry", "surprise", "disgust", "fear", "happy", "sad", "neutral", "angry"),
         "fold": ("2", "3", "4", "5", "1") * 2},
        remove="DFEW/Clip/clip_224x224/00003",
        lists="DFEW/EmoLabel_DataSplit/test(single-labeled)/set_3.csv",
        cropped=True,
    ),
    "crema-d": Miniature(
        crema_d,
        ("1001_DFA_NEU_XX", "1001_IEO_ANG_LO", "1019_TIE_HAP_XX", "1091_ITH_SAD_XX"),
        {"label": ("neutral", "angry", "happy", "sad"), "subject": ("1001", "1001", "1019", "1091"),
         "fold": ("1", "1", "2", "5"), "level": ("unspecified", "low", "unspecified", "unspecified"),
         "sex": ("male", "male", "female", None)},
        remove="VideoFlash/1019_TIE_HAP_XX.flv",
    ),
}  # fmt: skip
