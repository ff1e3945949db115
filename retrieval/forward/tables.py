"""Cross sections tabulated over pressure, temperature and the gas's own fraction: built once, kept, interpolated.

A spectrum needs the cross sections of some dozen layers at tens of thousands of wavenumbers in every iteration;
line by line that takes minutes, from a table milliseconds.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import zarr

from obsnet.atomic import atomic_path
from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.reading import door, refuse_claims
from obsnet.seal import check_file, seal_file
from obsnet.typing import Floats, Ints, Singles
from retrieval.forward.absorption import cross_section
from retrieval.forward.hitran import LineList
from retrieval.forward.mixing import LineMixing

__all__ = ["CrossSections", "Nodes", "build_table", "open_table", "save_table"]

UNIT = 1e-24  # cm2: float32 would lose the weakest as they are
FORMAT = "obsnet cross sections 1"
BLOCK = 2048  # points whose sums stay in the cache nearest to the processor


@dataclass(frozen=True)
class Nodes:
    """What a table's cross sections at some layers are weighted sums of.

    Interpolation is linear in the table's entries, and neighbouring layers share them: sums over layers are made of
    their weights first, which are few, and of the spectra once.

    Parameters
    ----------
    spectra : ndarray of float32, shape (entries, points)
        All of the table, 1e-24 cm2.
    entry : ndarray of int, shape (nodes,)
        Those that any layer needs, increasing.
    value, by_log_pressure, by_temperature : ndarray, shape (layers, nodes)
        Weights; cm2 by the unit of `spectra`, that per unit of ln p and per K.
    """

    spectra: Singles
    entry: Ints
    value: Floats
    by_log_pressure: Floats
    by_temperature: Floats

    def sums(self, weight: Floats) -> Floats:
        """Return weighted sums (k, points) of the nodes' spectra, by weights (k, nodes)."""
        return _sums(self.spectra, self.entry, np.ascontiguousarray(weight))


@dataclass(frozen=True)
class CrossSections:
    """A table of one gas.

    Parameters
    ----------
    molecule : str
        Formula.
    wavenumber : ndarray, shape (points,)
        cm-1, equal steps.
    log_pressure : ndarray, shape (pressures,)
        Natural logarithm of hPa, equal steps, increasing.
    temperature : ndarray, shape (temperatures,)
        K, equal steps, increasing.
    fraction : ndarray, shape (fractions,)
        Mole fraction of the gas itself; one value where it hardly matters, two to interpolate between.
    values : ndarray of float32, shape (pressures, temperatures, fractions, points)
        1e-24 cm2 molecule-1.
    mixing : str
        Where the coefficients of first-order line mixing in it are from; empty without.
    """

    molecule: str
    wavenumber: Floats
    log_pressure: Floats
    temperature: Floats
    fraction: Floats
    values: Singles
    mixing: str = ""

    def __post_init__(self) -> None:
        shape = tuple(len(a) for a in (self.log_pressure, self.temperature, self.fraction, self.wavenumber))
        if self.values.shape != shape:
            raise SchemaError(f"cross sections must have shape {shape}, found {self.values.shape}")
        if shape[0] < 4 or shape[1] < 4 or shape[2] not in (1, 2):
            raise SchemaError(
                f"cubic interpolation needs four pressures and temperatures, found {shape[:2]}; fractions are 1 or 2, "
                f"found {shape[2]}"
            )

    def at(
        self, pressure: npt.ArrayLike, temperature: npt.ArrayLike, fraction: npt.ArrayLike = 0.0
    ) -> tuple[Floats, Floats, Floats]:
        """Return cross sections of layers and their derivatives.

        Parameters
        ----------
        pressure, temperature, fraction : array_like, shape (layers,)
            hPa, K, mole fraction; with one fraction in the table the last has no say.

        Returns
        -------
        value, by_log_pressure, by_temperature : ndarray of float64, shape (layers, points)
            cm2 molecule-1, per unit of ln p, per K. Cubic in ln p and in T, linear in the fraction; the
            derivatives are those of the interpolation.

        Raises
        ------
        RangeError
            Layers outside the table.
        """
        nodes = self.nodes(pressure, temperature, fraction)
        value, by_p, by_t = (
            nodes.sums(w) for w in (nodes.value, nodes.by_log_pressure, nodes.by_temperature)
        )
        return value, by_p, by_t

    def nodes(
        self, pressure: npt.ArrayLike, temperature: npt.ArrayLike, fraction: npt.ArrayLike = 0.0
    ) -> Nodes:
        """Return the entries that `at` interpolates between, and the weights with which it does.

        Raises
        ------
        RangeError
            Layers outside the table.
        """
        p, t, x = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(v, float)) for v in (pressure, temperature, fraction))
        )
        for name, values, axis, unit in (
            ("pressure", p, np.exp(self.log_pressure), "hPa"),
            ("temperature", t, self.temperature, "K"),
        ):
            slack = 1e-9 * axis[-1]
            if not ((values >= axis[0] - slack) & (values <= axis[-1] + slack)).all():
                raise RangeError(
                    f"{name} of the layers spans {values.min():g} to {values.max():g} {unit}, the table of "
                    f"{self.molecule} {axis[0]:g} to {axis[-1]:g}; build a wider one"
                )
        of_p, slope_p = _cubic(np.log(p), self.log_pressure)
        of_t, slope_t = _cubic(t, self.temperature)
        of_x = _linear(x, self.fraction)

        def outer(a: Floats, b: Floats) -> Floats:
            each = a[:, :, None, None] * b[:, None, :, None] * of_x[:, None, None, :]
            return np.asarray(UNIT * each.reshape(len(p), -1))

        weights = outer(of_p, of_t), outer(slope_p, of_t), outer(of_p, slope_t)
        entry = np.flatnonzero(sum((w != 0.0).any(axis=0) for w in weights))
        spectra = self.values.reshape(-1, self.values.shape[-1])
        return Nodes(spectra, entry, *(w[:, entry] for w in weights))


