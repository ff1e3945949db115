r"""One thin layer that scatters, above a ground that reflects: sunlight with its detours, and the analytic Jacobian.

All aerosol and cloud of a sounding is put into one layer without thickness, as the FOCAL retrieval does (Reuter et al.
2017, doi:10.3390/rs9111159); the formulas here are own ones, made to conserve energy and to be reciprocal. The layer
scatters alike in all directions and absorbs nothing; the ground is Lambertian. With t the layer's optical depth, m_0
and m the secants of Sun and view, ``s(m) = (1 - exp(-t m)) / 2`` what of a beam is turned up (and as much down),
``r = (1 - sum w exp(-t / mu)) / 2`` the same of diffuse light, T the transmittances of gas: T_a of Sun and view above
the layer, T_0 and T_1 of each below it, ``T_d = sum w exp(-tau_b / mu)`` of diffuse light between layer and ground,

``I = T_a [ C P U / (1 - A T_d^2 r) + W s(m_0) s(m) / r ]``, ``P = exp(-t m_0) T_0 + s(m_0) T_d``, ``U = exp(-t m) T_1
+ s(m) T_d``,

A the albedo, W the radiance of a white ground without air and C = A W. mu and w are Gauss points of ``2 mu dmu``, six
for the layer and three for gas. Light that the layer turns up is seen as it is from a layer of isotropic sources,
``1 - exp(-t m)``: with that, of a white ground under no gas all light comes back, whatever t is, and Sun and view can
be exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np
from scipy.special import roots_jacobi

from obsnet.errors import ConfigError, RangeError, nearest
from obsnet.typing import Floats
from retrieval.forward.instrument import look
from retrieval.forward.model import ClearSky, SpectralBand, changed

__all__ = ["ScatteringLayer", "ScatteringSky", "scattered"]

ELEMENTS = ("scattering_height", "scattering_depth", "scattering_exponent")
LOWEST, HIGHEST = -0.1, 3.0  # optical depths that a state may have on its way


def _gauss(count: int) -> tuple[Floats, Floats]:
    node, share = roots_jacobi(count, 0, 1)
    return 0.5 * (node + 1.0), share / share.sum()


COSINE, SHARE = _gauss(6)  # the layer's single scattering is 2.1 % too strong by them
_FEW = _gauss(3)
ABOVE, ABOVE_UP, BELOW_DOWN, BELOW_UP, DIFFUSE, DEPTH, CONTINUUM, GLOW = range(8)


@dataclass(frozen=True)
class ScatteringLayer:
    """The layer of the first guess, and what is fitted of it.

    Parameters
    ----------
    height : float
        Pressure at the layer by that at the ground, above 0 and up to 1; so it goes with the surface pressure.
    depth : float
        Optical depth at `reference`; 0 is no layer. It is that of an isotropic scatterer: aerosol that scatters
        forwards has several times as much.
    exponent : float
        Angstrom exponent: the depth goes with ``(wavenumber / reference)^exponent``.
    irradiance : mapping of str to float
        Of the Sun outside the atmosphere at normal incidence, by band, in the unit of the radiance times sr: with it
        the continuum is an albedo.
    fitted : tuple of str
        Which of ``height``, ``depth``, ``exponent`` are in the state.
    reference : float
        cm-1.
    """

    height: float
    depth: float
    exponent: float
    irradiance: Mapping[str, float]
    fitted: tuple[str, ...] = ("height", "depth", "exponent")
    reference: float = 1e7 / 760.0

    def __post_init__(self) -> None:
        if not 0.0 < self.height <= 1.0:
            raise RangeError(
                f"the layer's height is its pressure by that at the ground, above 0 and up to 1, found {self.height:g}"
            )
        if not 0.0 <= self.depth <= HIGHEST:
            raise RangeError(f"optical depth must lie within 0 and {HIGHEST:g}, found {self.depth:g}")
        for name in self.fitted:
            if f"scattering_{name}" not in ELEMENTS:
                names = [e.removeprefix("scattering_") for e in ELEMENTS]
                raise ConfigError(f"fitted: no {name!r} of a layer{nearest(name, names)}")
        for name, value in self.irradiance.items():
            if not value > 0.0:
                raise RangeError(f"irradiance of band {name} must be positive, found {value:g}")


@dataclass(frozen=True)
class ScatteringSky(ClearSky):
    """The forward model of one sounding of reflected light with a thin scattering layer; see `ClearSky`.

    State: as that of `ClearSky`, with ``scattering_height``, ``scattering_depth`` and ``scattering_exponent`` behind
    the temperature offset. Continuum means the radiance of the ground without air: albedo times cosine times irradiance
    by pi. A depth that noise takes below zero is followed to -0.1, because a state that may not go there is biased
    upwards; outside of that, of 0 to 3, and with a height outside the layers of air, the model gives NaN, a step too
    far for the solver.

    Parameters
    ----------
    layer : ScatteringLayer
        Required.
    """

    layer: ScatteringLayer | None = None
    clear_sky_only: ClassVar[bool] = False
    _scattering: ClassVar[str] = (
        "scattering by air; aerosol and clouds but for one thin isotropic layer that absorbs nothing; polarisation"
    )

    def __post_init__(self) -> None:
        if self.layer is None:
            raise ConfigError(
                "a scattering sky needs layer=ScatteringLayer(…); ClearSky is the model without"
            )
        if self.view is None:
            raise ConfigError("a scattering layer is seen in reflected light: give view=…")
        bands = [b.name for b in self.bands]
        lacking = [n for n in bands if n not in self.layer.irradiance]
        if lacking:
            raise ConfigError(
                f"irradiance of {', '.join(lacking)} is missing; given are {', '.join(self.layer.irradiance)}"
            )
        super().__post_init__()
        top = self.layers.pressure_edges[-1] / self.layers.pressure_edges[0]
        if self.layer.height <= top:
            raise RangeError(
                f"the layer at {self.layer.height:g} of the surface pressure lies above the air, which ends at {top:g}"
            )

    @property
    def _layer(self) -> ScatteringLayer:
        assert self.layer is not None  # refused when made
        return self.layer

    @property
    def names(self) -> list[str]:
        """Names of the state elements in order."""
        names = super().names
        at = len(names) - sum(len(b.elements) for b in self.bands)
        return [*names[:at], *(e for e in ELEMENTS if e.split("_")[1] in self._layer.fitted), *names[at:]]

    @property
    def first_guess(self) -> Floats:
        """As that of `ClearSky`, and the layer's."""
        guess = super().first_guess
        for i, name in enumerate(self.names):
            if name in ELEMENTS:
                guess[i] = getattr(self._layer, name.removeprefix("scattering_"))
        return guess

    def of_layer(self, x: Floats) -> tuple[float, float, float]:
        """Return height, optical depth and exponent at a state."""
        at = dict(zip(self.names, x, strict=True))
        height, depth, exponent = (
            float(at.get(e, getattr(self._layer, e.removeprefix("scattering_")))) for e in ELEMENTS
        )
        return height, depth, exponent

    def _band(
        self, number: int, band: SpectralBand, x: Floats, place: dict[str, int]
    ) -> tuple[Floats, Floats]:
        m, n = len(band.channel), len(place)
        height, depth, exponent = self.of_layer(x)
        edges = self.layers.pressure_edges / self.layers.pressure_edges[0]
        bad = np.full(m, np.nan), np.full((m, n), np.nan)
        if not (edges[-1] < height <= 1.0 and LOWEST <= depth <= HIGHEST and abs(exponent) <= 10.0):
            return bad
        both, up = self._path[number]
        thick = -np.diff(edges)
        below = np.clip((edges[:-1] - height) / thick, 0.0, 1.0)  # share of each layer of air
        inside = (edges[1:] < height) & (height <= edges[:-1])
        path = np.stack([both * (1 - below), up * (1 - below), (both - up) * below, up * below, below])
        moved = np.stack([both, up, up - both, -up, -np.ones(len(up))]) * inside / thick  # by height
        try:
            tau, changes = self._depths(band, x, place, np.concatenate([path, moved]))
        except RangeError:
            return bad
        ratio = band.grid / self._layer.reference
        aerosol = depth * ratio**exponent
        powers = band.powers(band.grid)
        ground = powers @ x[[place[f"continuum_{k}_{band.name}"] for k in range(band.continuum + 1)]]
        secants = 1.0 / np.cos(np.deg2rad(np.array([self.sun, self.view], dtype=np.float64)))
        white = self._layer.irradiance[band.name] / (np.pi * secants[0])
        glow = x[place[f"fluorescence_{band.name}"]] if band.fluorescence else 0.0
        light, by = scattered(tau, aerosol, ground, white, secants, self._solar[number], glow)
        if not np.isfinite(light).all():
            return bad
        spectra = {
            name: changed([(weight[:DEPTH], along) for weight, along in parts], by[:DEPTH])
            for name, parts in changes.items()
        }
        spectra["scattering_height"] = (by[:DEPTH] * tau[DEPTH:]).sum(axis=0)
        spectra["scattering_depth"] = by[DEPTH] * ratio**exponent
        spectra["scattering_exponent"] = by[DEPTH] * aerosol * np.log(ratio)
        spectra |= {f"continuum_{k}_{band.name}": by[CONTINUUM] * p for k, p in enumerate(powers.T)}
        spectra[f"fluorescence_{band.name}"] = by[GLOW]
        spectra = {name: values for name, values in spectra.items() if name in place}
        seen, slope = look(
            band.shape, band.grid, np.stack([light, *spectra.values()]), self._centre(band, x, place)
        )
        jacobian = np.zeros((m, n))
        for name, change in zip(spectra, seen[1:], strict=True):
            jacobian[:, place[name]] = change
        for name, distance in band.moves.items():
            jacobian[:, place[name]] = slope * distance
        y = seen[0]
        if band.offset:
            y = y + x[place[f"offset_{band.name}"]]
            jacobian[:, place[f"offset_{band.name}"]] = 1.0
        return y, jacobian


