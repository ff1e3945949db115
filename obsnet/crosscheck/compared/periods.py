"""Which periods of an inversion an inventory is held against, and by what profile if they are not the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from obsnet.crosscheck.words import say
from obsnet.errors import ConfigError
from obsnet.inventory.period import Period
from obsnet.language import NOTHING, Words

__all__ = ["Compared", "TimeChoice", "match_periods"]

_SAME = 0.02  # two times that differ by less than this share are one, with a remark
_EXACT = 1e-6


@dataclass(frozen=True)
class TimeChoice:
    """What the user says where an inventory and an inversion are not of the same time.

    Parameters
    ----------
    profile : {"flat", "prior"}, optional
        How the inventory's total is spread in time, where the inversion sees a part of it (or more) only: at the
        same rate all the time, or as the inversion's prior.
    profile_uncertainty : float
        Relative sd of that profile, which joins the inventory's own.
    other_year : bool
        Whether an inventory of another year may be held against the inversion.
    """

    profile: Literal["flat", "prior"] | None = None
    profile_uncertainty: float = 0.0
    other_year: bool = False


@dataclass(frozen=True)
class Compared:
    """What an inventory is held against.

    Parameters
    ----------
    periods : tuple of int
        Indices of the inversion's periods whose sum is tested.
    time : str
        What they cover.
    whole : tuple of int
        Periods that make up the inventory's time, where the profile is the prior's, else those tested.
    profiled : bool
        Whether a temporal profile was used.
    barred : Words
        Why nothing can be tested, else empty.
    remarks : tuple of Words
        What was assumed.
    """

    periods: tuple[int, ...]
    time: str
    whole: tuple[int, ...]
    profiled: bool
    barred: Words
    remarks: tuple[Words, ...]


def match_periods(
    bounds: Sequence[Period], stated: Period, asked: Sequence[int] | None, choice: TimeChoice | None = None
) -> Compared:
    """Choose the periods that an inventory's total is held against.

    Parameters
    ----------
    bounds : sequence of Period
        The inversion's periods, in order.
    stated : Period
        What the inventory's total is of.
    asked : sequence of int, optional
        Periods that the user chose; by default all that lie in the inventory's time.
    choice : TimeChoice, optional

    Raises
    ------
    ConfigError
        The inventory is of another year and that was not allowed, or the prior's profile is not in the file.
    """
    choice = choice or TimeChoice()
    remarks: list[Words] = []
    time = stated
    candidates = range(len(bounds)) if asked is None else asked
    covered = Period(min(bounds[i].start for i in candidates), max(bounds[i].stop for i in candidates))
    if not any(_overlap(bounds[i], time) for i in candidates):
        if not choice.other_year:
            raise ConfigError(
                f"the inventory is of {stated}, the inversion of {covered}: take the inventory of that time, or allow "
                "another year's with --other-year"
            )
        time = _nearest_year(stated, covered)
        remarks.append(say("other year", stated=str(stated), compared=str(covered)))
    inside = tuple(i for i in range(len(bounds)) if 2.0 * _overlap(bounds[i], time) > bounds[i].length)
    if asked is None:
        # a period longer than the inventory's time has no half inside it
        periods = inside or tuple(i for i in range(len(bounds)) if _overlap(bounds[i], time))
    else:
        periods = tuple(sorted(set(asked)))
    covers = _named(bounds, periods)
    barred, whole, profiled = NOTHING, periods, False
    if _differ(bounds, periods, time) > _SAME:
        doubt = choice.profile_uncertainty
        spoken = {
            "compared": covers,
            "stated": stated,
            "doubt": f" (± {doubt:.0%})" if doubt else ", taken as exact",
            "doubt_zh": f"（± {doubt:.0%}）" if doubt else "，视为准确",
        }
        if choice.profile is None:
            barred = say("not comparable", **spoken)
        else:
            profiled = True
            remarks.append(say(f"profile {choice.profile}", **spoken))
        if choice.profile == "prior":
            whole = inside
            if _differ(bounds, whole, time) > _SAME:
                raise ConfigError(
                    f"the inversion's prior is known for {covered} only, not for the inventory's {stated}: "
                    "--profile prior needs all of it; --profile flat does not"
                )
    elif _differ(bounds, periods, time) > _EXACT:
        remarks.append(say("nearly the period", compared=covers, stated=time))
    return Compared(periods, covers, whole, profiled, barred, tuple(remarks))


def _overlap(one: Period, other: Period) -> float:
    """Return the seconds that two periods share."""
    start, stop = max(one.start, other.start), min(one.stop, other.stop)
    return max(float((stop - start) / np.timedelta64(1, "s")), 0.0)


def _differ(bounds: Sequence[Period], periods: Sequence[int], time: Period) -> float:
    """Return the time that is in one and not in the other, as a share of the inventory's."""
    shared = sum(_overlap(bounds[i], time) for i in periods)
    length = sum(bounds[i].length for i in periods)
    return (length - shared + time.length - shared) / time.length


def _nearest_year(stated: Period, covered: Period) -> Period:
    """Move a period by whole years to where it meets the inversion most."""
    years = int((covered.start.astype("datetime64[Y]") - stated.start.astype("datetime64[Y]")).astype(int))
    return max((stated.shifted(years + k) for k in (0, -1, 1)), key=lambda p: _overlap(p, covered))


def _named(bounds: Sequence[Period], periods: Sequence[int]) -> str:
    """Return the stretches of time that some periods cover."""
    runs: list[Period] = []
    for i in periods:
        if runs and runs[-1].stop == bounds[i].start:
            runs[-1] = replace(runs[-1], stop=bounds[i].stop)
        else:
            runs.append(bounds[i])
    return ", ".join(map(str, runs))
