"""The kinds of quality rule: for each its options, and how it turns a record into flagged rows.

A kind is an `Options` model (what a rule table may say) and a function of `Rows` and those options that
returns what it found, by reason. To add a kind, add both to `KINDS`; nothing else has to know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from obsnet.config import Options
from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, MissingVariableError, ObsnetError, nearest
from obsnet.schema import Quality
from obsnet.times import decimal_year, solar_hour

__all__ = ["KINDS", "Found", "Kind", "Rows", "SkipRule", "in_sector", "nearest_times"]

PerSpecies = float | dict[str, float]


class SkipRule(Exception):
    """A rule that has nothing to say of this record; the report tells why."""


@dataclass(frozen=True)
class Rows:
    """A record as a rule sees it.

    Attributes
    ----------
    record : xarray.Dataset
        Layout of `stations.record`, sorted by time.
    value : ndarray, shape (n,)
        NaN in rows the rule is not to judge.
    hours : ndarray, shape (n,)
        Hours since the first time; NaN where there is none.
    others : mapping of str to Dataset
        Further intakes, by the names that rules use.
    """

    record: xr.Dataset
    value: np.ndarray
    hours: np.ndarray
    others: Mapping[str, xr.Dataset]

    @property
    def species(self) -> str:
        """Formula."""
        return str(self.record.attrs["species"])

    @property
    def judged(self) -> np.ndarray:
        """Rows to be judged."""
        return np.isfinite(self.value) & np.isfinite(self.hours)

    def number(self, setting: PerSpecies) -> float:
        """Return a setting that may differ from species to species."""
        if isinstance(setting, Mapping):
            if self.species not in setting:
                raise SkipRule(f"has no number for {self.species}")
            return float(setting[self.species])
        return float(setting)

    def variable(self, name: str) -> np.ndarray:
        """Return a variable along time as float64."""
        if name not in self.record:
            raise MissingVariableError(
                f"{self.record.attrs.get('path', 'record')}: a rule needs {name!r}, which the record has not"
                f"{nearest(name, map(str, self.record.data_vars))}; join meteorology with --met"
            )
        return self.record[name].values.astype(np.float64)

    def compressed(self, kernel: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """Apply a kernel of (hours, value) to the judged rows; the rest is not flagged."""
        flag = np.zeros(self.value.size, dtype=bool)
        rows = self.judged
        if rows.any():
            flag[rows] = kernel(self.hours[rows], self.value[rows])
        return flag


@dataclass(frozen=True)
class Found:
    """Rows flagged for one reason."""

    reason: str
    flag: Quality
    rows: np.ndarray


class RangeOptions(Options):
    """``range``: outside physical or local limits; by default those of `obsnet.constants`."""

    minimum: PerSpecies | None = None
    maximum: PerSpecies | None = None


def _range(rows: Rows, o: RangeOptions) -> list[Found]:
    entry = SPECIES.get(rows.species)
    if entry is None and (o.minimum is None or o.maximum is None):
        raise SkipRule(f"knows no physical range of {rows.species}")
    physical = entry.point_range if entry is not None else (-np.inf, np.inf)
    low = physical[0] if o.minimum is None else rows.number(o.minimum)
    high = physical[1] if o.maximum is None else rows.number(o.maximum)
    with np.errstate(invalid="ignore"):
        return [Found("outside limits", Quality.RANGE, (rows.value < low) | (rows.value > high))]


class PairOptions(Options):
    """``pair``: members of a flask pair differ by more than `limit`."""

    limit: PerSpecies


def _pair(rows: Rows, o: PairOptions) -> list[Found]:
    from stations.spikes import pair_spread

    limit = rows.number(o.limit)
    return [Found("pair disagrees", Quality.PAIR, rows.compressed(lambda h, v: pair_spread(h, v, limit)))]


class OutlierOptions(Options):
    """``outlier``: far from the smooth curve, iteratively; pairs are judged by their mean."""

    above: float = Field(3.0, gt=0)
    below: float = Field(3.0, gt=0)
    interval_days: float | None = Field(7.0, gt=0)
    harmonics: int = Field(4, ge=0)
    polynomial_terms: int = Field(3, ge=1)
    passes: int = Field(50, ge=1)


def _outlier(rows: Rows, o: OutlierOptions) -> list[Found]:
    from stations.curve_fit import CurveOptions
    from stations.outliers import reject_outliers

    judged = np.flatnonzero(rows.judged)
    times, member = np.unique(rows.record["time"].values[judged], return_inverse=True)
    count = np.bincount(member)
    mean = np.bincount(member, rows.value[judged]) / np.maximum(count, 1)
    options = CurveOptions(
        interval_days=o.interval_days, harmonics=o.harmonics, polynomial_terms=o.polynomial_terms
    )
    try:
        found = reject_outliers(
            decimal_year(times), mean, above=o.above, below=o.below, options=options, passes=o.passes
        )
    except ObsnetError as error:
        raise SkipRule(f"found no curve to judge by ({error})") from error
    flag = np.zeros(rows.value.size, dtype=bool)
    flag[judged] = found.flag[member]
    return [Found("far from the smooth curve", Quality.OUTLIER, flag)]


class HampelOptions(Options):
    """``hampel``: far from the median of a centred window, in scaled median deviations."""

    window_hours: float = Field(gt=0)
    limit: float = Field(gt=0)
    least: PerSpecies = 0.0


def _hampel(rows: Rows, o: HampelOptions) -> list[Found]:
    from stations.spikes import hampel

    least = rows.number(o.least)
    flag = rows.compressed(lambda h, v: hampel(h, v, o.window_hours, o.limit, least))
    return [Found("far from the running median", Quality.OUTLIER, flag)]


class SpikeOptions(Options):
    """``spike``: standard deviation of the background, El Yazidi et al. 2018."""

    alpha: PerSpecies
    window_hours: float = Field(168.0, gt=0)
    gap_hours: float = Field(3.0, gt=0)


def _spike(rows: Rows, o: SpikeOptions) -> list[Found]:
    from stations.spikes import sd_spikes

    alpha = rows.number(o.alpha)
    flag = rows.compressed(
        lambda h, v: sd_spikes(h, v, alpha=alpha, window_hours=o.window_hours, gap_hours=o.gap_hours)
    )
    return [Found("spike", Quality.SPIKE, flag)]


class RebsOptions(Options):
    """``rebs``: more than `sigmas` above the robust baseline."""

    window_days: float = Field(60.0, gt=0)
    b: float = Field(3.5, gt=0)
    sigmas: float = Field(3.0, gt=0)
    rounds: tuple[int, int] = (5, 5)


def _rebs(rows: Rows, o: RebsOptions) -> list[Found]:
    from stations.rebs import rebs

    judged = rows.judged
    flag = np.zeros(rows.value.size, dtype=bool)
    if judged.sum() < 20:
        raise SkipRule(f"needs at least 20 values, found {int(judged.sum())}")
    hours, value = rows.hours[judged], rows.value[judged]
    points = int(
        np.clip(round(o.window_days * 24.0 * judged.sum() / max(np.ptp(hours), 1.0)), 15, judged.sum())
    )
    found = rebs(hours, value, points, rounds=o.rounds, b=o.b)
    flag[judged] = value > found.fit + o.sigmas * found.sigma_below
    return [Found("above the robust baseline", Quality.SELECTION, flag)]


class AgageOptions(Options):
    """``agage``: above the statistical baseline of AGAGE."""

    window_days: float = Field(121.0, gt=3)
    limit: float = Field(3.0, gt=0)
    near_limit: float = Field(2.0, gt=0)


def _agage(rows: Rows, o: AgageOptions) -> list[Found]:
    from stations.agage_baseline import agage_polluted

    midnight = rows.record["time"].values[0].astype("datetime64[D]")
    offset = float((rows.record["time"].values[0] - midnight) / np.timedelta64(1, "h"))
    flag = rows.compressed(
        lambda h, v: agage_polluted(
            (h + offset) / 24.0, v, window_days=o.window_days, limit=o.limit, near_limit=o.near_limit
        )
    )
    return [Found("above the statistical baseline", Quality.SELECTION, flag)]


class WithinHourOptions(Options):
    """``within_hour``: too much scatter, or too few measurements, behind a mean."""

    maximum_sd: PerSpecies | None = None
    minimum_n: int = Field(0, ge=0)


def _within_hour(rows: Rows, o: WithinHourOptions) -> list[Found]:
    found = []
    if o.maximum_sd is not None:
        with np.errstate(invalid="ignore"):
            scattered = rows.variable("sd") >= rows.number(o.maximum_sd)
        found.append(Found("variable within the interval", Quality.VARIABILITY, scattered & rows.judged))
    if o.minimum_n:
        n = rows.variable("n")
        found.append(
            Found("too few measurements", Quality.VARIABILITY, (n >= 0) & (n < o.minimum_n) & rows.judged)
        )
    return found


class StepOptions(Options):
    """``step``: changes faster than `per_hour` between neighbours."""

    per_hour: PerSpecies
    gap_hours: float = Field(3.0, gt=0)


def _step(rows: Rows, o: StepOptions) -> list[Found]:
    from stations.spikes import steps

    limit = rows.number(o.per_hour)
    flag = rows.compressed(lambda h, v: steps(h, v, limit, o.gap_hours))
    return [Found("changes too fast", Quality.VARIABILITY, flag)]


class MountainOptions(Options):
    """``mountain_hours``: NOAA's rules for background hours at a mountain observatory."""

    maximum_sd: float = Field(0.30, gt=0)
    maximum_step: float = Field(0.25, gt=0)
    upslope: tuple[float, float] | None = None
    clock: Literal["utc", "solar"] = "utc"
    company_hours: int = Field(8, ge=1)
    company: int = Field(2, ge=1)
    run: int = Field(3, ge=1)


