"""IPCC approach 2: Monte Carlo with errors that are shared, of a two-year inventory and of provinces.

Factors are one number for all provinces and years, so their error does not average out: the relative error of the
nation is as large as that of one province. Two rows may share a factor, and factors of different fuels may err together
(one laboratory, one method). Random numbers are counter-based (Philox), one stream a block of draws: the same draws,
bit for bit, on any number of workers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numba
import numpy as np

from obsnet.errors import RangeError, SchemaError
from obsnet.inventory.uncertainty.meaning import relative_sd
from obsnet.typing import Floats
from obsnet.work.kept import map_ordered
from obsnet.work.work import Work

__all__ = ["ProvinceDraws", "TwoYearDraws", "province_covariance", "province_draws", "two_year_draws"]

Shape = Literal["normal", "lognormal"]
_BLOCK = 1000
_ENOUGH_NUMBERS = (
    500_000_000  # random ones, that are drawn in about as long as several starts of workers take
)


@dataclass(frozen=True, eq=False)
class TwoYearDraws:
    """Central 95 % intervals of a two-year inventory by Monte Carlo.

    Parameters
    ----------
    total : tuple of float
        2.5 and 97.5 % quantiles of the current total, in the unit of the table.
    trend : tuple of float
        The same of the trend, %.
    mean, trend_mean : float
        Means of the draws.
    sd : float
        Of the current total.
    categories : ndarray, shape (categories, 2)
        Quantiles of each category in the current year.
    draws : int
        How many.
    """

    total: tuple[float, float]
    trend: tuple[float, float]
    mean: float
    trend_mean: float
    sd: float
    categories: Floats
    draws: int


def _errors(rng: np.random.Generator, sd: Floats, shape: Shape, n: int, root: Floats | None = None) -> Floats:
    """Return multipliers of mean 1, shape (n, len(sd)); the first errors are mixed by a root of their correlation."""
    z = rng.standard_normal((n, sd.size))
    if root is not None:
        z[:, : len(root)] = z[:, : len(root)] @ root.T
    if shape == "normal":
        return np.asarray(1.0 + sd * z)
    sigma = np.sqrt(np.log1p(sd**2))
    return np.asarray(np.exp(sigma * z - 0.5 * sigma**2))


def two_year_draws(
    table: Any,
    *,
    draws: int = 100_000,
    seed: int = 0,
    shape: Shape = "normal",
    work: Work | None = None,
) -> TwoYearDraws:
    """Draw activities and factors of a two-year inventory.

    Parameters
    ----------
    table : pandas.DataFrame
        From `obsnet.inventory.uncertainty.approach1.read_two_years`: percent, half-widths of 95 %. Rows of one
        ``factor_group`` share one error of their factors.
    draws : int
        How many.
    seed : int
        Of the random numbers.
    shape : {"normal", "lognormal"}
        Of every error; lognormal where uncertainties are large and emissions cannot be negative.
    work : Work, optional
        Where blocks of draws are made; by default in processes where there are many.

    Notes
    -----
    ``E = base x (1 + a) x (1 + f)`` with f the same in both years where factors are correlated, a where activities are.
    """
    if draws < 100:
        raise RangeError(f"{draws} draws are too few for a quantile of 2.5 %")
    c, d = table["base"].to_numpy(float), table["current"].to_numpy(float)
    a, f = (
        np.array([relative_sd(x / 100.0, "95% half-width") for x in table[n]])
        for n in ("activity_uncertainty", "factor_uncertainty")
    )
    same_f, same_a = (table[n].to_numpy(bool) for n in ("factor_correlated", "activity_correlated"))
    groups = [str(g) for g in table["factor_group"]] if "factor_group" in table else [""] * len(table)
    leader = np.array([groups.index(g) if g else k for k, g in enumerate(groups)])
    one = partial(_two_years, (c, d, a, f, same_f, same_a, leader), draws, seed, shape)
    blocks = map_ordered(
        one,
        range(-(-draws // (10 * _BLOCK))),
        work,
        what="blocks of draws",
        enough=4 * draws * c.size >= _ENOUGH_NUMBERS,
    )
    base_total, total, parts = (np.concatenate(x) for x in zip(*blocks, strict=True))
    trend = 100.0 * (total / base_total - 1.0)

    def ends(values: Floats) -> tuple[float, float]:
        low, high = np.quantile(values, [0.025, 0.975])
        return float(low), float(high)

    quantiles = np.quantile(parts, [0.025, 0.975], axis=0).T.astype(np.float64)
    return TwoYearDraws(
        ends(total),
        ends(trend),
        float(total.mean()),
        float(trend.mean()),
        float(total.std()),
        quantiles,
        draws,
    )


def _two_years(
    given: tuple[Any, ...], draws: int, seed: int, shape: Shape, k: int
) -> tuple[Floats, Floats, Any]:
    """Return totals of the base and of the current year, and its categories in float32, of the k-th block of draws."""
    c, d, a, f, same_f, same_a, leader = given
    n = min(10 * _BLOCK, draws - 10 * _BLOCK * k)
    rng = np.random.Generator(np.random.Philox(key=[seed, k]))
    alike = None if (leader == np.arange(leader.size)).all() else np.eye(leader.size)[leader]
    f0, f1 = (_errors(rng, f, shape, n, alike) for _ in range(2))
    a0, a1 = (_errors(rng, a, shape, n) for _ in range(2))
    f1, a1 = np.where(same_f, f0, f1), np.where(same_a, a0, a1)
    now = d * a1 * f1
    return (c * a0 * f0).sum(axis=1), now.sum(axis=1), now.astype(np.float32)


@dataclass(frozen=True, eq=False)
class ProvinceDraws:
    """Totals of provinces by Monte Carlo.

    Parameters
    ----------
    totals : ndarray, shape (draws, provinces)
        In the unit of the emissions given.
    covariance : ndarray, shape (provinces, provinces)
        Of the draws.
    """

    totals: Floats
    covariance: Floats

    @property
    def national_sd(self) -> float:
        """Standard deviation of the sum over provinces."""
        return float(math.sqrt(self.covariance.sum()))


def _checked(emission: Floats, activity_sd: Any, factor_sd: Any) -> tuple[Floats, Floats, Floats]:
    e = np.asarray(emission, dtype=np.float64)
    if e.ndim != 2:
        raise SchemaError(f"emissions must be (provinces, fuels), found shape {e.shape}")
    a = np.broadcast_to(np.asarray(activity_sd, dtype=np.float64), e.shape).copy()
    f = np.broadcast_to(np.asarray(factor_sd, dtype=np.float64), e.shape[1:]).copy()
    for name, values in (("activity_sd", a), ("factor_sd", f)):
        if not (np.isfinite(values).all() and (values >= 0).all() and (values <= 3).all()):
            raise RangeError(
                f"{name} must be relative standard deviations between 0 and 3 (shares, not percent)"
            )
    return e, a, f


def _correlation(correlation: Any, n: int) -> Floats:
    """Return the correlation matrix of n factors' errors, from one number for all pairs or from the matrix itself."""
    r = np.asarray(correlation, dtype=np.float64)
    r = np.where(np.eye(n, dtype=bool), 1.0, r) if r.ndim == 0 else r
    if r.shape != (n, n):
        raise SchemaError(f"factor_correlation must be one number or ({n}, {n}), found shape {r.shape}")
    if not (np.isfinite(r).all() and np.allclose(r, r.T) and np.allclose(np.diag(r), 1.0)):
        raise RangeError("factor_correlation must be symmetric with 1 on its diagonal")
    if np.linalg.eigvalsh(r)[0] < -1e-9:
        raise RangeError(
            "factor_correlation is no correlation: its factors cannot all err together like this"
        )
    return r


