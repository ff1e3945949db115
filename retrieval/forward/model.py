r"""Sunlight through a sky without scattering, direct or by way of the ground: spectra and their analytic Jacobian.

With ``tau(nu) = sum_l m_l sum_g s_g N_gl sigma_g(nu; p_l, T_l)``, m the light's path through layer l by its thickness,
N the column of gas g and s its scale, the radiance of one band is

``I = C(nu) [S exp(-tau)] * f (nu (1 + shift) + (nu - nu_m) stretch) + z + F [exp(-tau_up)] * f``

nu_m the middle of the window, C the continuum (a polynomial: for reflected light albedo times mu_0 F_0 / pi), S the
Sun's own lines, f the line shape, z an offset, F fluorescence at the ground. What is **not** in it: scattering by air,
aerosol and clouds, which changes the light path; speed dependence and collision-induced absorption; polarisation. Line
mixing is where the tables have it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from obsnet.errors import ConfigError, RangeError, SchemaError
from obsnet.typing import Floats, Ints
from retrieval.forward.atmosphere import Layers, slant_factors
from retrieval.forward.instrument import LineShape, look
from retrieval.forward.sun import SolarLines, solar_transmittance
from retrieval.forward.tables import CrossSections, Nodes

__all__ = ["ClearSky", "SpectralBand", "changed"]

Changes = list[tuple[Floats, Nodes]]
"""Weights (paths, nodes) and the nodes of a table, whose sums are to be added."""


@dataclass(frozen=True)
class SpectralBand:
    """One spectral window and what is fitted of it alone.

    Parameters
    ----------
    name : str
        Ends the names of its state elements.
    channel : ndarray, shape (channels,)
        cm-1, increasing.
    shape : LineShape
        Of the instrument.
    tables : tuple of CrossSections
        One a gas, all on one wavenumber grid, which reaches beyond the channels by the line shape.
    continuum : int
        Degree of the polynomial of the continuum, in the distance from the middle by half the width of the window.
    shift, stretch, offset, fluorescence : bool
        Whether these are fitted: a shift of the wavenumbers relative to themselves, one relative to their distance
        from the middle of the window, light that is added to the channels or at the ground.
    solar : SolarLines, optional
        Lines of the Sun.
    doppler : float
        Relative shift of the Sun's lines, positive towards the Sun.
    """

    name: str
    channel: Floats
    shape: LineShape
    tables: tuple[CrossSections, ...]
    continuum: int = 2
    shift: bool = True
    stretch: bool = False
    offset: bool = False
    fluorescence: bool = False
    solar: SolarLines | None = None
    doppler: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.channel) or not (np.diff(self.channel) > 0.0).all():
            raise RangeError(
                f"band {self.name}: channels must increase in wavenumber; reverse those in wavelength order"
            )
        grid = self.tables[0].wavenumber if self.tables else np.zeros(0)
        if not self.tables or any(not np.array_equal(t.wavenumber, grid) for t in self.tables):
            raise SchemaError(f"band {self.name}: the tables of all gases need one wavenumber grid")
        if len({t.molecule for t in self.tables}) != len(self.tables):
            raise SchemaError(f"band {self.name}: a gas has two tables")

    @property
    def grid(self) -> Floats:
        """Wavenumbers of the tables, cm-1."""
        return self.tables[0].wavenumber

    @property
    def middle(self) -> float:
        """Middle of the window, cm-1."""
        return float(0.5 * (self.channel[0] + self.channel[-1]))

    @property
    def moves(self) -> dict[str, Floats]:
        """How far (cm-1) the fitted elements of the wavenumber scale move each channel, by one unit of theirs."""
        distance = {"shift": self.channel, "stretch": self.channel - self.middle}
        return {f"{name}_{self.name}": d for name, d in distance.items() if getattr(self, name)}

    def powers(self, wavenumber: Floats) -> Floats:
        """Return the powers (points, degree + 1) that the continuum is a polynomial of."""
        distance = (wavenumber - self.middle) / max(0.5 * np.ptp(self.channel), 1e-30)
        return np.asarray(distance[:, None] ** np.arange(self.continuum + 1))

    @property
    def elements(self) -> list[str]:
        """Names of the band's own state elements."""
        names = [f"continuum_{k}" for k in range(self.continuum + 1)]
        names += [n for n in ("shift", "stretch", "offset", "fluorescence") if getattr(self, n)]
        return [f"{n}_{self.name}" for n in names]