def _mountain(rows: Rows, o: MountainOptions) -> list[Found]:
    from stations.hourly_selection import REASONS, mountain_hours

    judged = np.flatnonzero(rows.judged)
    start = rows.record["time_start"].values[judged]
    hour = start.astype("datetime64[h]").astype(np.int64)
    if o.clock == "solar":
        hour = hour + int(np.round(np.nanmedian(rows.variable("longitude")) / 15.0))
    if (np.diff(hour) <= 0).any():
        raise SkipRule("needs hourly data, one value an hour")
    letters = np.full(rows.value.size, ".")
    settings = o.model_dump(exclude={"clock"})
    letters[judged] = mountain_hours(hour, rows.value[judged], rows.variable("sd")[judged], **settings)
    bits = {"V": Quality.VARIABILITY, "D": Quality.VARIABILITY, "U": Quality.HOURS}
    return [Found(text, bits.get(k, Quality.SELECTION), letters == k) for k, text in REASONS.items()]


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


def _wind(rows: Rows, o: WindOptions) -> list[Found]:
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


def _gradient(rows: Rows, o: GradientOptions) -> list[Found]:
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


def nearest_times(times: np.ndarray, among: np.ndarray, minutes: float) -> np.ndarray:
    """Return the index of the nearest of `among` (ascending) for each time, -1 beyond `minutes`."""
    if among.size == 0:
        return np.full(times.size, -1)
    right = np.clip(np.searchsorted(among, times), 0, among.size - 1)
    left = np.maximum(right - 1, 0)
    place = np.where(np.abs(times - among[left]) <= np.abs(among[right] - times), left, right)
    far = np.abs(times - among[place]) > np.timedelta64(round(minutes * 60), "s")
    return np.where(far | np.isnat(times), -1, place)