def _cubic(values: Floats, axis: Floats) -> tuple[Floats, Floats]:
    """Return weights (values, nodes) of cubic interpolation on an axis of equal steps, and their derivatives."""
    step = axis[1] - axis[0]
    at = np.clip((values - axis[0]) / step, 0.0, len(axis) - 1.0)
    first = np.clip(at.astype(np.int64), 1, len(axis) - 3)
    t = at - first
    four = (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
    slopes = (
        -(3 * t * t - 6 * t + 2) / 6,
        (3 * t * t - 4 * t - 1) / 2,
        -(3 * t * t - 2 * t - 2) / 2,
        (3 * t * t - 1) / 6,
    )
    weight, slope = np.zeros((2, len(values), len(axis)))
    row = np.arange(len(values))
    for k in range(4):
        weight[row, first - 1 + k] = four[k]
        slope[row, first - 1 + k] = slopes[k] / step
    return weight, slope


def _linear(values: Floats, axis: Floats) -> Floats:
    """Return weights (values, nodes) of one or two nodes."""
    if len(axis) == 1:
        return np.ones((len(values), 1))
    share = np.clip((values - axis[0]) / (axis[1] - axis[0]), 0.0, 1.0)
    return np.stack([1.0 - share, share], axis=1)


@numba.njit(cache=True)
def _sums(spectra: Singles, entry: Ints, weight: Floats) -> Floats:
    points = spectra.shape[1]
    out = np.zeros((len(weight), points))
    for first in range(0, points, BLOCK):
        last = min(first + BLOCK, points)
        for n in range(len(entry)):
            row = spectra[entry[n], first:last]
            for k in range(len(weight)):
                w, total = weight[k, n], out[k, first:last]
                if w != 0.0:
                    for i in range(len(row)):
                        total[i] += w * row[i]
    return out


def build_table(
    lines: LineList,
    wavenumber: npt.ArrayLike,
    *,
    pressure: tuple[float, float] = (0.03, 1080.0),
    temperature: tuple[float, float] = (170.0, 330.0),
    fraction: tuple[float, ...] = (0.0,),
    log_pressure_step: float = 0.25,
    temperature_step: float = 20.0,
    wing: float = 25.0,
    mixing: LineMixing | None = None,
) -> CrossSections:
    """Compute a table line by line.

    Parameters
    ----------
    lines : LineList
        Of the range and `wing` beside it.
    wavenumber : array_like, shape (points,)
        cm-1, equal steps; 0.0025 resolves Doppler lines of the near infrared.
    pressure, temperature : tuple of float
        Lowest and highest, hPa and K.
    fraction : tuple of float
        One mole fraction of the gas, or two to interpolate between (water).
    log_pressure_step, temperature_step : float
        Spacing; the defaults interpolate to 3e-4 of the peak of a line.
    wing : float
        See `cross_section`.
    mixing : LineMixing, optional
        Coefficients of first-order line mixing; the table keeps where they are from.

    Raises
    ------
    RangeError
        A grid that is not of equal steps, or on which `lines` has none.
    """
    nu = np.asarray(wavenumber, dtype=np.float64)
    step = np.diff(nu)
    if len(nu) < 2 or not (np.abs(step - step.mean()) < 1e-6 * step.mean()).all() or step.mean() <= 0:
        raise RangeError("the wavenumbers of a table must increase in equal steps")
    near = lines.between(nu[0] - wing, nu[-1] + wing)
    if not len(near):
        raise RangeError(f"no line of {lines.molecule} between {nu[0] - wing:g} and {nu[-1] + wing:g} cm-1")
    logs = _axis(float(np.log(pressure[0])), float(np.log(pressure[1])), log_pressure_step)
    heats = _axis(*temperature, temperature_step)
    values = np.empty((len(logs), len(heats), len(fraction), len(nu)), dtype=np.float32)
    for i, log_p in enumerate(logs):
        for j, t in enumerate(heats):
            for k, x in enumerate(fraction):
                values[i, j, k] = (
                    cross_section(near, nu, float(np.exp(log_p)), t, fraction=x, wing=wing, mixing=mixing)
                    / UNIT
                )
    told = "" if mixing is None else mixing.source
    return CrossSections(lines.molecule, nu, logs, heats, np.asarray(fraction, float), values, told)


def _axis(low: float, high: float, step: float) -> Floats:
    """Return an axis of equal steps of at most `step`, of at least four nodes."""
    return np.linspace(low, high, max(4, int(np.ceil((high - low) / step)) + 1))


def save_table(table: CrossSections, path: str | os.PathLike[str]) -> None:
    """Write a table as a zipped Zarr store that xarray can read, whole or not at all."""
    coordinates: dict[str, tuple[Floats, dict[str, Any]]] = {
        "log_pressure": (table.log_pressure, {"long_name": "natural logarithm of hPa"}),
        "temperature": (table.temperature, {"units": "K"}),
        "fraction": (table.fraction, {"units": "1"}),
        "wavenumber": (table.wavenumber, {"units": "cm-1"}),
    }
    kinds = {"format": FORMAT, "molecule": table.molecule, "line_mixing": table.mixing}
    name = f"absorption cross section of {table.molecule} per molecule"
    with atomic_path(path) as temporary:
        with zarr.storage.ZipStore(temporary, mode="w") as store:
            group = zarr.create_group(store, attributes=kinds)
            for axis, (values, attributes) in coordinates.items():
                group.create_array(axis, data=values, dimension_names=[axis], attributes=attributes)
            group.create_array(
                "cross_section",
                data=table.values,
                chunks=(1, *table.values.shape[1:]),
                dimension_names=list(coordinates),
                attributes={"units": "1e-24 cm2", "long_name": name},
            )
        seal_file(temporary)


@door("a table of cross sections")
def open_table(path: str | os.PathLike[str]) -> CrossSections:
    """Read a table that `save_table` wrote.

    Raises
    ------
    FormatError
        It is none, or changed since it was written.
    """
    where = os.fspath(path)
    check_file(where)
    if not zipfile.is_zipfile(where):
        raise FormatError(f"{where}: not a table of cross sections: no zip archive")
    with zarr.storage.ZipStore(where, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        if group.attrs.get("format") != FORMAT:
            raise FormatError(f"{where}: a Zarr store, but not of format {FORMAT!r}")
        stored: dict[str, Any] = dict(group.arrays())
        refuse_claims(where, stored)
        axes = ("wavenumber", "log_pressure", "temperature", "fraction")
        return CrossSections(
            str(group.attrs["molecule"]),
            values=np.asarray(stored["cross_section"][...]),
            mixing=str(group.attrs.get("line_mixing", "")),
            **{name: np.asarray(stored[name][...]) for name in axes},
        )
