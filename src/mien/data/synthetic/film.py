"""Filming: people who act in front of a camera become a video file with sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mien.data.synthetic.expression import Performance
from mien.data.synthetic.figure import Figure, Look
from mien.data.synthetic.head import Light, Pose
from mien.data.synthetic.identity import Array
from mien.data.synthetic.studio import Camera, draw_background, draw_light, lit_skin
from mien.data.synthetic.units import INDEX
from mien.data.synthetic.voice import speak
from mien.media import VideoWriter

GOP = 15  # most pictures between two that decode alone
USUAL = 0.27  # half width of a usual head as a share of the picture's height


@dataclass(frozen=True)
class Actor:
    """A person, what they do, and where: centre of the head and half its width in pixels, at rest."""

    figure: Figure
    performance: Performance
    x: float
    y: float
    scale: float

    def look(self, index: int) -> Look:
        """The person at frame ``index``."""
        acted = self.performance
        dx, dy, nearer = (float(value) for value in acted.place[index])
        units = acted.units[index]
        yaw, pitch, roll = (float(value) for value in acted.turn[index])
        unit = self.scale / USUAL
        pose = Pose(
            x=self.x + dx * unit,
            y=self.y + dy * unit,
            scale=self.scale * (1.0 + nearer),
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            jaw_drop=float(units[INDEX[26]].mean()),
        )
        return Look(pose, units, (float(acted.gaze[index, 0]), float(acted.gaze[index, 1])))


@dataclass(frozen=True)
class Scene:
    """People, room, light and camera."""

    actors: tuple[Actor, ...]
    room: Array
    light: Light
    camera: Camera
    frames: int

    @classmethod
    def draw(cls, rng: Generator, actors: tuple[Actor, ...], frames: int, size: tuple[int, int]) -> Scene:
        """Surroundings for ``frames`` pictures of ``size`` (height, width)."""
        light = draw_light(rng)
        brightness = float(np.mean([lit_skin(actor.figure.face.skin, light) for actor in actors]))
        return cls(actors, draw_background(rng, size, light), light, Camera.draw(rng, frames, size, brightness), frames)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``, uint8 ``(H, W, 3)``."""
        picture = self.camera.backdrop(self.room, index)
        for actor in self.actors:
            actor.figure.paint(picture, actor.look(index), self.light)
        return self.camera.develop(picture, index)

    def sound(self, rate: int, samples: int, rng: Generator) -> NDArray[np.float32]:
        """All voices together, float32 ``(samples,)``."""
        total = np.zeros(samples, np.float32)
        for actor in self.actors:
            acted = actor.performance
            total += speak(actor.figure.face, acted.speech, acted.times, acted.affect[:, 1], rate, samples, rng)
        return np.clip(total, -1.0, 1.0)

    def write(self, path: Path, fps: float, sound_rate: int | None, rng: Generator) -> None:
        """Write the video; it has its name only when complete."""
        height, width = self.camera.size
        with VideoWriter(path, (width, height), fps=fps, sound_rate=sound_rate, gop=GOP) as video:
            for index in range(self.frames):
                video.write(self.picture(index))
            if sound_rate is not None:
                video.write_sound(self.sound(sound_rate, round(self.frames / fps * sound_rate), rng))