@dataclass(frozen=True)
class ClearSky:
    """The forward model of one sounding; call it with a state, or hand `forward` to `retrieval.estimate`.

    State: the scale of each gas's prior profile (or of each layer of one gas), surface pressure (hPa),
    temperature offset (K), then each band's elements. All pressures go with that of the surface, and so do the
    columns of air; the light path stays as it is.

    Parameters
    ----------
    layers : Layers
        Air, surface first.
    gases : dict of str to ndarray, shape (layers,)
        Prior mole fraction by dry air of each gas of the tables.
    bands : tuple of SpectralBand
        Windows.
    sun : float
        Zenith angle of the Sun, degrees.
    view : float, optional
        Zenith angle of a satellite at the ground: light is reflected. Without it the Sun is looked into.
    profile : str, optional
        Gas whose layers are scaled one by one.
    surface_pressure, temperature : bool
        Whether these are fitted.
    apparent : bool
        See `slant_factors`.
    """

    layers: Layers
    gases: dict[str, Floats]
    bands: tuple[SpectralBand, ...]
    sun: float
    view: float | None = None
    profile: str | None = None
    surface_pressure: bool = False
    temperature: bool = False
    apparent: bool = False
    clear_sky_only: ClassVar[bool] = True
    _scattering: ClassVar[str] = "scattering by air, aerosol and clouds"
    _path: list[tuple[Floats, Floats]] = field(default_factory=list, init=False, repr=False)
    _solar: list[Floats] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        n = len(self.layers.pressure)
        used = {t.molecule for band in self.bands for t in band.tables}
        if set(self.gases) != used:
            raise SchemaError(f"gases are {sorted(self.gases)}, the tables of the bands hold {sorted(used)}")
        for gas, values in self.gases.items():
            if np.shape(values) != (n,):
                raise SchemaError(f"{gas} needs {n} layer means, found shape {np.shape(values)}")
        if self.profile is not None and self.profile not in self.gases:
            raise ConfigError(f"profile={self.profile!r} is none of {sorted(self.gases)}")
        if len({b.name for b in self.bands}) != len(self.bands):
            raise SchemaError("bands need different names")
        if self.view is None and any(b.fluorescence for b in self.bands):
            raise ConfigError("fluorescence of the ground is not seen by who looks into the Sun")
        for band in self.bands:
            middle = float(np.mean(band.channel))
            down = slant_factors(self.layers, self.sun, middle, apparent=self.apparent)
            up = (
                np.zeros(n)
                if self.view is None
                else slant_factors(self.layers, self.view, middle, apparent=True)
            )
            self._path.append((down + up, up))
            grid = band.grid
            self._solar.append(
                np.ones(len(grid))
                if band.solar is None
                else solar_transmittance(band.solar, grid, doppler=band.doppler)
            )

    @property
    def not_modelled(self) -> str:
        """What is not in it, as results tell it."""
        mixed = all(t.mixing for band in self.bands for t in band.tables)
        missing = [self._scattering, *(["line mixing"] * (not mixed)), "speed dependence"]
        return "; ".join([*missing, "collision-induced absorption"])

    @property
    def line_mixing(self) -> str:
        """Where the coefficients of line mixing in the tables are from."""
        return "; ".join(
            f"{t.molecule} ({band.name}): {t.mixing or 'none'}" for band in self.bands for t in band.tables
        )

    @property
    def names(self) -> list[str]:
        """Names of the state elements in order."""
        names: list[str] = []
        for gas in self.gases:
            layers = range(len(self.layers.pressure))
            names += [f"{gas}_layer_{i}" for i in layers] if gas == self.profile else [f"{gas}_scale"]
        names += ["surface_pressure"] * self.surface_pressure + ["temperature_offset"] * self.temperature
        return names + [n for band in self.bands for n in band.elements]

    @property
    def first_guess(self) -> Floats:
        """Scales of 1, the surface pressure of the layers, no offset or shift, a continuum of 1."""
        guess = {"surface_pressure": self.layers.pressure_edges[0]}
        return np.array(
            [
                guess.get(n, 1.0 if "_scale" in n or "_layer_" in n or n.startswith("continuum_0") else 0.0)
                for n in self.names
            ]
        )

    def elements(self, gas: str) -> Ints:
        """Return the places of a gas in the state."""
        return np.flatnonzero([n == f"{gas}_scale" or n.startswith(f"{gas}_layer_") for n in self.names])

    def forward(self, state: Floats, which: Ints) -> tuple[Floats, Floats]:
        """Model the same sounding at several states; a `retrieval.estimation.estimate.ForwardModel`."""
        del which
        pairs = [self(row) for row in state]
        return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])

    def __call__(self, state: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return the spectrum (channels,) of all bands one after the other, and its Jacobian (channels, n).

        A state that the tables cannot follow (temperature or pressure outside them) gives NaN, which the solver takes
        for a step too far.
        """
        x = np.asarray(state, dtype=np.float64)
        names = self.names
        if x.shape != (len(names),):
            raise SchemaError(
                f"the state has {len(names)} elements ({', '.join(names[:8])} …), found {x.shape}"
            )
        place = {name: i for i, name in enumerate(names)}
        spectra, jacobians = [], []
        for number, band in enumerate(self.bands):
            y, k = self._band(number, band, x, place)
            spectra.append(y)
            jacobians.append(k)
        return np.concatenate(spectra), np.concatenate(jacobians)

    def _band(
        self, number: int, band: SpectralBand, x: Floats, place: dict[str, int]
    ) -> tuple[Floats, Floats]:
        m, n = len(band.channel), len(place)
        try:
            depth, changes = self._depths(band, x, place, self._path[number][0][None])
        except RangeError:
            return np.full(m, np.nan), np.full((m, n), np.nan)
        light = self._solar[number] * np.exp(-depth[0])
        spectra = {name: changed(parts, -light[None]) for name, parts in changes.items()}
        centre = self._centre(band, x, place)
        seen, slope = look(band.shape, band.grid, np.stack([light, *spectra.values()]), centre)
        powers = band.powers(band.channel)
        coefficients = [place[f"continuum_{k}_{band.name}"] for k in range(band.continuum + 1)]
        continuum = powers @ x[coefficients]
        y = continuum * seen[0]
        jacobian = np.zeros((m, n))
        jacobian[:, coefficients] = powers * seen[0][:, None]
        for name, change in zip(spectra, seen[1:], strict=True):
            jacobian[:, place[name]] = continuum * change
        for name, distance in band.moves.items():
            jacobian[:, place[name]] = continuum * slope * distance
        if band.offset:
            y = y + x[place[f"offset_{band.name}"]]
            jacobian[:, place[f"offset_{band.name}"]] = 1.0
        if band.fluorescence:
            self._add_fluorescence(number, band, x, place, y, jacobian)
        return y, jacobian

    @staticmethod
    def _centre(band: SpectralBand, x: Floats, place: dict[str, int]) -> Floats:
        return band.channel + sum(x[place[name]] * distance for name, distance in band.moves.items())

    def _add_fluorescence(
        self, number: int, band: SpectralBand, x: Floats, place: dict[str, int], y: Floats, jacobian: Floats
    ) -> None:
        at = place[f"fluorescence_{band.name}"]
        depth, changes = self._depths(band, x, place, self._path[number][1][None])
        light = np.exp(-depth[0])
        spectra = {name: changed(parts, -light[None]) for name, parts in changes.items()}
        seen, slope = look(
            band.shape, band.grid, np.stack([light, *spectra.values()]), self._centre(band, x, place)
        )
        y += x[at] * seen[0]
        jacobian[:, at] = seen[0]
        for name, change in zip(spectra, seen[1:], strict=True):
            jacobian[:, place[name]] += x[at] * change
        for name, distance in band.moves.items():
            jacobian[:, place[name]] += x[at] * slope * distance

    def _depths(
        self, band: SpectralBand, x: Floats, place: dict[str, int], path: Floats
    ) -> tuple[Floats, dict[str, Changes]]:
        """Return the optical depths (paths, points) along light paths, and what they change with.

        `path` is (paths, layers), lengths by the thickness of the layers. The changes by gases, surface pressure and
        temperature are products that `changed` forms when it is known what each path's depth does to the light.
        """
        air = self.layers
        stretch, warmer = 1.0, 0.0
        if self.surface_pressure:
            stretch = x[place["surface_pressure"]] / air.pressure_edges[0]
        if self.temperature:
            warmer = x[place["temperature_offset"]]
        depth = np.zeros((len(path), len(band.grid)))
        changes: dict[str, Changes] = {}
        for table in band.tables:
            gas = table.molecule
            fraction = self.gases[gas]
            nodes = table.nodes(air.pressure * stretch, air.temperature + warmer, fraction)
            amount = path * (air.dry_air * stretch * fraction)
            if gas == self.profile:
                names = [f"{gas}_layer_{i}" for i in range(len(fraction))]
                scale = x[[place[n] for n in names]]
                changes |= {n: [(amount[:, [i]] * nodes.value[[i]], nodes)] for i, n in enumerate(names)}
            else:
                scale = np.full(len(fraction), x[place[f"{gas}_scale"]])
                changes[f"{gas}_scale"] = [(amount @ nodes.value, nodes)]
            amount = amount * scale
            depth += nodes.sums(amount @ nodes.value)
            if self.surface_pressure:
                by_p = amount / x[place["surface_pressure"]]
                weight = by_p @ (nodes.value + nodes.by_log_pressure)
                changes.setdefault("surface_pressure", []).append((weight, nodes))
            if self.temperature:
                changes.setdefault("temperature_offset", []).append((amount @ nodes.by_temperature, nodes))
        return depth, changes


def changed(parts: Changes, by: Floats) -> Floats:
    """Return how a spectrum changes (points,), `by` (paths, points) what it does with the depth of each path."""
    total = np.zeros(by.shape[1])
    for weight, nodes in parts:
        for share, along in zip(nodes.sums(weight), by, strict=True):
            total += share * along
    return total
