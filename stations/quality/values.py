"""Rules on the values: against limits, each other, a curve or a baseline, and on what is said of each value."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from obsnet.config import Options
from obsnet.constants import SPECIES
from obsnet.errors import ObsnetError
from obsnet.schema import Quality
from obsnet.times import decimal_year
from stations.quality.rows import Found, PerSpecies, RuleRows, SkipRule

__all__ = [
    "AgageOptions",
    "HampelOptions",
    "OutlierOptions",
    "PairOptions",
    "RangeOptions",
    "RebsOptions",
    "RowUncertaintyOptions",
    "SpikeOptions",
    "StepOptions",
    "StuckOptions",
    "WithinHourOptions",
    "agage_rule",
    "hampel_rule",
    "outlier_rule",
    "pair_rule",
    "range_rule",
    "rebs_rule",
    "spike_rule",
    "step_rule",
    "stuck_rule",
    "uncertainty_rule",
    "within_hour_rule",
]


class RangeOptions(Options):
    """``range``: outside physical or local limits; by default those of `obsnet.constants`."""

    minimum: PerSpecies | None = None
    maximum: PerSpecies | None = None


def range_rule(rows: RuleRows, o: RangeOptions) -> list[Found]:
    """Find values outside limits."""
    entry = SPECIES.get(rows.species)
    if entry is None and (o.minimum is None or o.maximum is None):
        raise SkipRule(f"knows no physical range of {rows.species}")
    physical = entry.point_range if entry is not None else (-np.inf, np.inf)
    low = physical[0] if o.minimum is None else rows.number(o.minimum)
    high = physical[1] if o.maximum is None else rows.number(o.maximum)
    with np.errstate(invalid="ignore"):
        return [Found("outside limits", Quality.RANGE, (rows.value < low) | (rows.value > high))]


class PairOptions(Options):
    """``pair``: members of a flask pair, of one time and intake, differ by more than `limit`."""

    limit: PerSpecies


def pair_rule(rows: RuleRows, o: PairOptions) -> list[Found]:
    """Find the members of pairs that disagree."""
    from stations.quality.spikes import pair_spread

    limit = rows.number(o.limit)
    height = np.nan_to_num(rows.variable("intake_height_m"), nan=-1.0)
    judged = rows.judged
    _, pair = np.unique(np.stack([rows.hours[judged], height[judged]]), axis=1, return_inverse=True)
    flag = rows.compressed(lambda _hours, value: pair_spread(pair.ravel(), value, limit))
    return [Found("pair disagrees", Quality.PAIR, flag)]


class OutlierOptions(Options):
    """``outlier``: far from the smooth curve, iteratively; pairs are judged by their mean."""

    above: float = Field(3.0, gt=0)
    below: float = Field(3.0, gt=0)
    interval_days: float | None = Field(7.0, gt=0)
    harmonics: int = Field(4, ge=0)
    polynomial_terms: int = Field(3, ge=1)
    passes: int = Field(50, ge=1)


def outlier_rule(rows: RuleRows, o: OutlierOptions) -> list[Found]:
    """Find what is far from the smooth curve."""
    from stations.curve.fit import in_notes
    from stations.curve.options import CurveOptions
    from stations.curve.outliers import reject_outliers

    judged = np.flatnonzero(rows.judged)
    times, member = np.unique(rows.record["time"].values[judged], return_inverse=True)
    count = np.bincount(member)
    mean = np.bincount(member, rows.value[judged]) / np.maximum(count, 1)
    options = CurveOptions(
        interval_days=o.interval_days, harmonics=o.harmonics, polynomial_terms=o.polynomial_terms
    )
    try:
        with in_notes():
            found = reject_outliers(
                decimal_year(times), mean, above=o.above, below=o.below, options=options, passes=o.passes
            )
    except ObsnetError as error:
        raise SkipRule(f"found no curve to judge by ({error})") from error
    flag = np.zeros(rows.value.size, dtype=bool)
    flag[judged] = found.flag[member]
    reason = "far from the smooth curve"
    if not found.settled:
        reason += f" (not settled after {found.passes} passes)"
    return [Found(reason, Quality.OUTLIER, flag)]


class HampelOptions(Options):
    """``hampel``: far from the median of a centred window, in scaled median deviations."""

    window_hours: float = Field(gt=0)
    limit: float = Field(gt=0)
    least: PerSpecies = 0.0


def hampel_rule(rows: RuleRows, o: HampelOptions) -> list[Found]:
    """Find what is far from the running median."""
    from stations.quality.spikes import hampel

    least = rows.number(o.least)
    flag = rows.compressed(lambda h, v: hampel(h, v, o.window_hours, o.limit, least))
    return [Found("far from the running median", Quality.OUTLIER, flag)]


class SpikeOptions(Options):
    """``spike``: standard deviation of the background, El Yazidi et al. 2018."""

    alpha: PerSpecies
    window_hours: float = Field(168.0, gt=0)
    gap_hours: float = Field(3.0, gt=0)


def spike_rule(rows: RuleRows, o: SpikeOptions) -> list[Found]:
    """Find local contamination."""
    from stations.quality.spikes import sd_spikes

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


def rebs_rule(rows: RuleRows, o: RebsOptions) -> list[Found]:
    """Find what is above the robust baseline."""
    from stations.quality.rebs import rebs

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


def agage_rule(rows: RuleRows, o: AgageOptions) -> list[Found]:
    """Find what is above the statistical baseline."""
    from stations.quality.agage_baseline import agage_polluted

    midnight = rows.record["time"].values[0].astype("datetime64[D]")
    offset = float((rows.record["time"].values[0] - midnight) / np.timedelta64(1, "h"))
    flag = rows.compressed(
        lambda h, v: agage_polluted(
            (h + offset) / 24.0, v, window_days=o.window_days, limit=o.limit, near_limit=o.near_limit
        )
    )
    return [Found("above the statistical baseline", Quality.SELECTION, flag)]


class StepOptions(Options):
    """``step``: changes faster than `per_hour` between neighbours."""

    per_hour: PerSpecies
    gap_hours: float = Field(3.0, gt=0)


def step_rule(rows: RuleRows, o: StepOptions) -> list[Found]:
    """Find changes that are too fast."""
    from stations.quality.spikes import steps

    limit = rows.number(o.per_hour)
    flag = rows.compressed(lambda h, v: steps(h, v, limit, o.gap_hours))
    return [Found("changes too fast", Quality.VARIABILITY, flag)]


class StuckOptions(Options):
    """``stuck``: the same value `repeats` times in a row."""

    repeats: int = Field(ge=2)
    tolerance: PerSpecies = 0.0
    gap_hours: float = Field(24.0, gt=0)


def stuck_rule(rows: RuleRows, o: StuckOptions) -> list[Found]:
    """Find frozen values."""
    from stations.quality.spikes import stuck

    tolerance = rows.number(o.tolerance)
    flag = rows.compressed(lambda h, v: stuck(h, v, o.repeats, tolerance, o.gap_hours))
    return [Found("value does not change", Quality.STUCK, flag)]


class WithinHourOptions(Options):
    """``within_hour``: too much scatter, or too few measurements, behind a mean."""

    maximum_sd: PerSpecies | None = None
    minimum_n: int = Field(0, ge=0)
    minimum_share: float = Field(
        0.0, ge=0, le=1, description="of the usual number, the median of the calendar month"
    )


def within_hour_rule(rows: RuleRows, o: WithinHourOptions) -> list[Found]:
    """Find means with much scatter or few measurements."""
    found = []
    if o.maximum_sd is not None:
        with np.errstate(invalid="ignore"):
            scattered = rows.variable("sd") >= rows.number(o.maximum_sd)
        found.append(Found("variable within the interval", Quality.VARIABILITY, scattered & rows.judged))
    if o.minimum_n or o.minimum_share:
        n = rows.variable("n")
        least = np.maximum(o.minimum_n, o.minimum_share * _monthly_median(rows, n))
        few = (n >= 0) & (n < least)
        found.append(Found("too few measurements", Quality.VARIABILITY, few & rows.judged))
    return found


def _monthly_median(rows: RuleRows, n: np.ndarray) -> np.ndarray:
    """Return for each row the median count of its calendar month; 0 where nobody counted."""
    months, number = np.unique(rows.record["time"].values.astype("datetime64[M]"), return_inverse=True)
    counted = [n[(number == k) & (n > 0)] for k in range(months.size)]
    return np.array([np.median(c) if c.size else 0.0 for c in counted])[number]


class RowUncertaintyOptions(Options):
    """``uncertainty``: stated uncertainty above `maximum`, or missing where `required`."""

    maximum: PerSpecies | None = None
    required: bool = False


def uncertainty_rule(rows: RuleRows, o: RowUncertaintyOptions) -> list[Found]:
    """Find uncertainties too large or missing."""
    stated = rows.variable("uncertainty")
    found = []
    if o.maximum is not None:
        with np.errstate(invalid="ignore"):
            large = stated > rows.number(o.maximum)
        found.append(Found("uncertainty too large", Quality.UNCERTAINTY, large & rows.judged))
    if o.required:
        found.append(Found("uncertainty missing", Quality.UNCERTAINTY, ~np.isfinite(stated) & rows.judged))
    return found