def province_covariance(
    emission: Floats,
    activity_sd: Any,
    factor_sd: Any,
    *,
    factor_correlation: Any = 0.0,
    national_bias_sd: float = 0.0,
) -> Floats:
    """Return the covariance of provinces' totals under shared factors, exact for independent errors of mean 0.

    Parameters
    ----------
    emission : ndarray, shape (provinces, fuels)
        Best estimates, any unit.
    activity_sd : float or ndarray (provinces, fuels)
        Relative sd of activities, independent.
    factor_sd : float or ndarray (fuels,)
        Relative sd of factors, one error for all provinces.
    factor_correlation : float or ndarray (fuels, fuels)
        Of the factors' errors between fuels.
    national_bias_sd : float
        Relative sd of an error that the activities of all provinces and fuels have in common.

    Returns
    -------
    ndarray, shape (provinces, provinces)
        Unit squared.

    Notes
    -----
    With ``x_pf = E_pf (1 + f_f)(1 + b)(1 + a_pf)``, B = 1 + sd_b2, F = 1 + sd_f2 and the correlation r_fg of factors:
    ``cov(p, q) = sum_fg E_pf E_qg (B - 1) + sum_fg E_pf E_qg B r_fg sd_f sd_g`` and on the diagonal
    ``+ sum_f E_pf2 B F sd_a2``.
    """
    e, a, f = _checked(emission, activity_sd, factor_sd)
    bias = 1.0 + national_bias_sd**2
    total = e.sum(axis=1)
    by_factor = e * f
    shared = (bias - 1.0) * np.outer(total, total)
    shared += bias * by_factor @ _correlation(factor_correlation, f.size) @ by_factor.T
    own = bias * ((e * a) ** 2 * (1.0 + f**2)).sum(axis=1)
    return np.asarray(shared + np.diag(own), dtype=np.float64)


