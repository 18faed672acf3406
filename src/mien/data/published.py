"""How the authors of published systems cut faces, as settings of preparation."""

from __future__ import annotations

from mien.data.settings import PrepareSettings
from mien.errors import UsageError
from mien.faces.recipe import CropRecipe

PUBLISHED: dict[str, PrepareSettings] = {
    # RAVDESS: MTCNN from 20 px on every picture, the largest box squeezed into 224 x 224.
    "avfusion": PrepareSettings(
        crop=CropRecipe(size=224, shape="avfusion", margin=0.0, smoothing=0.0),
        faces="main", search="largest", min_face=20, exact=True,
    ),
    # Hume-Reaction: the most certain face of 90 px or more in every picture, without margin, else the whole picture.
    # The authors' detector was YOLOv5-face, which does not come with mien; MTCNN stands for it.
    "viper": PrepareSettings(
        crop=CropRecipe(size=224, shape="viper", margin=0.0, smoothing=0.0),
        faces="main", search="surest", min_face=90, exact=True,
    ),
    # VoxCeleb2 for SVFAP and MAE-DFER: rows 0-159 and columns 32-191 of the official crops.
    "voxceleb2": PrepareSettings(crop=CropRecipe(size=160), window=(32, 0, 160), exact=True),
}  # fmt: skip


def published(name: str) -> PrepareSettings:
    """Settings of a published preparation; raises ``UsageError`` for a name that there is not."""
    if name not in PUBLISHED:
        raise UsageError(f"--like {name}: known are {', '.join(PUBLISHED)}")
    return PUBLISHED[name]
