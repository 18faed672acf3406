"""The training loop. Its position is the number of steps done; with the seed that fixes every later clip and draw.

So a run that goes on from a checkpoint takes the very steps it would have taken, at any point of an epoch.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator

from lightning.fabric import Fabric
from torch import nn

from mien.errors import MienError
from mien.nn.recompute import Recomputable
from mien.pretext import Moment
from mien.training.batches import Batches, Step
from mien.training.experiment import Experiment
from mien.training.gallery import Gallery, as_array
from mien.training.hardware import gather, said_once, total
from mien.training.logs import Log
from mien.training.progress import Meter, Progress, describe
from mien.training.run import Run
from mien.training.schedules import learning_rates, weight_decays
from mien.training.signals import Stopped, StopSignals
from mien.training.state import State, write_tensors
from mien.training.stepper import Stepper
from mien.training.trouble import in_plain_words

SETTLED = 0.2  # share of the steps after which a pretext is watched: a centre at 0 makes targets alike at first
PATIENCE = 3  # logs in a row that must look wrong before a pretext is said to have collapsed
Validate = Callable[[nn.Module], dict[str, float]]


class Loop:
    """Takes the steps of a run, and validates, logs and checkpoints between them.

    Args:
        experiment: what is trained.
        fabric: devices, precision, exchange between processes.
        run: where checkpoints and logs go.
        state: counters to begin with.
        resume: take them, and all weights, from the run's last checkpoint instead.
        validate: metrics of a module on the validation part, the deciding one first; None where there is none.
        signals: says when to stop.
    """

    def __init__(
        self,
        experiment: Experiment,
        fabric: Fabric,
        run: Run,
        state: State,
        resume: bool,
        validate: Validate | None,
        signals: StopSignals,
    ) -> None:
        recipe = experiment.recipe
        self.recipe, self.fabric, self.run, self.signals = recipe, fabric, run, signals
        pinned = fabric.device.type == "cuda"
        self.batches = Batches(recipe, experiment.train, fabric.global_rank, fabric.world_size, pinned)
        self.rates = learning_rates(recipe, self.batches.steps_per_epoch)
        self.decays = weight_decays(recipe, self.batches.steps_per_epoch)
        self.stepper = Stepper(experiment, fabric)
        self.state = self.stepper.read(run.last) if resume else state
        self._allowed = recipe.data.max_unreadable * len(experiment.train.ids)
        self._validate = validate
        self._log: Log | None = None
        self._gallery = Gallery.of(experiment, run.gallery) if fabric.is_global_zero else None
        self._progress: Progress | None = None
        self._notes = experiment.protocol.notes
        self._blocks = sum(isinstance(part, Recomputable) for part in experiment.objective.modules())

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return len(self.rates)

    def train(self, shown: bool) -> None:
        """Train to the end and leave the last checkpoint; ``shown``: with a progress bar.

        Raises:
            Stopped: a signal came; the checkpoint of the last step is written.
            MienError: a loss is not finite, or too many clips cannot be read.
        """
        if self.fabric.is_global_zero:
            self._log = Log(self.run.logs, self.state.step)
        self._progress = Progress(self.steps, self.state.step, self.recipe.stage, shown and self.fabric.is_global_zero)
        for note in self._notes if not self.state.step else ():  # before hours are spent on it
            self._progress.say(f"note: {note}")
        try:
            self._train()
        except MienError as error:
            if self.fabric.is_global_zero and not isinstance(error, Stopped):
                self.run.fail(self.state.step, str(error))
            raise
        except (RuntimeError, MemoryError) as error:
            # where another process of the run was asked twice and left at once, the exchange with it fails in the
            # middle of a step: the run goes on from the checkpoint before
            if self.signals.received:
                raise self._stopped(self.signals.received) from error
            known = in_plain_words(error, self.recipe, self.state.step, self.fabric.world_size, self._blocks)
            if known is None:
                raise
            if self.fabric.is_global_zero:
                self.run.fail(self.state.step, str(known))
            raise known from error
        finally:
            self._progress.close()
            if self._log:
                self._log.close()

    def save(self) -> None:
        """Write the checkpoint that a resumed run goes on from."""
        if self.fabric.is_global_zero:
            self.stepper.write(self.run.last, self.state)

    def _train(self) -> None:
        state, meter, epoch, saved = self.state, Meter(), Meter(), time.monotonic()
        begun = time.perf_counter() - state.seconds
        steps = self.batches.starting_at(state.step)
        self._validate_if_due()
        while state.step < self.steps:
            data, clips = self._next(steps)
            rate = float(self.rates[state.step])
            moment = Moment(state.step, self.steps, self.batches.steps_per_epoch)
            outcome = self.stepper.take(data, clips, moment, rate, float(self.decays[state.step]))
            state.step += 1
            state.clips += outcome.clips
            state.seconds = time.perf_counter() - begun
            for sums in (meter, epoch):
                sums.add(outcome.loss, outcome.clips, data.waited, outcome.extra)
            if self._progress:
                self._progress.step()
            if self._every(self.recipe.intervals.log_steps):
                self._report(meter.read(), rate, outcome.norm)
                meter = Meter()
            if self._every(self.batches.steps_per_epoch):
                self._end_epoch(epoch.read())
                epoch = Meter()
            if self._checkpoint_due(saved):
                self.save()
                saved = time.monotonic()
        self.save()

    def _next(self, steps: Iterator[Step]) -> tuple[Step, float]:
        """What this process reads for the next step, and how many clips all of them read."""
        data = next(steps)
        own = sum(len(part) for part in data.parts)
        clips, failures, asked = total(self.fabric, [own, len(data.failures), self.signals.received])
        if asked:
            self.save()
            raise self._stopped(max(gather(self.fabric, self.signals.received)))
        if failures:
            self._count_unreadable(data)
        return data, clips

    def _stopped(self, number: int) -> BaseException:
        line = (
            f"stopped by {signal.Signals(number).name} after step {self.state.step} of {self.steps}; "
            f"go on with: mien {'train' if self.recipe.task else 'pretrain'} --run {self.run.folder} --resume"
        )
        return said_once(self.fabric, Stopped(line, number))

    def _every(self, steps: int | None) -> bool:
        return steps is not None and (self.state.step % steps == 0 or self.state.step == self.steps)

    def _checkpoint_due(self, saved: float) -> bool:
        intervals = self.recipe.intervals
        waited = intervals.checkpoint_seconds is not None and time.monotonic() - saved >= intervals.checkpoint_seconds
        return self.state.step < self.steps and (waited or self._every(intervals.checkpoint_steps))

    def _report(self, values: dict[str, float], rate: float, norm: float) -> None:
        self.state.loss = values["loss"]
        if self.recipe.pretext:
            values = {**values, "collapsed": float(self._in_trouble(values))}
        if self._progress:
            self._progress.show(values)
        if self._log:
            self._log.write(
                "train", self.state.step, {"epoch": self._epoch, **values, "lr": rate, "gradient_norm": norm}
            )

    def _in_trouble(self, values: dict[str, float]) -> bool:
        """Whether a pretext's scalars look wrong; said once they do so ``PATIENCE`` times in a row."""
        settled = self.state.step >= SETTLED * self.steps
        line = self.stepper.objective.trouble(values) if settled else None
        logs = self.state.trouble.get("logs", 0) + 1
        self.state.trouble = {"line": line, "logs": logs} if line else {}
        if line and logs == PATIENCE:
            self._say(f"step {self.state.step}: {line}")
        return line is not None

    def _end_epoch(self, values: dict[str, float]) -> None:
        line = f"epoch {self._epoch:g} of {self.steps / self.batches.steps_per_epoch:g}: {describe(values)}"
        judged = self._validate_if_due()
        if self._gallery and self._every(self.recipe.intervals.gallery_epochs * self.batches.steps_per_epoch):
            picture = self._gallery.show(self.stepper.trained, self.state.step, self.fabric.device)
            if picture is not None and self._log:
                self._log.picture("reconstruction", self.state.step, as_array(picture))
        self._say(", ".join([line, *(f"{name} {value:.4g}" for name, value in judged.items())]))

    @property
    def _epoch(self) -> float:
        """Epochs done."""
        return self.state.step / self.batches.steps_per_epoch

    def _validate_if_due(self) -> dict[str, float]:
        """Judge the weights at the end of an epoch and keep them where they are the best so far."""
        state, every = self.state, self.recipe.intervals.validate_epochs * self.batches.steps_per_epoch
        if self._validate is None or not state.step or state.validated == state.step or not self._every(every):
            return {}
        values = self._validate(self.stepper.weights())
        state.validated, state.values = state.step, values
        if self._log:
            self._log.write("validation", state.step, {"epoch": self._epoch, **values})
        if self.recipe.pretext:  # a probe judges, and chooses nothing
            return values
        first = next(iter(values))
        best = state.best["values"][first] if state.best else math.nan
        if math.isnan(best) or values[first] > best:
            state.best = {"step": state.step, "values": values}
            self._keep_best()
        return values

    def _keep_best(self) -> None:
        """Write the weights, then the checkpoint that names them: at no moment does one lack the other."""
        if self.fabric.is_global_zero:
            step = self.state.step
            write_tensors(self.run.best(step), self.stepper.weights().state_dict(), {"step": str(step)})
            self.save()
            self.run.keep_best(step)

    def _count_unreadable(self, data: Step) -> None:
        known = self.state.unreadable
        for failures in gather(self.fabric, data.failures):
            for failure in failures:
                if failure.id not in known:
                    known[failure.id] = failure.reason
                    self._say(f"left out: {failure.reason}")
        if len(known) > self._allowed:
            error = MienError(
                f"{len(known)} clips could not be read, more than the share data.max_unreadable="
                f"{self.recipe.data.max_unreadable:g} allows; the first: {next(iter(known.values()))}"
            )
            raise said_once(self.fabric, error)

    def _say(self, line: str) -> None:
        if self._progress and self.fabric.is_global_zero:
            self._progress.say(line)
