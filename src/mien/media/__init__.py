"""Video and sound, in and out. Time is seconds from the first picture; frames are addressed by presentation time."""

from mien.media.clip import Clip
from mien.media.features import log_mel, mfcc
from mien.media.files import HeldFile, check_named
from mien.media.limits import LIMITS, Limits
from mien.media.probe import MediaInfo, PictureInfo, SoundInfo, probe
from mien.media.short import ShortClip, open_clip
from mien.media.sound import Sound, read_sound, sound_chunks
from mien.media.still import Still
from mien.media.video import Frame, VideoReader
from mien.media.writer import VideoWriter

__all__ = [
    "LIMITS",
    "Clip",
    "Frame",
    "HeldFile",
    "Limits",
    "MediaInfo",
    "PictureInfo",
    "ShortClip",
    "Sound",
    "SoundInfo",
    "Still",
    "VideoReader",
    "VideoWriter",
    "check_named",
    "log_mel",
    "mfcc",
    "open_clip",
    "probe",
    "read_sound",
    "sound_chunks",
]