def scattered(
    tau: Floats,
    depth: Floats,
    ground: Floats,
    white: float,
    secants: Floats,
    solar: Floats,
    glow: float = 0.0,
) -> tuple[Floats, Floats]:
    """Return the radiance and its derivatives.

    Parameters
    ----------
    tau : ndarray, shape (5 or more, points)
        Optical depths of gas: above the layer down and up, above it up, below it down, below it up, below it straight
        up; more rows have no say.
    depth : ndarray, shape (points,)
        Of the layer.
    ground : ndarray, shape (points,)
        C.
    white : float
        W.
    secants : ndarray, shape (2,)
        m_0 and m.
    solar : ndarray, shape (points,)
        Transmittance of the Sun's atmosphere.
    glow : float
        Fluorescence of the ground.

    Returns
    -------
    light : ndarray, shape (points,)
        NaN where the ground would send back more than it gets in the end.
    by : ndarray, shape (8, points)
        Derivatives by the five depths of gas, that of the layer, `ground` and `glow`.
    """
    slant, part = 1.0 / COSINE, SHARE
    return _scattered(
        tau, depth, ground, white, secants[0], secants[1], solar, glow, slant, part, 1.0 / _FEW[0], _FEW[1]
    )


@numba.njit(cache=True)
def _scattered(
    tau: Floats,
    depth: Floats,
    ground: Floats,
    white: float,
    sun: float,
    view: float,
    solar: Floats,
    glow: float,
    slant: Floats,
    part: Floats,
    secant: Floats,
    share: Floats,
) -> tuple[Floats, Floats]:
    points = len(depth)
    light, by = np.empty(points), np.empty((8, points))
    for i in range(points):
        t = depth[i]
        beam_0, beam_1 = np.exp(-t * sun), np.exp(-t * view)
        turned_0, turned_1 = -0.5 * np.expm1(-t * sun), -0.5 * np.expm1(-t * view)
        slope_0, slope_1 = 0.5 * sun * beam_0, 0.5 * view * beam_1
        back, back_slope, diffuse, diffuse_slope = 0.0, 0.0, 0.0, 0.0
        for k in range(len(part)):
            lost = np.expm1(-t * slant[k])
            back -= 0.5 * part[k] * lost
            back_slope += 0.5 * part[k] * slant[k] * (1.0 + lost)
        for k in range(len(share)):
            through = share[k] * np.exp(-tau[DIFFUSE, i] * secant[k])
            diffuse += through
            diffuse_slope -= secant[k] * through
        if t == 0.0:
            single = 0.0
            single_slope = slope_0 * slope_1 / back_slope
        else:
            single = turned_0 * turned_1 / back
            single_slope = (slope_0 * turned_1 + turned_0 * slope_1 - single * back_slope) / back
        direct_0, direct_1 = beam_0 * np.exp(-tau[BELOW_DOWN, i]), beam_1 * np.exp(-tau[BELOW_UP, i])
        down, up = direct_0 + turned_0 * diffuse, direct_1 + turned_1 * diffuse
        albedo = ground[i] / white
        rest = 1.0 - albedo * diffuse * diffuse * back
        if rest <= 0.0:
            light[:] = np.nan
            return light, by
        often = 1.0 / rest
        sunlight = solar[i] * np.exp(-tau[ABOVE, i])
        glows = glow * np.exp(-tau[ABOVE_UP, i])
        # light = sunlight (ground down up often + white single) + glows up often
        seen = sunlight * (ground[i] * down * up * often + white * single)
        glowing = glows * up * often
        by_up = sunlight * ground[i] * down * often + glows * often
        by_down = sunlight * ground[i] * up * often
        by_often = sunlight * ground[i] * down * up + glows * up
        turn = by_often * often * often * albedo  # by diffuse^2 back
        light[i] = seen + glowing
        by[ABOVE, i] = -seen
        by[ABOVE_UP, i] = -glowing
        by[BELOW_DOWN, i] = -by_down * direct_0
        by[BELOW_UP, i] = -by_up * direct_1
        by_diffuse = by_down * turned_0 + by_up * turned_1 + turn * 2.0 * diffuse * back
        by[DIFFUSE, i] = by_diffuse * diffuse_slope
        by[DEPTH, i] = (
            by_down * (slope_0 * diffuse - sun * direct_0)
            + by_up * (slope_1 * diffuse - view * direct_1)
            + turn * diffuse * diffuse * back_slope
            + sunlight * white * single_slope
        )
        by[CONTINUUM, i] = (
            sunlight * down * up * often + by_often * often * often * diffuse * diffuse * back / white
        )
        by[GLOW, i] = np.exp(-tau[ABOVE_UP, i]) * up * often
    return light, by
