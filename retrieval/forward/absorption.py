r"""Cross sections of lines: strength and width at a temperature and pressure, Voigt profile, sums over lines.

``S(T) = S_0 Q(296)/Q(T) exp(-c2 E (1/T - 1/296)) (1 - exp(-c2 nu/T)) / (1 - exp(-c2 nu/296))`` and
``gamma = p (gamma_air (1 - x) + gamma_self x) (296/T)^n`` (Gordon et al. 2022, doi:10.1016/j.jqsrt.2021.107949; x the
gas's own mole fraction, p in atm), centre ``nu + shift p``. The profile is Re w(z) of the Faddeeva function: near the
centre from scipy, beyond \|z\| = 12 from the continued fraction of Laplace to five terms and beyond 30 from the
asymptotic series, which agree with it to 1e-10. With coefficients of first-order line mixing (`LineMixing`) it is
``Re w(z) + p Y Im w(z)``. Speed dependence and collision-induced absorption are **not** in it.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import wofz

from obsnet.errors import FormatError, RangeError
from obsnet.typing import Floats
from retrieval.forward.hitran import LineList
from retrieval.forward.mixing import LineMixing

__all__ = ["SECOND_RADIATION", "cross_section", "partition_ratio"]

SECOND_RADIATION = 1.438776877  # cm K, h c / k; CODATA 2018
REFERENCE = 296.0  # K, of HITRAN
ATMOSPHERE = 1013.25  # hPa
# sqrt(2 ln 2 R / (1e-3 kg mol-1)) / c: half width at half maximum of the Doppler profile by nu sqrt(T / M); CODATA 2018
DOPPLER = np.sqrt(2.0 * np.log(2.0) * 8.314462618 * 1000.0) / 299792458.0
FAR, SERIES = 12.0, 30.0
# Wavenumber (cm-1) and degeneracy of the vibrations; Shimanouchi (1972), NSRDS-NBS 39; O2: Huber and Herzberg (1979).
_VIBRATIONS = {
    "CO2": ((1388.0, 1), (667.0, 2), (2349.0, 1)),
    "H2O": ((1595.0, 1), (3657.0, 1), (3756.0, 1)),
    "CH4": ((2917.0, 1), (1534.0, 2), (3019.0, 3), (1306.0, 3)),
    "O2": ((1556.0, 1),),
}
_ROTATION = {"CO2": 1.0, "O2": 1.0, "H2O": 1.5, "CH4": 1.5}


def partition_ratio(molecule: str, temperature: npt.ArrayLike) -> Floats:
    """Return ``Q(T) / Q(296 K)``: classical rotation times harmonic vibrations.

    Parameters
    ----------
    molecule : str
        Formula; the same for all isotopologues.
    temperature : array_like
        K, 150 to 350.

    Returns
    -------
    ndarray

    Raises
    ------
    RangeError
        Temperatures outside the range.

    Notes
    -----
    ``Q = T^r prod (1 - exp(-c2 w / T))^-d`` with r = 1 for linear molecules and 3/2 for others. Against the sums of
    TIPS (by hitran-api 1.3) at 200 to 330 K: CO2 within 2e-4, O2 within 1.5e-3, CH4 within 2.1e-3, H2O within
    5.1e-3.
    """
    t = np.asarray(temperature, dtype=np.float64)
    if not ((t >= 150.0) & (t <= 350.0)).all():
        raise RangeError(f"temperature must lie within 150 and 350 K, found {t.min():g} to {t.max():g}")
    if molecule not in _VIBRATIONS:
        raise FormatError(f"no vibrations of {molecule!r} are known")

    def q(at: Floats | float) -> Floats:
        value = np.asarray(at, dtype=np.float64) ** _ROTATION[molecule]
        for wavenumber, degeneracy in _VIBRATIONS[molecule]:
            value = value * (1.0 - np.exp(-SECOND_RADIATION * wavenumber / at)) ** -degeneracy
        return np.asarray(value)

    return np.asarray(q(t) / q(REFERENCE))


def cross_section(
    lines: LineList,
    wavenumber: npt.ArrayLike,
    pressure: float,
    temperature: float,
    *,
    fraction: float = 0.0,
    wing: float = 25.0,
    mixing: LineMixing | None = None,
) -> Floats:
    """Return the absorption cross section of a gas.

    Parameters
    ----------
    lines : LineList
        Of the range and `wing` to either side.
    wavenumber : array_like, shape (points,)
        cm-1, increasing.
    pressure : float
        hPa.
    temperature : float
        K.
    fraction : float
        Mole fraction of the gas itself, for self broadening.
    wing : float
        cm-1 from the centre to where a line is cut. Mixing falls off as 1 / distance only: what a cut takes away does
        not cancel over a band that is wider than the wing.
    mixing : LineMixing, optional
        Coefficients of first-order line mixing.

    Returns
    -------
    ndarray of float64, shape (points,)
        cm2 molecule-1.

    Raises
    ------
    RangeError
        Wavenumbers that do not increase, temperature or pressure outside their range.
    """
    nu = np.ascontiguousarray(wavenumber, dtype=np.float64)
    if not (np.diff(nu) > 0.0).all():
        raise RangeError("wavenumbers must increase; reverse a grid in wavelength order")
    if not (0.0 < pressure <= 1100.0):
        raise RangeError(f"pressure must lie within 0 and 1100 hPa, found {pressure:g}")
    p = pressure / ATMOSPHERE
    centre = lines.wavenumber + lines.shift * p
    lorentz = p * (lines.air_width * (1.0 - fraction) + lines.self_width * fraction)
    lorentz = lorentz * (REFERENCE / temperature) ** lines.exponent
    doppler = DOPPLER * lines.wavenumber * np.sqrt(temperature / lines.molar_mass)
    strength = _strength(lines, temperature)
    mix = np.zeros(len(centre)) if mixing is None else p * mixing.at(lines, temperature)
    out = np.zeros(len(nu))
    _far_wings(nu, centre, lorentz, doppler, strength, mix, wing, out)
    _centres(nu, centre, lorentz, doppler, strength, mix, wing, out)
    return out


def _strength(lines: LineList, temperature: float) -> Floats:
    e, nu = lines.lower_energy, lines.wavenumber
    boltzmann = np.exp(-SECOND_RADIATION * e * (1.0 / temperature - 1.0 / REFERENCE))
    emission = np.expm1(-SECOND_RADIATION * nu / temperature) / np.expm1(-SECOND_RADIATION * nu / REFERENCE)
    return np.asarray(lines.strength * boltzmann * emission / partition_ratio(lines.molecule, temperature))


@numba.njit(cache=True)
def _far_wings(
    nu: Floats,
    centre: Floats,
    lorentz: Floats,
    doppler: Floats,
    strength: Floats,
    mix: Floats,
    wing: float,
    out: Floats,
) -> None:
    root = np.sqrt(np.log(2.0))
    for k in range(len(centre)):
        scale = root / doppler[k]
        y = lorentz[k] * scale
        peak = strength[k] * scale / np.sqrt(np.pi)
        first = np.searchsorted(nu, centre[k] - wing)
        for i in range(first, len(nu)):
            offset = nu[i] - centre[k]
            if offset > wing:
                break
            x = offset * scale
            square = x * x + y * y
            if square < FAR * FAR:
                continue
            if (
                square > SERIES * SERIES
            ):  # of u = 1 / z: w = i u (1 + u2 / 2 + 3 u2^2 / 4 + 15 u2^3 / 8) / sqrt(pi)
                over = 1.0 / (square * square)
                real, imaginary = (x * x - y * y) * over, -2.0 * x * y * over
                a = 0.75 + 1.875 * real
                b = 1.875 * imaginary
                a, b = 0.5 + a * real - b * imaginary, a * imaginary + b * real
                a, b = 1.0 + a * real - b * imaginary, a * imaginary + b * real
                out[i] += peak / np.sqrt(np.pi) * (y * a - x * b + mix[k] * (x * a + y * b)) / square
                continue
            z = complex(x, y)
            w = z - 2.5 / z
            w = z - 2.0 / w
            w = z - 1.5 / w
            w = z - 1.0 / w
            w = z - 0.5 / w
            w = 1j / (np.sqrt(np.pi) * w)
            out[i] += peak * (w.real + mix[k] * w.imag)


def _centres(
    nu: Floats,
    centre: Floats,
    lorentz: Floats,
    doppler: Floats,
    strength: Floats,
    mix: Floats,
    wing: float,
    out: Floats,
) -> None:
    """Add the middles of the lines, those nearer than FAR in units of the Doppler width."""
    scale = np.sqrt(np.log(2.0)) / doppler
    y = lorentz * scale
    reach = np.sqrt(np.maximum(FAR**2 - y**2, 0.0)) / scale
    first = np.searchsorted(nu, centre - np.minimum(reach, wing))
    last = np.searchsorted(nu, centre + np.minimum(reach, wing), side="right")
    count = np.where(y < FAR, np.maximum(last - first, 0), 0)
    line = np.repeat(np.arange(len(centre)), count)
    if not len(line):
        return
    point = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count) + first[line]
    x = (nu[point] - centre[line]) * scale[line]
    inside = x * x + y[line] ** 2 < FAR**2
    line, point, x = line[inside], point[inside], x[inside]
    w = wofz(x + 1j * y[line])
    profile = w.real + mix[line] * w.imag
    np.add.at(out, point, strength[line] * scale[line] / np.sqrt(np.pi) * profile)
