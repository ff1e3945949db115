"""Errors of the weather's winds: a random field in time and space that carries particles besides the wind itself.

Each wind component has an error of its own, Gaussian to a good approximation, with the correlation of Lin & Gerbig
(2005, doi:10.1029/2004GL021127)::

    <e(t, r, z) e(t', r', z')> = speed^2 exp(-|t - t'| / T - |r - r'| / L - |z - z'| / H)

A particle that stands still feels an Ornstein-Uhlenbeck process; one that moves forgets it sooner, by what it moves.
All particles of one member feel the same field, near ones nearly the same error, so members differ as weathers differ.
The field is a sum of waves whose frequencies are drawn from the spectrum of that correlation, a Cauchy distribution in
each of time, place and height (Bochner's theorem): the correlation is exact for any number of waves, and a place and
time is enough to know the error. Vertical winds have none, and mass is conserved on average over members only.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import DLAT, DLON, LAT0, LON0, jit
from inversion.transport.kernels.random import key_of
from inversion.transport.particles.settings import WindError
from obsnet.sphere import EARTH_RADIUS
from obsnet.typing import Floats

__all__ = ["NO_WAVES", "WAVES", "draw_waves", "wave_sum", "wind_error_at", "wind_error_waves"]

WAVES = 16  # a component: the fourth moment is 3 - 1.5 / 16 times the variance squared, 3 for a Gaussian
NO_WAVES = np.zeros((0, 7))


def wind_error_waves(error: WindError, seed: int, member: int) -> Floats:
    """Draw one error field.

    Parameters
    ----------
    error : WindError
        Its statistics.
    seed, member : int
        The same for the same two.

    Returns
    -------
    ndarray of float64, shape (2 * WAVES, 7)
        Waves of the eastward, then of the northward component: amplitude (m s-1), frequency (s-1), wave numbers along
        the three axes of the earth-centred frame and along height (m-1), phase.

    Examples
    --------
    >>> wind_error_waves(WindError(speed=2.0, hours=3.0, km=100.0, metres=500.0), seed=0, member=1).shape
    (32, 7)
    """
    return draw_waves(
        f"wind error {member}", seed, 2 * WAVES, error.speed, (error.hours, error.km, error.metres)
    )


def draw_waves(name: str, seed: int, n: int, deviation: float, lengths: tuple[float, float, float]) -> Floats:
    """Draw waves of which every `WAVES` make up a field of a standard deviation and correlation.

    Parameters
    ----------
    name, seed : str, int
        The same for the same two.
    n : int
        How many, all fields together.
    deviation : float
        Of the field.
    lengths : (float, float, float)
        At which its correlation has fallen to 1/e: hours, km, and metres in height; infinite where it never does.
    """
    hours, km, metres = lengths
    draw = np.random.Generator(np.random.Philox(key=key_of(seed, name)))
    # exp(-|x|) is the characteristic function of the Cauchy distribution, in any number of dimensions.
    across = draw.standard_normal((n, 3)) / draw.standard_normal((n, 1))
    return np.column_stack(
        [
            np.full(n, deviation * np.sqrt(2.0 / WAVES)),
            draw.standard_cauchy(n) / (3600.0 * hours),
            across / (1000.0 * km),
            draw.standard_cauchy(n) / metres,
            draw.uniform(0.0, 2.0 * np.pi, n),
        ]
    )


@jit
def wave_sum(
    waves: Floats, first: int, last: int, axes: Floats, t: float, x: float, y: float, z: float
) -> float:
    """Return the sum of some waves at a time and place, see `wind_error_at`."""
    lat = np.deg2rad(axes[LAT0] + axes[DLAT] * y)
    lon = np.deg2rad(axes[LON0] + axes[DLON] * x)
    around = EARTH_RADIUS * np.cos(lat)
    a, b, c = around * np.cos(lon), around * np.sin(lon), EARTH_RADIUS * np.sin(lat)
    total = 0.0
    for k in range(first, last):
        phase = waves[k, 1] * t + waves[k, 2] * a + waves[k, 3] * b + waves[k, 4] * c + waves[k, 5] * z
        total += waves[k, 0] * np.cos(phase + waves[k, 6])
    return total


@jit
def wind_error_at(waves: Floats, axes: Floats, t: float, x: float, y: float, z: float) -> tuple[float, float]:
    """Return the error of the eastward and northward wind (m s-1), 0 without waves.

    Parameters
    ----------
    waves : ndarray of float64, shape (2 n, 7)
        Of `wind_error_waves`.
    axes, t, x, y, z
        As in `inversion.transport.kernels.interpolation.wind_at`.
    """
    n = waves.shape[0] // 2
    if n == 0:
        return 0.0, 0.0
    return wave_sum(waves, 0, n, axes, t, x, y, z), wave_sum(waves, n, 2 * n, axes, t, x, y, z)
