"""How faces are followed, as data. No torch here."""

from __future__ import annotations

from pydantic import Field

from mien.checked import Checked


class TrackingSettings(Checked):
    """Settings of ``FaceTracker``. Times are seconds, so that they mean the same at every frame rate.

    Attributes:
        every: a full search for faces every n frames (and at cuts, and where a face was lost); between, only the places
            of known faces are looked at. A face that appears in between is followed back to its first frame; one that
            is gone again before the next search is not found.
        min_length: shortest stretch that becomes a track; what is seen more briefly is taken for chance.
        certainty: mean score (over log-odds) that a track's sightings must reach before it counts as a face, 0.5..1;
            None: what suits the detector.
        bridge: longest gap between two sightings in one shot that is filled by interpolation; 0 fills none.
        remember: how long a lost face can come back under its old id.
        same_person: similarity of appearance, -1..1, from which a face that comes back counts as the same.
    """

    every: int = Field(default=8, ge=1, le=250)
    min_length: float = Field(default=0.3, ge=0.0, le=10.0)
    certainty: float | None = Field(default=None, ge=0.5, lt=1.0)
    bridge: float = Field(default=0.4, ge=0.0, le=5.0)
    remember: float = Field(default=4.0, ge=0.0, le=600.0)
    same_person: float = Field(default=0.7, ge=-1.0, le=1.0)
