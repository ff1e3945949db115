r"""TCCON's release GGG2020 (file formats 2020.*): an integration operator for wet profiles, made one for dry ones.

The file's ``integration_operator`` IO is for **wet** profiles w: ``c = sum_l IO_l w_l``, smoothed
``c_s = prior_x + sum_l IO_l AK_l (w_l - prior_l)``. The contract wants dry profiles x and weights h that sum to
one, so with the prior's water q (wet mole fraction)

.. math:: h_l = IO_l (1 - q_l) / S, \quad S = \sum_l IO_l (1 - q_l), \quad x_{a,l} = prior_l / (1 - q_l)

S is the column of dry air over that of oxygen / 0.2095, which scatters about one as Xluft does. It is kept as
``operator_sum``: ``S * prior_column`` is the file's ``prior_x<gas>``, kept as ``prior_column_file``.

``xco2`` is on WMO X2007; ``xco2_x2019`` is on X2019 **and** takes a variable share of oxygen, so no formula
for tanks leads from one to the other. They are two records, CO2 and CO2_X2019, with operators of their own.
Units differ inside a file: xch4 is in ppm and its prior in ppb, pressures in atm.
Source: Laughner et al. 2024, doi:10.5194/essd-16-2197-2024; the files' attributes.
"""

from __future__ import annotations

import numpy as np

from obsnet.errors import FormatError, MissingVariableError
from obsnet.typing import Floats
from obsnet.units import convert
from stations.readers.netcdf import File
from stations.readers.tccon_column import Column, interpolate_columns, level_weights
from stations.record.record import Notes

__all__ = ["X2019", "column", "gases"]

X2019 = "CO2_X2019"
_GASES = ("CO2", X2019, "CH4", "N2O", "CO")
_TOLERANCE = 1e-3  # relative, of IO . prior against the file's prior column
_SUM = (0.95, 1.05)  # what S may be


def gases(file: File) -> list[str]:
    """Return the gases of a file; empty where it is of another release."""
    return [g for g in _GASES if f"x{g.lower()}" in file]


def column(file: File, name: str, notes: Notes) -> Column:
    """Read one gas: ``"CO2"``, ``"CO2_X2019"``, ``"CH4"``."""
    gas, under, release = name.lower().partition("_")
    tail = under + release
    unit = file.of(f"x{gas}{tail}", "units")
    stamp = file.times("time")
    row = _prior_rows(file, len(stamp))
    wet = convert(file.numbers(f"prior_{gas}")[row], file.of(f"prior_{gas}", "units"), unit)
    water = convert(file.numbers("prior_h2o")[row], file.of("prior_h2o", "units") or "1", "1")
    pressure = convert(file.numbers("prior_pressure")[row], file.of("prior_pressure", "units"), "hPa")
    operator = f"integration_operator{tail}"
    if operator in file:
        weight = file.numbers(operator) * (1.0 - water)
    else:
        notes.changed(len(stamp), f"rows weighted by pressure and humidity: the file has no {operator}")
        weight = level_weights(pressure, water, file.numbers("prior_gravity")[row], file.numbers("pout"))
    total = weight.sum(axis=1)
    file_prior = file.numbers(f"prior_x{gas}{tail}") if f"prior_x{gas}{tail}" in file else None
    prior = wet / (1.0 - water)
    bad = ~((total > _SUM[0]) & (total < _SUM[1]))
    if operator in file and file_prior is not None:
        bad |= ~(np.abs((weight * prior).sum(axis=1) / file_prior - 1.0) <= _TOLERANCE)
    text = "rows have an integration operator that does not rebuild the prior column (flagged 'operator')"
    notes.warn(bad.sum(), text)
    return Column(
        stamp=stamp,
        value=file.numbers(f"x{gas}{tail}"),
        error=file.numbers_in(f"x{gas}_error{tail}", unit),
        unit=unit,
        scale=file.of(f"x{gas}{tail}", "wmo_or_analogous_scale"),
        kernel=_kernel(file, gas, tail),
        prior=prior,
        weight=weight / total[:, None],
        pressure=pressure,
        operator_sum=total,
        bad=bad,
        file_prior=file_prior,
        extras={"kernel_extrapolation": _clamped(file, gas, len(stamp), notes)},
        attrs={"file_format_version": file.attr("file_format_version"), "doi": file.attr("data_doi")},
    )


def _prior_rows(file: File, rows: int) -> np.ndarray:
    """Return each sounding's row of the priors: its own from format 2020.B on, ``prior_index`` before."""
    if "prior_index" not in file:
        return np.arange(rows)
    index = file.raw("prior_index").astype(np.int64)
    length = file.raw("prior_pressure").shape[0]
    if index.size and not (index.min() >= 0 and index.max() < length):
        raise FormatError(
            f"{file.path}: prior_index runs from {index.min()} to {index.max()}, there are {length} priors"
        )
    return index


def _kernel(file: File, gas: str, tail: str) -> Floats:
    """Return kernels (rows, levels): stored for each sounding, or (before 2020.B) tabulated by slant column."""
    kernel, dims = file.numbers(f"ak_x{gas}"), file.dims(f"ak_x{gas}")
    if "ak_pressure" in file and (np.diff(file.numbers("ak_pressure")) > 0).any():
        raise FormatError(
            f"{file.path}: kernels run from the top down by ak_pressure; TCCON's begin at the surface"
        )
    if dims[0] == "time":
        return kernel
    bins = f"ak_slant_x{gas}_bin"
    if bins not in file or "airmass" not in file:
        raise MissingVariableError(f"{file.path}: ak_x{gas} has dimensions {dims} without {bins} and airmass")
    slant = file.numbers("airmass") * file.numbers(f"x{gas}{tail}")
    table = kernel if dims[0].startswith("ak_alt") else kernel.T  # (levels, bins)
    return interpolate_columns(file.numbers(bins), table, slant).T


def _clamped(file: File, gas: str, rows: int, notes: Notes) -> np.ndarray:
    """Return how far each kernel lies outside its table: 0 inside, 2 or -2 clamped at its end."""
    name = f"extrapolation_flags_ak_x{gas}"
    flags = file.raw(name) if name in file else np.zeros(rows, np.int8)
    notes.warn((np.abs(flags) > 1).sum(), "rows have a kernel clamped at the end of its table")
    return flags
