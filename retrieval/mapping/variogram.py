"""The product-sum model of a field's covariance in space and time.

Distances are great circles in km, lags in time are days; measurement errors are no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.typing import Floats

__all__ = ["ProductSum", "local_variance"]


@dataclass(frozen=True)
class ProductSum:
    """The product-sum model with exponential margins.

    ``gamma(h, t) = g_s + g_t - k g_s g_t + nugget``, with ``g_s = sill_space (1 - exp(-h / range_km))`` and
    ``g_t`` likewise; 0 at (0, 0).

    Parameters
    ----------
    sill_space, sill_time : float
        Sills of the margins, unit of the values squared.
    range_km, range_days : float
        Lengths of the exponentials (a third of the practical range).
    k : float
        Interaction; valid from 0 to 1 / max(sill_space, sill_time).
    nugget : float
        Variance of the field below the smallest distance; measurement error is not in it.
    at_bounds : tuple of str
        Parameters that a fit left at a bound: the data do not tell them.
    evenness : float
        For how many columns' worth the variances are believed to be the same everywhere, see `local_variance`.

    Raises
    ------
    RangeError
        Parameters for which the model is no covariance.

    Notes
    -----
    De Iaco, Myers and Posa (2001), doi:10.1016/S0167-7152(00)00200-5. As a covariance
    ``C = (1 - k sill_time) C_s + (1 - k sill_space) C_t + k C_s C_t``. Exponentials of the great-circle
    distance are valid on the sphere (Gneiting 2013, doi:10.3150/12-BEJSP06).
    """

    sill_space: float
    range_km: float
    sill_time: float
    range_days: float
    k: float
    nugget: float = 0.0
    at_bounds: tuple[str, ...] = ()
    evenness: float = np.inf

    def __post_init__(self) -> None:
        for name in ("range_km", "range_days"):
            if not getattr(self, name) > 0.0:
                raise RangeError(f"{name} must be positive, found {getattr(self, name)}")
        for name in ("sill_space", "sill_time", "k", "nugget"):
            if not getattr(self, name) >= 0.0:
                raise RangeError(f"{name} must not be negative, found {getattr(self, name)}")
        largest = max(self.sill_space, self.sill_time)
        if self.k * largest > 1.0 + 1e-9:
            raise RangeError(f"k = {self.k:g} exceeds 1 / {largest:g}: the model is no covariance")

    @property
    def sill(self) -> float:
        """Variance of the field without the nugget."""
        return self.sill_space + self.sill_time - self.k * self.sill_space * self.sill_time

    @property
    def km_a_day(self) -> float:
        """What a day counts as where distances in space and time are compared, km."""
        return self.range_km / self.range_days

    @property
    def parameters(self) -> Floats:
        """The numbers as kernels take them: weights of C_s, C_t and their product, both lengths, nugget.

        The margins are scaled to one here: ``C = p0 e_s + p1 e_t + p2 e_s e_t``.
        """
        a, b, k = self.sill_space, self.sill_time, self.k
        return np.array(
            [a * (1 - k * b), b * (1 - k * a), k * a * b, self.range_km, self.range_days, self.nugget]
        )

    def covariance(self, distance_km: npt.ArrayLike, days: npt.ArrayLike) -> Floats:
        """Return the covariance of the field at a separation, without the nugget."""
        p = self.parameters
        es = np.exp(-np.asarray(distance_km, np.float64) / p[3])
        et = np.exp(-np.abs(np.asarray(days, np.float64)) / p[4])
        return np.asarray(p[0] * es + p[1] * et + p[2] * es * et)

    def gamma(self, distance_km: npt.ArrayLike, days: npt.ArrayLike) -> Floats:
        """Return the semivariance at a separation that is not zero."""
        return np.asarray(self.sill + self.nugget - self.covariance(distance_km, days))


def local_variance(square: npt.ArrayLike, n: npt.ArrayLike, evenness: float) -> Floats:
    """Return how many times the variances near a place are those of the whole.

    Fields vary more over sources, mountains and coasts than elsewhere, and so do retrievals.

    Parameters
    ----------
    square : array_like
        Sum of squares of the columns near a place about their own mean, in units of the model's covariance.
    n : array_like
        How many they are.
    evenness : float
        How many columns' worth the model's own variance is believed; infinite where it is the same everywhere.

    Returns
    -------
    ndarray of float64
        ``(evenness + square) / (evenness + n - 1)``, the mean of a scaled inverse chi-square (Gelman et al. 2013,
        Bayesian Data Analysis, sec. 2.6), but for 2 in the denominator; its mean over places is 1.
    """
    total = np.asarray(square, np.float64)
    if not np.isfinite(evenness):
        return np.ones_like(total)
    return np.asarray((evenness + total) / (evenness + np.asarray(n, np.float64) - 1.0))