class StuckOptions(Options):
    """``stuck``: the same value `repeats` times in a row."""

    repeats: int = Field(ge=2)
    tolerance: PerSpecies = 0.0
    gap_hours: float = Field(24.0, gt=0)


def _stuck(rows: Rows, o: StuckOptions) -> list[Found]:
    from stations.spikes import stuck

    tolerance = rows.number(o.tolerance)
    flag = rows.compressed(lambda h, v: stuck(h, v, o.repeats, tolerance, o.gap_hours))
    return [Found("value does not change", Quality.STUCK, flag)]


class HoursOptions(Options):
    """``hours``: outside the hours of day from `first` to `last`, in mean solar time or with a UTC offset."""

    first: float = Field(ge=0, lt=24)
    last: float = Field(gt=0, le=24)
    clock: Literal["solar", "utc"] | float = "solar"


def _hours(rows: Rows, o: HoursOptions) -> list[Found]:
    time = rows.record["time"].values
    if o.clock == "solar":
        of_day = solar_hour(time, rows.variable("longitude"))
    else:
        of_day = solar_hour(time, 0.0 if o.clock == "utc" else float(o.clock) * 15.0)
    with np.errstate(invalid="ignore"):
        after, before = of_day >= o.first, of_day < o.last
    inside = after & before if o.first < o.last else after | before
    return [Found("outside the hours", Quality.HOURS, ~inside & rows.judged)]


