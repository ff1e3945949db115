"""Events that a forecast gives a probability: a target met, a peak passed; and warnings with their false alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.typing import Bools, Floats

__all__ = ["CHANGES", "Event", "TargetAlarm", "alarm", "exceeds", "met", "peaked"]

CHANGES = (
    -0.10,
    -0.05,
    0.0,
    0.05,
    0.10,
    0.20,
)  # from the last value, whose probabilities make the reliability diagram
_CASES, _YEARS = 20, 3  # that a rate of false alarms needs


@dataclass(frozen=True)
class Event:
    """Something that happens or not in each path.

    Parameters
    ----------
    name : str
    step : int
        Year in which it is decided, from 1.
    happens : callable
        ``happens(values, past)``: values (steps, ..., regions) and past (years, regions) in Mt to bool (..., regions).
    """

    name: str
    step: int
    happens: Callable[[Floats, Floats], Bools]


def exceeds(step: int, change: float) -> Event:
    """Return the event of more than the last value times ``1 + change``."""
    return Event(
        f"above {change:+.0%}", step, lambda values, past: values[step - 1] > (1.0 + change) * past[-1]
    )


def met(step: int, change: float | Floats) -> Event:
    """Return the event of at most the last value times ``1 + change`` (one number, or one a region)."""
    return Event("target", step, lambda values, past: values[step - 1] <= (1.0 + change) * past[-1])


def peaked(step: int, steps: int) -> Event:
    """Return the event that no year after `step`, as far as `steps`, is above all years up to it."""

    def happens(values: Floats, past: Floats) -> Bools:
        before = np.maximum(past.max(axis=0), values[:step].max(axis=0))
        return np.asarray(values[step:steps].max(axis=0) <= before)

    return Event("peak", steps, happens)


@dataclass(frozen=True)
class TargetAlarm:
    """How often a rule warned for nothing in hindcasts.

    Parameters
    ----------
    threshold : float
        It warns where a target is missed with at least this probability.
    met, warned_of_met : int
        Cases in which the target was met, and those of them that were warned of.
    missed, warned_of_missed : int
        The same of targets missed.
    years : int
        Different years among the cases.
    """

    threshold: float
    met: int
    warned_of_met: int
    missed: int
    warned_of_missed: int
    years: int

    @property
    def usable(self) -> bool:
        """Whether the cases are enough for a rate, and the rule tells targets missed from targets met.

        Hits have to exceed false alarms by more than the standard error of their difference, a year being one case.
        """
        hits, alarms = self.hit_rate, self.false_alarm_rate
        enough = self.met >= _CASES and self.missed >= _CASES and self.years >= _YEARS
        return enough and hits - alarms > np.sqrt((hits * (1 - hits) + alarms * (1 - alarms)) / self.years)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the targets met that were warned of."""
        return self.warned_of_met / self.met if self.met else np.nan

    @property
    def false_among_warnings(self) -> float:
        """Share of the warnings that were of targets met."""
        warned = self.warned_of_met + self.warned_of_missed
        return self.warned_of_met / warned if warned else np.nan

    @property
    def hit_rate(self) -> float:
        """Share of the targets missed that were warned of."""
        return self.warned_of_missed / self.missed if self.missed else np.nan


def alarm(events: Any, threshold: float) -> TargetAlarm:
    """Count warnings of an event ``target`` in hindcasts: rows with ``probability`` of meeting it, and ``happened``."""
    known = events[events["happened"].notna()]
    warned = (1.0 - known["probability"]) >= threshold
    good = known["happened"] > 0.5
    return TargetAlarm(
        threshold, int(good.sum()), int((good & warned).sum()), int((~good).sum()), int((~good & warned).sum()),
        int(known["target"].nunique()),
    )  # fmt: skip