@numba.njit(cache=True, fastmath=True)
def _sum_fuels(emission: Any, factor: Any, activity: Any, out: Any) -> None:
    """Add up emission (provinces, fuels) x factor (draws, fuels) x activity (draws, provinces, fuels) over fuels."""
    draws, provinces, fuels = activity.shape
    for i in range(draws):
        for p in range(provinces):
            total = np.float32(0.0)
            for k in range(fuels):
                total += emission[p, k] * factor[i, k] * activity[i, p, k]
            out[i, p] = total


def province_draws(
    emission: Floats,
    activity_sd: Any,
    factor_sd: Any,
    *,
    factor_correlation: Any = 0.0,
    national_bias_sd: float = 0.0,
    draws: int = 100_000,
    seed: int = 0,
    shape: Shape = "normal",
    work: Work | None = None,
) -> ProvinceDraws:
    """Draw the totals of provinces whose factors are shared.

    Parameters
    ----------
    emission, activity_sd, factor_sd, factor_correlation, national_bias_sd
        See `province_covariance`.
    draws, seed : int
        How many, and of the random numbers; errors of activities are drawn in float32.
    shape : {"normal", "lognormal"}
        Of every error.
    work : Work, optional
        Where blocks of draws are made; by default in processes where there are many.

    Returns
    -------
    ProvinceDraws
    """
    e, a, f = _checked(emission, activity_sd, factor_sd)
    if draws < 100:
        raise RangeError(f"{draws} draws are too few")
    root = _root(_correlation(factor_correlation, f.size), f, shape) if np.any(factor_correlation) else None
    one = partial(_provinces, (e, a, f, national_bias_sd, root), draws, seed, shape)
    blocks = map_ordered(
        one,
        range(-(-draws // _BLOCK)),
        work,
        what="blocks of draws",
        enough=draws * e.size >= _ENOUGH_NUMBERS,
    )
    totals = np.concatenate(blocks).astype(np.float64)
    return ProvinceDraws(totals, np.atleast_2d(np.cov(totals, rowvar=False)))


def _root(correlation: Floats, sd: Floats, shape: Shape) -> Floats:
    """Return a root of the correlation of the normal numbers behind errors that shall have this correlation."""
    inner = correlation
    if shape == "lognormal":  # of exp(s z): cov = exp(s s' r) - 1 is to be r' sd sd'
        sigma = np.sqrt(np.log1p(sd**2))
        product = np.outer(sigma, sigma)
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = np.log1p(correlation * np.outer(sd, sd)) / product
        inner = np.where(product > 0.0, inner, correlation)
    values, vectors = np.linalg.eigh(inner)
    if values[0] < -1e-9:
        raise RangeError(
            "lognormal errors of these sizes cannot have this factor_correlation; try normal ones"
        )
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _provinces(given: tuple[Any, ...], draws: int, seed: int, shape: Shape, k: int) -> Any:
    """Return totals of the k-th block of draws, float32 (draws, provinces)."""
    e, a, f, national_bias_sd, root = given
    provinces, fuels = e.shape
    spread = (a if shape == "normal" else np.sqrt(np.log1p(a**2))).astype(np.float32)
    n = min(_BLOCK, draws - _BLOCK * k)
    out = np.empty((n, provinces), dtype=np.float32)
    rng = np.random.Generator(np.random.Philox(key=[seed, k]))
    common = _errors(rng, np.append(f, national_bias_sd), shape, n, root)
    shared = (common[:, :-1] * common[:, -1:]).astype(np.float32)
    noise = rng.standard_normal((n, provinces, fuels), dtype=np.float32)
    noise *= spread
    if shape == "normal":
        noise += 1.0
    else:
        noise -= 0.5 * spread**2
        np.exp(noise, out=noise)
    _sum_fuels(e.astype(np.float32), shared, noise, out)
    return out
