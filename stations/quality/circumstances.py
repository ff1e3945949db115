"""Rules on the circumstances: hour of day, wind, other intakes, the log book, background hours of a mountain."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from obsnet.config import Options
from obsnet.errors import ConfigError, nearest
from obsnet.schema import Quality
from obsnet.times import solar_hour
from stations.quality.rows import Found, PerSpecies, RuleRows, SkipRule
from stations.record.series import nearest_times

__all__ = [
    "GradientOptions",
    "HoursOptions",
    "MountainOptions",
    "PeriodOptions",
    "WindOptions",
    "gradient_rule",
    "hours_rule",
    "in_sector",
    "mountain_rule",
    "period_rule",
    "wind_rule",
]


class MountainOptions(Options):
    """``mountain_hours``: NOAA's rules for background hours at a mountain observatory."""

    maximum_sd: float = Field(0.30, gt=0)
    maximum_step: float = Field(0.25, gt=0)
    upslope: tuple[float, float] | None = None
    clock: Literal["utc", "solar"] = "utc"
    company_hours: int = Field(8, ge=1)
    company: int = Field(2, ge=1)
    run: int = Field(3, ge=1)


def mountain_rule(rows: RuleRows, o: MountainOptions) -> list[Found]:
    """Find hours that are not background at a mountain; one without a scatter within the hour cannot be."""
    from stations.quality.hourly_selection import REASONS, mountain_hours

    sd = rows.variable("sd")
    unknown = rows.judged & ~np.isfinite(sd) & ~rows.flag("sd_zero")
    judged = np.flatnonzero(rows.judged & ~unknown)
    hour = rows.record["time_start"].values.astype("datetime64[h]").astype(np.int64)[judged]
    if (np.diff(hour) <= 0).any():
        raise SkipRule("needs hourly data, one value an hour")
    ahead = int(np.round(np.nanmedian(rows.longitude()) / 15.0)) if o.clock == "solar" else 0
    letters = np.full(rows.value.size, ".")
    settings = o.model_dump(exclude={"clock"})
    letters[judged] = mountain_hours(hour, rows.value[judged], sd[judged], ahead_hours=ahead, **settings)
    bits = {"V": Quality.VARIABILITY, "D": Quality.VARIABILITY, "U": Quality.HOURS}
    found = [Found(text, bits.get(k, Quality.SELECTION), letters == k) for k, text in REASONS.items()]
    return [*found, Found("no scatter within the hour given", Quality.VARIABILITY, unknown)]


class WindOptions(Options):
    """``wind``: wind from `exclude` sectors (or from outside `keep`), or too weak; needs wind variables."""

    exclude: tuple[tuple[float, float], ...] = ()
    keep: tuple[float, float] | None = None
    minimum_speed: float = Field(0.0, ge=0)
    previous: bool = Field(False, description="the row before must pass too")


def in_sector(direction: np.ndarray, first: float, last: float) -> np.ndarray:
    """Tell which directions lie clockwise from `first` to `last`, degrees, both included."""
    width = (last - first) % 360.0
    if width == 0.0 and last != first:
        width = 360.0
    return (direction - first) % 360.0 <= width


def wind_rule(rows: RuleRows, o: WindOptions) -> list[Found]:
    """Find wind from the wrong side, or none."""
    direction = rows.variable("wind_direction")
    sector = np.zeros(rows.value.size, dtype=bool)
    with np.errstate(invalid="ignore"):
        for first, last in o.exclude:
            sector |= in_sector(direction, first, last)
        if o.keep is not None:
            sector |= ~in_sector(direction, *o.keep)
        sector &= np.isfinite(direction)
        weak = np.zeros_like(sector)
        if o.minimum_speed > 0:
            weak = rows.variable("wind_speed") < o.minimum_speed
    if o.previous and rows.value.size > 1:
        apart = np.diff(rows.hours)
        near = apart <= 1.5 * np.nanmedian(apart)  # after a gap there is no row before
        for mask in (sector, weak):
            mask[1:] |= mask[:-1] & near
    judged = rows.judged
    return [
        Found("wind from an excluded sector", Quality.WIND, sector & judged),
        Found("wind too weak", Quality.WIND, weak & judged),
    ]


class GradientOptions(Options):
    """``gradient``: differs from the intake named `partner` by more than `limit` at the same time."""

    partner: str
    limit: PerSpecies
    tolerance_minutes: float = Field(31.0, gt=0)


def gradient_rule(rows: RuleRows, o: GradientOptions) -> list[Found]:
    """Find what another intake does not confirm."""
    if o.partner not in rows.others:
        raise ConfigError(
            f"a gradient rule compares with {o.partner!r}, which was not given"
            f"{nearest(o.partner, rows.others)}; give it with --with {o.partner}=FILE"
        )
    other = rows.others[o.partner]
    if other.attrs.get("species") != rows.species or other.attrs.get("scale") != rows.record.attrs.get(
        "scale"
    ):
        raise ConfigError(
            f"{o.partner} is {other.attrs.get('species')} on {other.attrs.get('scale')!r}, the record "
            f"{rows.species} on {rows.record.attrs.get('scale')!r}: they cannot be compared"
        )
    theirs = np.where(other["quality"].values == 0, other["value"].values, np.nan)
    place = nearest_times(rows.record["time"].values, other["time"].values, o.tolerance_minutes)
    partner = np.where(place >= 0, theirs[np.maximum(place, 0)], np.nan)
    limit = rows.number(o.limit)
    with np.errstate(invalid="ignore"):
        return [Found(f"differs from {o.partner}", Quality.GRADIENT, np.abs(rows.value - partner) > limit)]


class HoursOptions(Options):
    """``hours``: outside the hours of day from `first` to `last`, in mean solar time or with a UTC offset."""

    first: float = Field(ge=0, lt=24)
    last: float = Field(gt=0, le=24)
    clock: Literal["solar", "utc"] | float = "solar"


def hours_rule(rows: RuleRows, o: HoursOptions) -> list[Found]:
    """Find rows outside the hours of day."""
    time = rows.record["time"].values
    if o.clock == "solar":
        of_day = solar_hour(time, rows.longitude())
    else:
        of_day = solar_hour(time, 0.0 if o.clock == "utc" else float(o.clock) * 15.0)
    with np.errstate(invalid="ignore"):
        after, before = of_day >= o.first, of_day < o.last
    inside = after & before if o.first < o.last else after | before
    return [Found("outside the hours", Quality.HOURS, ~inside & np.isfinite(of_day) & rows.judged)]


class PeriodOptions(Options):
    """``period``: what the station's log book says: rows from `start` up to `stop` are not good."""

    start: str
    stop: str
    reason: str


def period_rule(rows: RuleRows, o: PeriodOptions) -> list[Found]:
    """Find rows of a stretch of the log book."""
    from obsnet.times import as_utc

    start, stop = as_utc(o.start), as_utc(o.stop)
    if not start < stop:
        raise ConfigError(f"a period rule needs start before stop, found {o.start} and {o.stop}")
    time = rows.record["time"].values
    return [Found(o.reason, Quality.PRODUCER, (time >= start) & (time < stop) & rows.judged)]