class UncertaintyOptions(Options):
    """``uncertainty``: stated uncertainty above `maximum`, or missing where `required`."""

    maximum: PerSpecies | None = None
    required: bool = False


def _uncertainty(rows: Rows, o: UncertaintyOptions) -> list[Found]:
    stated = rows.variable("uncertainty")
    found = []
    if o.maximum is not None:
        with np.errstate(invalid="ignore"):
            large = stated > rows.number(o.maximum)
        found.append(Found("uncertainty too large", Quality.UNCERTAINTY, large & rows.judged))
    if o.required:
        found.append(Found("uncertainty missing", Quality.UNCERTAINTY, ~np.isfinite(stated) & rows.judged))
    return found


class PeriodOptions(Options):
    """``period``: what the station's log book says: rows from `start` up to `stop` are not good."""

    start: str
    stop: str
    reason: str


def _period(rows: Rows, o: PeriodOptions) -> list[Found]:
    from obsnet.times import as_utc

    start, stop = as_utc(o.start), as_utc(o.stop)
    if not start < stop:
        raise ConfigError(f"a period rule needs start before stop, found {o.start} and {o.stop}")
    time = rows.record["time"].values
    return [Found(o.reason, Quality.PRODUCER, (time >= start) & (time < stop) & rows.judged)]


@dataclass(frozen=True)
class Kind:
    """A kind of rule: its options and its function."""

    options: type[Options]
    find: Callable[[Rows, Any], list[Found]]


KINDS: dict[str, Kind] = {
    "range": Kind(RangeOptions, _range),
    "pair": Kind(PairOptions, _pair),
    "outlier": Kind(OutlierOptions, _outlier),
    "hampel": Kind(HampelOptions, _hampel),
    "spike": Kind(SpikeOptions, _spike),
    "rebs": Kind(RebsOptions, _rebs),
    "agage": Kind(AgageOptions, _agage),
    "within_hour": Kind(WithinHourOptions, _within_hour),
    "step": Kind(StepOptions, _step),
    "mountain_hours": Kind(MountainOptions, _mountain),
    "wind": Kind(WindOptions, _wind),
    "gradient": Kind(GradientOptions, _gradient),
    "stuck": Kind(StuckOptions, _stuck),
    "hours": Kind(HoursOptions, _hours),
    "uncertainty": Kind(UncertaintyOptions, _uncertainty),
    "period": Kind(PeriodOptions, _period),
}
