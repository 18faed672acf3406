"""Video and sound, in and out. Time is seconds from the first picture; frames are addressed by presentation time."""
