"""The kinds of extractors by name; each is imported when it is asked for."""

from __future__ import annotations

from mien.errors import UsageError
from mien.extraction.contract import Extractor, Request

KINDS = ("bundle", "logmel", "mfcc", "vit", "wavlm", "clip", "pyfeat", "openface", "pyfeat-csv", "folder")
BATCH = 32  # pictures or windows per forward pass


def make_extractor(request: Request, device: str = "cpu", batch: int = BATCH) -> Extractor:
    """The extractor of a request.

    Raises:
        UsageError: the kind is unknown, or its source or the library that it needs is not there.
    """
    kind, source = request.kind, request.source
    if kind in ("logmel", "mfcc"):
        from mien.extraction.builtin import SoundStatistics

        return SoundStatistics(kind)
    if kind == "bundle":
        from mien.extraction.builtin import BundleEncoder

        return BundleEncoder(source, device, batch)
    if kind in ("openface", "pyfeat-csv"):
        from mien.extraction.tables import UnitTable

        return UnitTable(kind, source)
    if kind == "folder":
        from mien.extraction.tables import Folder

        return Folder(source)
    if kind in ("vit", "wavlm", "clip"):
        from mien.extraction.pretrained import make_pretrained

        return make_pretrained(kind, source, device, batch)
    if kind == "pyfeat":
        from mien.extraction.pyfeat import PyFeat

        return PyFeat(device)
    raise UsageError(f"features: kind {kind!r} is not known; there are {', '.join(KINDS)}")
