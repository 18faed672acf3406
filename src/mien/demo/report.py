"""What the demo says at its end: a short summary, and one page to look at."""

from __future__ import annotations

import os
from html import escape
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from mien.demo.steps import Outcome
from mien.evaluation.report import interval_text
from mien.evaluation.result import EvaluationResult
from mien.files import complete
from mien.pages import page as frame
from mien.pages import scrolled

PROBES = {"still": "linear probe, one still frame", "clip": "linear probe, pixels of the whole clip"}


def rows(out: Outcome) -> list[tuple[str, float, EvaluationResult | None]]:
    """(what, UAR, its evaluation) from chance to the pretrained model."""
    table: list[tuple[str, float, EvaluationResult | None]] = [("guessing", out.chance, None)]
    table += [(PROBES[name], value, None) for name, value in out.probes.items()]
    for text, result in (
        ("trained from scratch", out.scratch),
        ("pretrained by masking", out.pretrained),
    ):
        if result is not None:
            table.append((text, result["uar"].value, result))
    return table


def summary(out: Outcome, page: Path) -> str:
    """The lines that the command ends with."""
    lines = ["", "UAR on people who were never seen (mean recall over 7 classes):"]
    for text, value, result in rows(out):
        figure = interval_text(result["uar"]) + f"  n = {result['uar'].n}" if result else f"{value:.3f}"
        lines.append(f"  {text:<40} {figure}")
    lines.append(gain(out))
    lines.append(f"done in {sum(out.seconds.values()):.0f} s: " + _times(out))
    lines += [
        "",
        f"report    {page}",
        f"timeline  {out.table}",
        f"curves    {out.curves}",
        f"overlay   {out.overlay}",
        f"bundle    {out.bundle}",
        "",
        "On with your own video (this model knows animated faces only: it shows the way, not the truth about people):",
        f"  mien predict talk.mp4 --model {out.bundle} --out readings --html --overlay",
    ]
    return "\n".join(lines)


def figures(out: Outcome, page: Path) -> dict[str, Any]:
    """The same for machines: UAR by model, with n and interval where clips were judged; times; where the files are."""
    scores: dict[str, Any] = {}
    for text, value, result in rows(out):
        scores[text] = {"uar": value}
        if result is not None:
            low, high = result["uar"].interval.low, result["uar"].interval.high
            scores[text] |= {"n": result["uar"].n, "low": low, "high": high}
    paths = {"report": page, "timeline": out.table, "curves": out.curves, "overlay": out.overlay, "bundle": out.bundle}
    return {"figures": scores, "seconds": out.seconds, "files": {name: str(path) for name, path in paths.items()}}


def gain(out: Outcome) -> str:
    """What pretraining changed, with its interval and what that allows to say."""
    if out.gain is None:
        return ""
    uar = out.gain.comparisons["uar"]
    low, high = uar.interval.low, uar.interval.high
    verdict = "which chance alone could do" if low <= 0 <= high else "more than chance would do"
    return f"Pretraining changed the UAR by {uar.difference:+.3f} [{low:+.3f}, {high:+.3f}], {verdict}."


def write_page(out: Outcome) -> Path:
    """``report.html``: figures, times and links; loads nothing from elsewhere."""
    page = out.folder / "report.html"
    style = resources("mien.demo").joinpath("report.css").read_text("utf-8")
    figures = "".join(
        _row(text, interval_text(result["uar"]) if result else f"{value:.3f}", _bar(value, result))
        for text, value, result in rows(out)
    )
    times = "".join(_row(name, f"{seconds:.1f} s") for name, seconds in out.seconds.items())
    links = "".join(
        f'<li><a href="{escape(os.path.relpath(path, out.folder))}">{escape(text)}</a></li>'
        for text, path in _files(out)
    )
    top = '<thead><tr><th scope="col">what</th><th scope="col">UAR</th><td></td></tr></thead>'
    n = out.pretrained["uar"].n if out.pretrained else 0
    body = f"""<h1>mien demo</h1>
<p class=soft>A corpus of animated faces was made on this machine, faces were found and cut, an encoder was pretrained
by masking without labels, fine-tuned with them, and judged on people who were in no part of training.</p>
<section class=card>
<h2>Seven expressions of unseen people: mean recall (UAR), n = {n} clips, 95 % interval by subject</h2>
{scrolled(f"<table>{top}{figures}</table>", "Figures")}
<p class=soft>Both trained models had the same fine-tuning budget ({_budget(out)}).
{gain(out)} The probes say how far pixels alone
lead.</p></section>
<section class=card><h2>Look further</h2><ul>{links}</ul></section>
<section class=card><h2>Time</h2><table>{times}</table></section>
<section class=card><h2>Your own video</h2>
<p><code>mien predict talk.mp4 --model {escape(str(out.bundle))} --out readings --html --overlay</code></p>
<p class=soft>This model has seen animated faces only. It shows the way, not the truth about people; figures speak of
<em>apparent</em> emotion.</p></section>"""
    html = frame("mien demo", body, style)
    with complete(page) as part:
        part.write_text(html, encoding="utf-8")
    return page


def _row(name: str, *cells: str) -> str:
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _bar(value: float, result: EvaluationResult | None) -> str:
    interval = ""
    if result is not None:
        low, high = result["uar"].interval.low, result["uar"].interval.high
        interval = f"<b style='left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%'></b>"
    return f"<div class=bar><i style='width:{100 * value:.1f}%'></i>{interval}</div>"


def _budget(out: Outcome) -> str:
    run = out.runs.get("pretrained")
    return f"{run.steps} steps, {run.clips} clips" if run else "the same steps"


def _files(out: Outcome) -> list[tuple[str, Path]]:
    return [
        (
            "Evaluation of the pretrained model",
            out.folder / "runs" / "pretrained" / "evaluation" / "test" / "report.html",
        ),
        (
            "Evaluation of the model trained from scratch",
            out.folder / "runs" / "scratch" / "evaluation" / "test" / "report.html",
        ),
        ("A new video with two people: curves per face", out.curves),
        ("The same video with boxes, readings and sound", out.overlay),
        ("Its timeline as a table", out.table),
    ]


def _times(out: Outcome) -> str:
    return ", ".join(f"{name} {seconds:.0f}" for name, seconds in out.seconds.items())
