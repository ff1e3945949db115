"""How well modelled samples agree with measured ones: the scores of the tracer archives."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.typing import Floats

__all__ = ["TracerScores", "cumulative", "in_words", "rank", "scores"]


@dataclass(frozen=True)
class TracerScores:
    """Scores of pairs of which one at least is above the threshold.

    Parameters
    ----------
    pairs, both_zero : int
        How many count, and how many were left out because both are zero.
    measured, modelled : float
        Means.
    correlation : float
        Pearson's R; NaN where one side does not vary.
    fractional_bias : float
        ``2 (modelled - measured) / (modelled + measured)``, -2 to 2; positive where the model is too high.
    figure_of_merit : float
        Pairs with both above the threshold over those with either, %.
    ksp : float
        Largest distance between the two cumulative distributions, %.
    rank : float
        ``R^2 + 1 - |FB| / 2 + FMS / 100 + 1 - KSP / 100``, 0 to 4, as HYSPLIT's verification has it.
    factor_2, factor_5 : float
        Share of the pairs within a factor of 2 and of 5, %; a pair with one zero is not.
    nmse : float
        ``mean((modelled - measured)^2) / (mean measured * mean modelled)``.
    """

    pairs: int
    both_zero: int
    measured: float
    modelled: float
    correlation: float
    fractional_bias: float
    figure_of_merit: float
    ksp: float
    rank: float
    factor_2: float
    factor_5: float
    nmse: float


def scores(measured: npt.ArrayLike, modelled: npt.ArrayLike, threshold: float = 0.0) -> TracerScores:
    """Compare modelled samples with measured ones.

    Parameters
    ----------
    measured, modelled : array_like, shape (n,)
        In one unit, not negative.
    threshold : float
        Values up to it count as zero.

    Returns
    -------
    TracerScores
        Pairs of two zeros are left out, as the archive of tracer experiments does: most samplers never see the plume.

    Raises
    ------
    RangeError
        Negative or missing values, different numbers of them, or no pair above the threshold.

    Examples
    --------
    >>> found = scores([0.0, 1.0, 2.0, 4.0], [0.0, 2.0, 4.0, 8.0])
    >>> found.pairs, round(found.correlation, 6), round(found.fractional_bias, 6), found.factor_2
    (3, 1.0, 0.666667, 100.0)
    """
    o, m = (np.array(v, dtype=np.float64) for v in (measured, modelled))
    if o.shape != m.shape or o.ndim != 1:
        raise RangeError(f"scores need as many modelled as measured samples, found {m.shape} and {o.shape}")
    if not ((o >= 0.0).all() and (m >= 0.0).all()):
        raise RangeError("scores need samples that are neither negative nor missing")
    o, m = np.where(o > threshold, o, 0.0), np.where(m > threshold, m, 0.0)
    either = (o > 0.0) | (m > 0.0)
    left_out = int((~either).sum())
    o, m = o[either], m[either]
    if not o.size:
        raise RangeError(
            f"none of {left_out} samples is above {threshold:g}, measured or modelled: nothing to score"
        )
    varies = o.size > 1 and float(np.ptp(o)) > 0.0 and float(np.ptp(m)) > 0.0
    r = float(np.corrcoef(o, m)[0, 1]) if varies else float("nan")
    mean_o, mean_m = float(o.mean()), float(m.mean())
    bias = 2.0 * (mean_m - mean_o) / (mean_m + mean_o)
    both = (o > 0.0) & (m > 0.0)
    merit = 100.0 * float(both.mean())
    values, below_o, below_m = cumulative(o, m)
    ksp = 100.0 * float(np.abs(below_o - below_m).max()) if values.size else 0.0
    ratio = np.where(both, m / np.where(both, o, 1.0), 0.0)
    # A factor of exactly 2 counts, whatever its last bit.
    within = {
        f: 100.0 * float(((ratio >= (1 - 1e-9) / f) & (ratio <= f * (1 + 1e-9))).mean()) for f in (2.0, 5.0)
    }
    squares = float(np.mean((m - o) ** 2))
    return TracerScores(
        int(o.size),
        left_out,
        mean_o,
        mean_m,
        r,
        bias,
        merit,
        ksp,
        rank(r, bias, merit, ksp),
        within[2.0],
        within[5.0],
        squares / (mean_o * mean_m) if mean_o > 0.0 and mean_m > 0.0 else float("nan"),
    )


def rank(correlation: float, fractional_bias: float, figure_of_merit: float, ksp: float) -> float:
    """Return the rank of `TracerScores` from its four parts; merit and KSP in %."""
    return correlation**2 + 1.0 - 0.5 * abs(fractional_bias) + figure_of_merit / 100.0 + 1.0 - ksp / 100.0


def cumulative(measured: Floats, modelled: Floats) -> tuple[Floats, Floats, Floats]:
    """Return all values in order, and the share of the measured and of the modelled ones up to each."""
    values = np.unique(np.concatenate([measured, modelled]))
    o, m = (np.searchsorted(np.sort(v), values, side="right") / v.size for v in (measured, modelled))
    return values, o, m


def in_words(name: str, found: TracerScores) -> str:
    """Return scores as a line for people."""
    s = asdict(found)
    return (
        f"{name}: R {s['correlation']:.2f}, FB {s['fractional_bias']:+.2f}, FMS {s['figure_of_merit']:.0f} %, "
        f"KSP {s['ksp']:.0f} %, rank {s['rank']:.2f}, factor 2 {s['factor_2']:.0f} %, factor 5 {s['factor_5']:.0f} %; "
        f"{s['pairs']} pairs, {s['both_zero']} of two zeros left out"
    )
