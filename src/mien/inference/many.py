"""Many recordings: one that fails does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial

from mien.checkpoints.bundle import Bundle, load
from mien.data.pool import map_processes
from mien.errors import MienError, UsageError
from mien.inference.pipeline import PathLike, checked, predict
from mien.inference.settings import PredictSettings
from mien.inference.timeline import Timeline


@dataclass(frozen=True)
class Outcome:
    """What came of one recording.

    Attributes:
        path: as given.
        timeline: its timeline; None where it could not be read.
        error: why not; None where all is well.
    """

    path: str
    timeline: Timeline | None = None
    error: MienError | None = None


def predict_each(
    paths: Iterable[PathLike],
    model: Bundle | PathLike,
    settings: PredictSettings | None = None,
    *,
    jobs: int = 1,
) -> Iterator[Outcome]:
    """Read apparent emotion from many recordings, with an outcome for each, as they come.

    A recording that cannot be read has its error in its outcome, and so has one at which a process dies twice.

    Args:
        paths: recordings.
        model: as for ``predict``; several processes load it from its folder.
        settings: as for ``predict``; with ``threads`` None the processes share the cores.
        jobs: processes, started afresh ("spawn"), so that scripts need ``if __name__ == "__main__"``. With 1 outcomes
            come in the order of ``paths``, otherwise as recordings are done.

    Raises:
        UsageError: what is asked for makes no sense for any recording; one is named twice.
        MienError: the bundle cannot be read.

    Example:
        >>> outcomes = list(mien.predict_each(["talk.mp4", "lost.mp4"], "runs/mine/bundle"))
        >>> {outcome.path: str(outcome.error) for outcome in outcomes if outcome.error}
    """
    names, bundle, settings = checked(list(paths), model, settings)
    if jobs < 1:
        raise UsageError(f"jobs={jobs}: give 1 or more processes")
    if jobs == 1 or len(names) == 1:
        return (_outcome(bundle, settings, name) for name in names)
    shared = settings.threads or max((os.cpu_count() or 1) // jobs, 1)
    work = partial(_elsewhere, str(bundle.folder), settings.model_copy(update={"threads": shared}))
    return (outcome for _, outcome in map_processes(work, names, jobs, _crashed))


def _outcome(bundle: Bundle, settings: PredictSettings, path: str) -> Outcome:
    try:
        return Outcome(path, predict(path, bundle, settings))
    except UsageError:
        raise  # true of every recording alike
    except MienError as error:
        return Outcome(path, error=error)


def _elsewhere(folder: str, settings: PredictSettings, path: str) -> Outcome:
    return _outcome(_loaded(folder), settings, path)


@cache
def _loaded(folder: str) -> Bundle:
    return load(folder)


def _crashed(path: str) -> Outcome:
    return Outcome(path, error=MienError(f"{path}: the process that read it died, twice; is there memory enough?"))
