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
from obsnet.typing import Floats, Singles
from retrieval.forward.absorption import cross_section
from retrieval.forward.hitran import LineList
from retrieval.forward.mixing import LineMixing

__all__ = ["CrossSections", "build_table", "open_table", "save_table"]

UNIT = 1e-24  # cm2: float32 would lose the weakest as they are
FORMAT = "obsnet cross sections 1"


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
        return _interpolate(
            self.values,
            _place(np.log(p), self.log_pressure),
            _place(t, self.temperature),
            _share(x, self.fraction),
            1.0 / (self.log_pressure[1] - self.log_pressure[0]),
            1.0 / (self.temperature[1] - self.temperature[0]),
        )


def _place(values: Floats, axis: Floats) -> Floats:
    """Return where values lie on an axis of equal steps, in steps."""
    return np.asarray(np.clip((values - axis[0]) / (axis[1] - axis[0]), 0.0, len(axis) - 1.0))


def _share(values: Floats, axis: Floats) -> Floats:
    if len(axis) == 1:
        return np.zeros(values.shape)
    return np.asarray(np.clip((values - axis[0]) / (axis[1] - axis[0]), 0.0, 1.0))


@numba.njit(cache=True)
def _cubic(t: float) -> tuple[Floats, Floats]:
    """Return the weights of four nodes at -1, 0, 1, 2 and their derivatives."""
    w = np.array(
        [
            -t * (t - 1.0) * (t - 2.0) / 6.0,
            (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
            -(t + 1.0) * t * (t - 2.0) / 2.0,
            (t + 1.0) * t * (t - 1.0) / 6.0,
        ]
    )
    d = np.array(
        [
            -(3.0 * t * t - 6.0 * t + 2.0) / 6.0,
            (3.0 * t * t - 4.0 * t - 1.0) / 2.0,
            -(3.0 * t * t - 2.0 * t - 2.0) / 2.0,
            (3.0 * t * t - 1.0) / 6.0,
        ]
    )
    return w, d


@numba.njit(cache=True)
def _interpolate(
    values: Singles, at_p: Floats, at_t: Floats, share: Floats, per_p: float, per_t: float
) -> tuple[Floats, Floats, Floats]:
    layers, points = len(at_p), values.shape[3]
    value, by_p, by_t = (
        np.zeros((layers, points)),
        np.zeros((layers, points)),
        np.zeros((layers, points)),
    )
    for layer in range(layers):
        i = min(max(int(at_p[layer]), 1), values.shape[0] - 3)
        j = min(max(int(at_t[layer]), 1), values.shape[1] - 3)
        wp, dp = _cubic(at_p[layer] - i)
        wt, dt = _cubic(at_t[layer] - j)
        for f in range(values.shape[2]):
            weight = share[layer] if f else 1.0 - share[layer]
            if weight == 0.0:
                continue
            for a in range(4):
                c0, c1, c2, c3 = (
                    values[i - 1 + a, j - 1, f],
                    values[i - 1 + a, j, f],
                    values[i - 1 + a, j + 1, f],
                    values[i - 1 + a, j + 2, f],
                )
                w, u, v = weight * wp[a] * UNIT, weight * dp[a] * UNIT * per_p, weight * wp[a] * UNIT * per_t
                for k in range(points):
                    s = wt[0] * c0[k] + wt[1] * c1[k] + wt[2] * c2[k] + wt[3] * c3[k]
                    d = dt[0] * c0[k] + dt[1] * c1[k] + dt[2] * c2[k] + dt[3] * c3[k]
                    value[layer, k] += w * s
                    by_p[layer, k] += u * s
                    by_t[layer, k] += v * d
    return value, by_p, by_t


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
