"""``diagnose``: everything that can be found out about one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.diagnosis.answers import look_at_answers, look_at_features, look_at_modalities
from mien.diagnosis.curves import look_at_logs
from mien.diagnosis.finding import Finding, by_severity, exit_code
from mien.diagnosis.observation import Observation, observe
from mien.diagnosis.overlap import look_for_leakage
from mien.diagnosis.record import RunRecord
from mien.errors import MienError
from mien.tasks import create_task

# Pretexts that one answer for all clips cannot satisfy: few directions of their features vary, and that is no collapse.
RECONSTRUCTING = ("masked_autoencoder",)


@dataclass(frozen=True)
class Diagnosis:
    """What was found in a run.

    Attributes:
        run: its folder.
        steps: logged last.
        looked: what was looked at, in words, so that an empty list of findings says what it covers.
        findings: the gravest first.
    """

    run: str
    steps: int
    looked: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0: nothing found, or hints alone; 3: warnings; 4: something serious."""
        return exit_code(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """All attributes as plain data."""
        return {
            "run": self.run,
            "steps": self.steps,
            "looked": list(self.looked),
            "findings": [one.to_dict() for one in self.findings],
        }


def diagnose(run: Path | str, clips: int = 64) -> Diagnosis:
    """Look for what ails a run: its logs, its protocol, and its weights on some training and validation clips.

    Args:
        run: folder of ``mien train`` or ``mien pretrain``, finished or not.
        clips: most clips of each part that the weights are run on; 0 reads the folder alone. Test clips are compared
            with the others for leakage, and never judged.

    Raises:
        UsageError: it is not the folder of a run.
    """
    record = RunRecord.read(run)
    looked = [f"{len(record.train)} logged rows of training, {len(record.validation)} of validation"]
    findings = list(look_at_logs(record))
    if record.manifest is None:
        findings.append(_no_manifest(record))
    else:
        looked.append("people, recordings and pictures of all parts" if clips else "names of people and recordings")
        findings += look_for_leakage(record.protocol, record.manifest, 4 * clips)
    if clips and record.manifest is not None:
        could_learn = all(one.kind not in ("learning rate", "not finite") for one in findings)
        findings += _at_work(record, clips, looked, could_learn)
    steps = int(record.train["step"].iloc[-1]) if len(record.train) else 0
    return Diagnosis(str(record.run.folder), steps, tuple(looked), by_severity(findings))


def _at_work(record: RunRecord, clips: int, looked: list[str], could_learn: bool) -> Iterator[Finding]:
    """Findings from running the weights."""
    seen: dict[str, Observation] = {}
    try:
        for part in ("train", "validation"):
            ids = getattr(record.protocol, part)
            one = observe(record, ids, clips) if ids else None
            if one is not None:
                seen[part] = one
                looked.append(f"the weights on {one.views} views of {part} clips")
    except MienError as error:
        yield Finding("weights", "serious", str(error), "the run cannot be used as it is", "mend it, or train again")
        return
    if not seen:
        return
    first = seen.get("validation") or seen["train"]
    yield from look_at_modalities(first)
    if record.recipe.pretext is not None and record.recipe.pretext.kind not in RECONSTRUCTING:
        yield from look_at_features(*first.features)
    if record.recipe.task is not None:
        yield from look_at_answers(create_task(record.recipe.task), seen, could_learn)


def _no_manifest(record: RunRecord) -> Finding:
    return Finding(
        "data",
        "hint",
        f"there is no manifest {record.recipe.data.manifest} (from {Path.cwd()})",
        "leakage, answers and modalities could not be looked at",
        "run mien doctor in the folder that training was started in, or bring the corpus back",
    )
