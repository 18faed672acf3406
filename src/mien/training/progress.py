"""What a person sees while it trains: loss, clips per second, and the share of time spent waiting for data."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm


@dataclass
class Meter:
    """Sums since the last time they were looked at."""

    loss: float = 0.0
    clips: float = 0.0
    waited: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)
    begun: float = field(default_factory=time.perf_counter)

    def add(self, loss: float, clips: float, waited: float, extra: dict[str, float]) -> None:
        """One step: mean loss over ``clips`` clips, seconds waited for them, further means over the same clips."""
        self.loss += loss * clips
        self.clips += clips
        self.waited += waited
        for name, value in extra.items():
            self.extra[name] = self.extra.get(name, 0.0) + value * clips

    def read(self) -> dict[str, float]:
        """Means and rates: ``loss``, further means, ``clips_per_second``, ``waiting`` (share of time, 0..1)."""
        seconds = max(time.perf_counter() - self.begun, 1e-9)
        count = max(self.clips, 1.0)
        return {
            "loss": self.loss / count,
            **{name: value / count for name, value in self.extra.items()},
            "clips_per_second": self.clips / seconds,
            "waiting": min(self.waited / seconds, 1.0),
        }


class Progress:
    """A progress bar on a terminal and lines about epochs; lines alone elsewhere; nothing where ``shown`` is False."""

    def __init__(self, total: int, done: int, title: str, shown: bool) -> None:
        self._shown = shown
        hidden = not shown or not sys.stderr.isatty()
        self._bar: Any = tqdm(total=total, initial=done, desc=title, unit="step", disable=hidden, dynamic_ncols=True)

    def step(self) -> None:
        """One more step is done."""
        self._bar.update(1)

    def show(self, values: dict[str, float]) -> None:
        """Means and rates of ``Meter.read`` beside the bar."""
        self._bar.set_postfix_str(describe(values))

    def say(self, line: str) -> None:
        """A line above the bar, where there is one."""
        if self._shown:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


def describe(values: dict[str, float]) -> str:
    """Means and rates of ``Meter.read`` in words."""
    return f"loss {values['loss']:.4g}, {values['clips_per_second']:.1f} clips/s, data wait {values['waiting']:.0%}"
