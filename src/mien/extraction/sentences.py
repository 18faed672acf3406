"""Sentences that a picture is compared with: what each of seven reactions, and none, looks like on a face.

Published ViPER used 53 of its own; these are ours, as many per reaction and in the same order of reactions.
"""

from __future__ import annotations

SENTENCES: dict[str, tuple[str, ...]] = {
    "Adoration": (
        "a person looking with tender love",
        "an adoring face",
        "someone gazing fondly at what they cherish",
        "a face that melts with affection",
        "eyes full of devotion",
        "a warm and loving look",
        "a person charmed by something precious",
    ),
    "Amusement": (
        "a person laughing out loud",
        "an amused face",
        "someone who finds a joke funny",
        "a wide grin of delight",
        "a person trying not to laugh",
        "a playful smile",
        "a face bright with fun",
        "someone giggling",
        "a cheerful and entertained look",
    ),
    "Anxiety": (
        "an anxious face",
        "a person who worries about what comes next",
        "a tense and uneasy look",
        "someone biting their lip nervously",
        "a troubled forehead and restless eyes",
        "a person waiting for bad news",
        "a face under stress",
    ),
    "Disgust": (
        "a disgusted face",
        "a person wrinkling the nose at a bad smell",
        "someone about to gag",
        "a look of revulsion",
        "a raised upper lip of distaste",
        "a person turning away from something foul",
    ),
    "Empathic-Pain": (
        "a face that feels the pain of another",
        "a person wincing as somebody gets hurt",
        "a look of compassion and hurt",
        "someone suffering along with a victim",
        "a pained grimace out of sympathy",
        "a person who can hardly watch an injury",
    ),
    "Fear": (
        "a frightened face",
        "a person in terror",
        "wide eyes full of fear",
        "someone shrinking back from danger",
        "a scared look with an open mouth",
        "a person who has seen something horrifying",
    ),
    "Surprise": (
        "a surprised face",
        "a person taken by surprise",
        "raised eyebrows and a dropped jaw",
        "an astonished look",
        "someone who did not expect this",
        "a startled person",
    ),
    "Neutral": (
        "a neutral face",
        "a person without any expression",
        "a calm and blank look",
        "a relaxed face at rest",
        "someone listening without reaction",
        "an unmoved person",
    ),
}

ALL = tuple(sentence for group in SENTENCES.values() for sentence in group)
