"""What every extractor answers, and how one is asked for: ``name``, ``name=kind`` or ``name=kind:source``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.streams import Stream
from mien.errors import UsageError
from mien.extraction.material import Material
from mien.memory import smaller, within_memory

# What published ViPER took each stream from (its fine-tuned CLIP is not public: this is the general one).
PUBLISHED = {
    "visual": "vit:google/vit-base-patch16-224-in21k",
    "audio": "wavlm:microsoft/wavlm-base-plus-sv",
    "text": "clip:openai/clip-vit-base-patch32+FacebookAI/roberta-base",
    "fau": "pyfeat",
}


class Extractor(ABC):
    """Features of a clip at a number of moments.

    Attributes:
        width: values per moment.
        described: kind and source, as a request would name them; stands in the store.
        revision: of the source: commit of a hub repository, digest of a bundle; empty where there is none.
        device, batch: where it runs, and on how many pictures or windows at once.
    """

    width: int
    described: str
    revision: str = ""
    device: str = "cpu"
    batch: int = 1

    @abstractmethod
    def __call__(self, clip: Material) -> Stream:
        """Features of a clip; ``MienError`` where it lacks what they are made of."""

    def of(self, clip: Material, jobs: int = 1) -> Stream:
        """As a call, for one of ``jobs`` clips under way; ``OutOfMemory`` says what to make smaller."""
        further = (f"--jobs {jobs // 2}",) if jobs > 1 else ()
        work = f"with {self.batch} pictures or windows of a clip at once on {self.device}"
        with within_memory(work, smaller(self.batch, 1, self.device, *further)):
            return self(clip)


@dataclass(frozen=True)
class Request:
    """A stream that is wanted: its name, the kind of extractor, and the source of that."""

    name: str
    kind: str
    source: str = ""


def parse_requests(text: str) -> list[Request]:
    """``visual,audio=mfcc,fau=openface:tables`` → requests; a bare name stands for what published ViPER took."""
    requests = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, given = part.partition("=")
        if not equals:
            if name not in PUBLISHED:
                raise UsageError(
                    f"features {name!r}: give name=kind or name=kind:source; bare names are {', '.join(PUBLISHED)}"
                )
            given = PUBLISHED[name]
        if not name.isidentifier():
            raise UsageError(f"features {part!r}: {name!r} is no name for a stream; use letters, digits and _")
        kind, _, source = given.partition(":")
        requests.append(Request(name, kind, source))
    names = [request.name for request in requests]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"features {text!r}: name at least one stream, and each once")
    return requests


def stream(values: NDArray[np.floating], times: NDArray[np.float64]) -> Stream:
    """Features as the store keeps them; what is not finite becomes 0, as missing action units do."""
    clean = np.nan_to_num(np.asarray(values, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    return Stream(clean, np.asarray(times, dtype=np.float64))
