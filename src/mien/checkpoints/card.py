"""The model card: what a bundle is, what it was judged on, what it may and may not be used for."""

from __future__ import annotations

from mien.checked import Checked
from mien.models.specification import Specification, VideoInput

PROHIBITED = """\
This model estimates how a face *appears*; it does not measure what a person feels.

**Prohibited in the European Union.** Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f), prohibits placing on the
market, putting into service or using AI systems that infer emotions of natural persons **in the workplace and in
education institutions**, except for medical or safety reasons.

**Restricted in the European Union.** Other emotion recognition systems are high-risk (Annex III, point 1(c)), and who
deploys one must inform the persons exposed to it (Article 50(3)) and follow data protection law; a face in a video is
personal data, and what is read from it may be sensitive. Other places have rules of their own.

**Not a basis for decisions about people anywhere:** hiring, grading, credit, insurance, policing, border control, lie
detection, diagnosis. Expressions differ between persons, cultures, ages and conditions, and so do errors.
"""

INTENDED = """\
Research on affective computing and human-computer interaction with people who agreed to it; annotation aids that a
person checks; teaching; comparison of methods.
"""


SMOOTHED = "smoothed over time"


class Figure(Checked):
    """One figure of an evaluation: metric, value, clips or frames it was computed on, 95 % interval where known."""

    metric: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None


class ModelCard(Checked):
    """What a card says beyond the Specification.

    Attributes:
        title: headline; None is the model's registered name and task.
        summary: a paragraph on what was trained on what.
        protocol: which clips were tested, with the digest of their ids.
        weights: which weights these are (``last``, ``best by uar on validation``, ``ema``, ...).
        figures: results under that protocol.
        limits: known limits beyond the general ones.
    """

    title: str | None = None
    summary: str = ""
    protocol: str = ""
    weights: str = ""
    figures: tuple[Figure, ...] = ()
    limits: tuple[str, ...] = ()


def render_card(specification: Specification, card: ModelCard) -> str:
    """The card as Markdown with the hub's front matter."""
    task = specification.task
    title = card.title or f"{specification.model}: {task.kind if task else 'features'}"
    parts = [
        _front_matter(specification),
        f"# {title}",
        card.summary,
        "## How to use it\n\n```python\nimport mien\n\n"
        f'timeline = mien.{"predict" if task else "embed"}("talk.mp4", mien.load("path/to/this/folder"))\n```',
        _table("What it reads and says", _inputs_and_outputs(specification)),
        _ledger(specification),
        _results(card),
        f"## Intended uses\n\n{INTENDED}",
        f"## Prohibited and restricted uses\n\n{PROHIBITED}",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in (*card.limits, *_general_limits(specification))),
        _table("Where it comes from", _provenance(specification)),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def restate_smoothing(card: str, specification: Specification) -> str:
    """A card of the same weights that says how their outputs are smoothed now."""
    lines = [line for line in card.splitlines() if not line.startswith(f"| {SMOOTHED} |")]
    places = [number for number, line in enumerate(lines) if line.startswith("| outputs, in order |")]
    if places and specification.smoothing:
        lines.insert(places[0] + 1, f"| {SMOOTHED} | {specification.smoothing_text()} |")
    return "\n".join(lines) + "\n"


def _front_matter(specification: Specification) -> str:
    lines = ["---", "library_name: mien", "pipeline_tag: video-classification"]
    if licence := specification.provenance.licence:
        lines.append(f"license: {licence.lower().replace(' ', '-')}")
    lines += ["tags:", "- apparent-emotion", "- affective-computing", "- face-video", f"- {specification.model}", "---"]
    return "\n".join(lines)


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    body = "\n".join(f"| {name} | {value} |" for name, value in rows if value)
    return f"## {title}\n\n| | |\n|---|---|\n{body}" if body else ""


def _inputs_and_outputs(specification: Specification) -> list[tuple[str, str]]:
    inputs, task = specification.inputs, specification.task
    rows = []
    if inputs.video is not None:
        rows.append(("picture", _picture(inputs.video)))
    if inputs.sound is not None:
        rows.append(("sound", f"{inputs.sound.features} at {inputs.sound.rate} Hz"))
    rows += [(f"stream {stream.name}", f"{stream.width} values per step") for stream in inputs.streams]
    if task is None:
        return [*rows, ("task", "none: features only")]
    rows += [("task", f"{task.kind} per {task.level}"), ("outputs, in order", ", ".join(task.outputs))]
    return [*rows, (SMOOTHED, specification.smoothing_text())]


def _picture(video: VideoInput) -> str:
    rate = f"every {video.stride}. frame" if video.stride else f"{video.fps:g} frames per second"
    length = f"{video.frames} frames" if video.frames else "any number of frames"
    crop = "the whole picture"
    if video.crop is not None:
        crop = f"a face crop (margin {video.crop.margin:g}, alignment {video.crop.align})"
    return f"{length} of {video.size} px, {video.channels}, {rate}, from {crop}"


def _ledger(specification: Specification) -> str:
    rows = [
        f"| {entry.corpus} | {entry.stage} | {entry.protocol or '–'} | {entry.clips or '–'} |"
        for entry in specification.provenance.ledger
    ]
    if not rows:
        return "## Data that these weights have seen\n\nNot recorded."
    head = "| corpus | stage | protocol | clips |\n|---|---|---|---|"
    return "## Data that these weights have seen\n\n" + "\n".join([head, *rows])


def _results(card: ModelCard) -> str:
    if not card.figures:
        return "## Results\n\nNo results come with these weights."
    rows = []
    for figure in card.figures:
        known = figure.low is not None and figure.high is not None
        interval = f"{figure.low:.4f} – {figure.high:.4f}" if known else "–"
        rows.append(f"| {figure.metric} | {figure.value:.4f} | {interval} | {figure.n} |")
    notes = [
        f"Protocol: {card.protocol}." if card.protocol else "",
        f"Weights: {card.weights}." if card.weights else "",
    ]
    head = "| metric | value | 95 % interval | n |\n|---|---|---|---|"
    return "\n\n".join(["## Results", *notes, "\n".join([head, *rows])])


def _general_limits(specification: Specification) -> list[str]:
    limits = ["Outputs describe apparent emotion as annotators of the training data saw it."]
    if any(entry.corpus.startswith("synthetic") for entry in specification.provenance.ledger):
        limits.append("Trained on procedural faces: it demonstrates the tool and is not fit for real recordings.")
    return limits


def _provenance(specification: Specification) -> list[tuple[str, str]]:
    origin = specification.provenance
    return [
        ("made by", origin.created_by),
        ("source", origin.source),
        ("licence of the weights", origin.licence),
        ("paper", origin.paper),
        ("recipe", origin.recipe),
        *(("note", note) for note in origin.notes),
    ]
