"""The unit absorption spectrum: by how much radiance changes, relative to itself, for one ppm m of a gas more.

With the monochromatic radiance ``L = F exp(-sum_g sum_l m_l N_gl sigma_gl)`` of a clear sky, seen by a band's response
(angle brackets), a thin layer of added gas near the ground changes the logarithm of a band's radiance by

    k = d ln<L> / d alpha = -m_0 n <L sigma_0> / <L>

with n the molecules per area of one ppm m, m_0 the light path through the lowest layer by its thickness, down and up.
The absorption by the air's own gases stays in L: where they are opaque, added gas is not seen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from obsnet.atomic import write_text
from obsnet.constants import MOLAR_GAS_CONSTANT, MOLAR_MASS_WATER
from obsnet.constants import species as species_of
from obsnet.errors import FormatError, RangeError, UnitError, nearest
from obsnet.reading import reading
from obsnet.typing import Floats
from obsnet.units import conversion_factor
from retrieval.forward.absorption import cross_section
from retrieval.forward.atmosphere import AVOGADRO, Layers, slant_factors
from retrieval.forward.hitran import LineList
from retrieval.forward.sun import SolarLines, solar_transmittance
from retrieval.forward.tables import CrossSections
from retrieval.matched_filter.bands import Bands, read_bands, see
from retrieval.matched_filter.strong import GrowthCurve

__all__ = ["ColumnAir", "UnitAbsorption", "read_unit_absorption", "unit_absorption", "write_unit_absorption"]

_STEP = 0.01  # cm-1; lines of the lowest 90 % of the air are 0.02 wide and more
_WING = 25.0  # cm-1
_NAME = "k_per_ppm_m"
_AT = "k_at_"
_STRENGTHS = (1e3, 2e3, 5e3, 1e4, 2e4, 4e4, 7e4, 1e5)  # ppm m


@dataclass(frozen=True)
class ColumnAir:
    """What turns ppm m into a column and into mass.

    Parameters
    ----------
    density : float
        Of the air for which one ppm m is a millionth over one metre, mol m-3.
    dry_column : float
        Dry air above the ground, mol m-2.
    surface_pressure : float
        Pa.
    column_water : float
        Water vapour, kg m-2.
    level : float
        Column mole fraction without a plume, customary unit of the gas. A filter sees differences alone.
    """

    density: float
    dry_column: float
    surface_pressure: float
    column_water: float
    level: float

    def __post_init__(self) -> None:
        for name, low, high in (
            ("density", 5.0, 80.0),
            ("dry_column", 5e4, 5e5),
            ("surface_pressure", 3e4, 1.12e5),
            ("column_water", 0.0, 150.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise RangeError(f"{name} of the air must lie within {low:g} and {high:g}, found {value:g}")

    @property
    def mole_fraction_per_ppm_m(self) -> float:
        """Change of the dry column mole fraction for one ppm m, mol mol-1."""
        return 1e-6 * self.density / self.dry_column


_AIR = {
    "density": "air_density_mol_m3",
    "dry_column": "dry_air_mol_m2",
    "surface_pressure": "surface_pressure_pa",
    "column_water": "column_water_kg_m2",
    "level": "column_level",
}


@dataclass(frozen=True, eq=False)
class UnitAbsorption:
    """Unit absorption of a gas in the bands of an instrument.

    Parameters
    ----------
    gas : str
        Formula.
    bands : Bands
        Those that are used.
    value : ndarray, shape (bands,)
        d ln(radiance) per ppm m; negative where the gas absorbs.
    air : ColumnAir
        For which it holds.
    linear_to : float
        ppm m at which the absorption is a tenth less than `value` makes it; NaN where that is not known.
    curve : GrowthCurve, optional
        ln(transmittance) of stronger plumes; ``exp(value alpha)`` where it is not known.
    about : mapping of str to str
        How it was made.

    Raises
    ------
    RangeError
        Values that are not finite, or that absorb nowhere.
    """

    gas: str
    bands: Bands
    value: Floats
    air: ColumnAir
    linear_to: float = np.nan
    curve: GrowthCurve | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value.shape != self.bands.centre.shape or not np.isfinite(self.value).all():
            raise RangeError(f"unit absorption of {self.gas}: one finite value a band is needed")
        if not self.value.min() < 0.0 or self.value.max() > 1e-3 * abs(self.value.min()):
            raise RangeError(
                f"unit absorption of {self.gas} spans {self.value.min():g} to {self.value.max():g} per ppm m; it is "
                "the change of ln(radiance), negative where the gas absorbs"
            )

    @property
    def per_column_unit(self) -> Floats:
        """Change of ln(radiance) per customary unit (ppm, ppb) of the dry column mole fraction."""
        unit = conversion_factor(species_of(self.gas).unit, "mol mol-1")
        return np.asarray(self.value * unit / self.air.mole_fraction_per_ppm_m)


def unit_absorption(
    gas: str,
    bands: Bands,
    absorbers: Mapping[str, LineList | CrossSections],
    fractions: Mapping[str, Floats],
    layers: Layers,
    *,
    sun: float,
    view: float,
    solar: SolarLines | None = None,
    about: Mapping[str, str] | None = None,
) -> UnitAbsorption:
    """Compute the unit absorption of a gas that is added to the lowest layer.

    Parameters
    ----------
    gas : str
        Formula; one of `absorbers`.
    bands : Bands
        Those that shall be used.
    absorbers : mapping of str to LineList or CrossSections
        Lines or tables of all gases that absorb in the bands.
    fractions : mapping of str to ndarray, shape (layers,)
        Their mole fractions by dry air.
    layers : Layers
        Surface first.
    sun, view : float
        Zenith angles, degrees.
    solar : SolarLines, optional
        The Sun's own lines.
    about : mapping, optional
        Kept with the result.

    Raises
    ------
    RangeError
        Angles of 90 degrees and more; tables that do not reach as far as the bands.

    Notes
    -----
    Surface reflectance and the Sun's continuum are taken as constant over a band. `linear_to` is where the mean of the
    bands, weighted by the square of k, absorbs a tenth less than linearly.
    """
    if gas not in absorbers or set(absorbers) != set(fractions):
        raise FormatError(
            f"asked for {gas}; lines are of {', '.join(absorbers)}, mole fractions of {', '.join(fractions)}"
        )
    nu = _grid(bands)
    middle = float(0.5 * (nu[0] + nu[-1]))
    path = slant_factors(layers, sun, middle) + slant_factors(layers, view, middle)
    depth = np.zeros(len(nu))
    for name, absorber in absorbers.items():
        amount = fractions[name] * layers.dry_air * path
        for layer in range(len(path)):
            depth += amount[layer] * _cross_section(
                absorber, nu, layers, layer, float(fractions[name][layer])
            )
    light = np.exp(-depth)
    if solar is not None:
        light = light * solar_transmittance(solar, nu)
    # The added gas lies on the ground, at its pressure and temperature.
    pressure, temperature = 100.0 * float(layers.pressure_edges[0]), float(layers.edge_temperature[0])
    density = pressure / (MOLAR_GAS_CONSTANT * temperature)
    one = 1e-6 * density * AVOGADRO * 1e-4 * path[0]
    added = one * _cross_section(absorbers[gas], nu, layers, None, float(fractions[gas][0]))
    bare, with_gas = see(bands, nu, np.stack([light, light * added]))
    value = -with_gas / bare
    dry = float(layers.dry_air.sum()) / AVOGADRO * 1e4
    water = float((layers.dry_air * layers.water).sum()) / AVOGADRO * 1e4 * MOLAR_MASS_WATER
    level = float((fractions[gas] * layers.dry_air).sum() / layers.dry_air.sum())
    unit = conversion_factor(species_of(gas).unit, "mol mol-1")
    air = ColumnAir(density, dry, pressure, water, level / unit)
    linear_to = _linear_to(bands, nu, light, added, value)
    strength = np.array(_STRENGTHS)
    dimmed = see(bands, nu, light * np.exp(-strength[:, None] * added))
    curve = GrowthCurve(value, strength, np.log(dimmed / bare) / strength[:, None])
    geometry = {"sun_zenith": f"{sun:g}", "view_zenith": f"{view:g}", "air_mass_factor": f"{path[0]:.6g}"}
    return UnitAbsorption(gas, bands, value, air, linear_to, curve, {**geometry, **(about or {})})


def _grid(bands: Bands) -> Floats:
    low = 1e7 / (bands.centre + 2.0 * bands.fwhm).max() - 2 * _STEP
    high = 1e7 / (bands.centre - 2.0 * bands.fwhm).min() + 2 * _STEP
    return low + _STEP * np.arange(int(np.ceil((high - low) / _STEP)) + 1)


def _cross_section(
    absorber: LineList | CrossSections, nu: Floats, layers: Layers, layer: int | None, fraction: float
) -> Floats:
    """Return cross sections of a layer, or at the ground, cm2."""
    if layer is None:
        pressure, temperature = float(layers.pressure_edges[0]), float(layers.edge_temperature[0])
    else:
        pressure, temperature = float(layers.pressure[layer]), float(layers.temperature[layer])
    if isinstance(absorber, LineList):
        near = absorber.between(nu[0] - _WING, nu[-1] + _WING)
        return cross_section(near, nu, pressure, temperature, fraction=fraction, wing=_WING)
    if nu[0] < absorber.wavenumber[0] or nu[-1] > absorber.wavenumber[-1]:
        raise RangeError(
            f"the bands need cross sections of {absorber.molecule} from {nu[0]:.1f} to {nu[-1]:.1f} cm-1, "
            f"the table has {absorber.wavenumber[0]:.1f} to {absorber.wavenumber[-1]:.1f}"
        )
    values, _, _ = absorber.at(pressure, temperature, fraction)
    return np.interp(nu, absorber.wavenumber, values[0])


def _linear_to(bands: Bands, nu: Floats, light: Floats, added: Floats, value: Floats) -> float:
    """Return where the absorption is a tenth less than linear, ppm m, by bisection in its logarithm."""
    bare = see(bands, nu, light[None])[0]

    def share(alpha: float) -> float:
        seen = np.log(see(bands, nu, (light * np.exp(-alpha * added))[None])[0] / bare)
        return float((seen * value).sum() / (alpha * (value * value).sum()))

    low, high = 1.0, 1e8
    if share(high) > 0.9:
        return np.nan
    while high / low > 1.02:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if share(middle) > 0.9 else (low, middle)
    return low


def write_unit_absorption(target: UnitAbsorption, path: str | os.PathLike[str]) -> Path:
    """Write a table that `read_unit_absorption` reads."""
    head = {"gas": target.gas} | {word: f"{getattr(target.air, name):.8g}" for name, word in _AIR.items()}
    if np.isfinite(target.linear_to):
        head["linear_to_ppm_m"] = f"{target.linear_to:.3g}"
    lines = [f"# {key} = {value}" for key, value in {**head, **target.about}.items()]
    strengths = () if target.curve is None else target.curve.strength
    lines.append(",".join(["wavelength_nm,fwhm_nm", _NAME, *(f"{_AT}{s:g}" for s in strengths)]))
    values = [target.value, *(() if target.curve is None else target.curve.mean)]
    for c, w, *k in zip(target.bands.centre, target.bands.fwhm, *values, strict=True):
        lines.append(",".join([f"{c:.6f},{w:.6f}", *(f"{v:.8e}" for v in k)]))
    write_text(path, "\n".join(lines) + "\n")
    return Path(path)


def read_unit_absorption(path: str | os.PathLike[str]) -> UnitAbsorption:
    """Read a table of unit absorption: ours, or one that a user made.

    Parameters
    ----------
    path : path
        CSV with the columns ``wavelength_nm``, ``fwhm_nm``, ``k_per_ppm_m`` and, before them, lines ``# key = value``
        with ``gas``, ``air_density_mol_m3``, ``dry_air_mol_m2``, ``surface_pressure_pa``, ``column_water_kg_m2`` and
        ``column_level`` (ppm, for methane ppb); others are kept. Columns ``k_at_STRENGTH`` have ln(transmittance) of
        STRENGTH ppm m, divided by it.

    Raises
    ------
    FormatError
        A column or a key that is missing.
    RangeError
        Values beyond physics, or of the wrong sign.
    """
    from obsnet.reading import read_csv

    bands = read_bands(path)
    with reading(path, "a table of unit absorption"):
        table = read_csv(path, comment="#")
        if _NAME not in table:
            raise FormatError(f"{path}: no column {_NAME!r}{nearest(_NAME, table.columns)}")
        head = _head(Path(path).read_text(encoding="utf-8").splitlines())
        missing = [key for key in ("gas", *_AIR.values()) if key not in head]
        if missing:
            raise FormatError(
                f"{path}: lacks {', '.join(missing)}; ppm m cannot be turned into a column without: write them as "
                f"'# {missing[0]} = VALUE' before the table"
            )
        gas = species_of(head.pop("gas")).name
        numbers = {}
        for key in (*_AIR.values(), "linear_to_ppm_m"):
            text = head.pop(key, "nan")
            try:
                numbers[key] = float(text)
            except ValueError:
                raise UnitError(f"{path}: {key} = {text!r} is no number") from None
        try:
            air = ColumnAir(**{name: numbers[key] for name, key in _AIR.items()})
            values = table[_NAME].to_numpy(np.float64)
            curve = _read_curve(path, table, values)
            return UnitAbsorption(gas, bands, values, air, numbers["linear_to_ppm_m"], curve, head)
        except RangeError as error:
            raise RangeError(f"{path}: {error}") from None


def _read_curve(path: str | os.PathLike[str], table: pd.DataFrame, unit: Floats) -> GrowthCurve | None:
    names = [name for name in table.columns if name.startswith(_AT)]
    if not names:
        return None
    try:
        strength = np.array([float(name.removeprefix(_AT)) for name in names])
    except ValueError:
        raise FormatError(
            f"{path}: a column {_AT}STRENGTH ends with a number of ppm m; found {names}"
        ) from None
    curve = GrowthCurve(unit, strength, table[names].to_numpy(np.float64).T)
    if (curve.mean.min(axis=1) < 1.2 * unit.min()).any() or (curve.mean.min(axis=1) > 0.0).any():
        raise RangeError(
            f"columns {_AT}… are ln(transmittance) over the strength: no stronger than {_NAME}, below zero"
        )
    return curve


def _head(lines: Sequence[str]) -> dict[str, str]:
    pairs = (line.lstrip("# ").partition("=") for line in lines if line.startswith("#"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}
