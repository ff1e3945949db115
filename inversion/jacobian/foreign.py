"""Ready-made Jacobians of other systems: read, checked for units, never solved blindly.

Such files carry observations, their errors, a prior simulation and a matrix whose columns are responses to
scale factors. What their unit attributes claim is tested against the numbers: rows in another unit are
found by how far they stand from the rest, a whole variable in another unit by how badly it explains the
observations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inversion.jacobian.information import INFORMATION, is_information, whitened_rows
from obsnet.errors import FormatError, MissingVariableError, SchemaError, UnitError
from obsnet.opening import open_xarray
from obsnet.reading import door, reading, refuse_claims
from obsnet.typing import Floats, Ints, Texts

__all__ = ["BadRow", "ForeignJacobian", "bad_rows", "read_foreign"]


@dataclass(frozen=True)
class ForeignLayout:
    """Names of variables in the files of one system.

    Parameters
    ----------
    system : str
        Whose files.
    value, error, matrix : str
        Observations (n,), their standard deviation (n,), responses (n, m).
    simulated : str or None
        Prior simulation (n,); None where it is the sum of the responses.
    boundary : str or None
        Responses to scale factors of the boundary (n, k).
    model_error : str or None
        Model error (n,).
    label, label_names : str or None
        Station or source of each row; an index into `label_names` where that is given.
    """

    system: str
    value: str
    error: str
    matrix: str
    simulated: str | None = None
    boundary: str | None = None
    model_error: str | None = None
    label: str | None = None
    label_names: str | None = None


LAYOUTS = (
    ForeignLayout("EnKF_CH4", "obs", "oerr", "hm", simulated="hm0", label="project"),
    ForeignLayout(
        "openghg_inversions (RHIME)",
        "Yobs",
        "Yerror",
        "xsensitivity",
        boundary="bcsensitivity",
        model_error="min_model_error",
        label="siteindicator",
        label_names="sitenames",
    ),
)
# A value this many times from the middle is another unit, not weather; units differ by a thousand at least.
_APART = 100.0
_CONSTANT_SHARE = 0.8  # of a row's entries that are one and the same number


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be what its unit says.

    Attributes
    ----------
    file : str
    row : int
        Counted from 0 within the file.
    label : str
        Station or source.
    value, error : float
        As found.
    reason : str
        What is wrong, and which unit would make it right.
    """

    file: str
    row: int
    label: str
    value: float
    error: float
    reason: str


@dataclass(frozen=True, eq=False)
class ForeignJacobian:
    """Rows of ready-made Jacobians, in one unit as far as their attributes go.

    Parameters
    ----------
    system, unit : str
        Whose files; unit of the rows.
    value, error, simulated : ndarray, shape (n,)
        Observations, standard deviations, prior simulation.
    model_error : ndarray, shape (n,)
        Zero where the files have none.
    matrix, boundary : ndarray, shape (n, m), (n, k)
        Responses to scale factors; k may be 0.
    label, file : ndarray of str, shape (n,)
        Station or source; file name.
    row : ndarray of int, shape (n,)
        Row within its file, from 0.
    bad : tuple of BadRow
        What `bad_rows` found.
    notes : tuple of str
        What was changed while reading, counted.
    faults : tuple of str
        Whole variables in another unit; with `ForeignOptions.set_aside_bad_rows` they are converted and
        noted.
    whitened : bool
        Rows are no observations but what they say together, of unit error; see `inversion.jacobian.information`.
    """

    system: str
    unit: str
    value: Floats
    error: Floats
    simulated: Floats
    model_error: Floats
    matrix: Floats
    boundary: Floats
    label: Texts
    file: Texts
    row: Ints
    bad: tuple[BadRow, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = field(default=())
    whitened: bool = False


def read_foreign(files: Sequence[Path]) -> ForeignJacobian:
    """Read ready-made Jacobians and look for rows and variables in another unit.

    Parameters
    ----------
    files : sequence of Path
        netCDF files of one system with the same columns.

    Returns
    -------
    ForeignJacobian
        All rows, good and bad, in the order of the files.

    Raises
    ------
    FormatError
        Not netCDF, or no known layout.
    UnitError
        No unit, or files in different units.
    SchemaError
        Files with different columns.
    """
    parts = [_read_one(Path(f)) for f in files]
    if not parts:
        raise SchemaError("no file with a Jacobian was given")
    first = parts[0]
    if first.whitened and len(parts) == 1:
        return first
    if any(part.whitened for part in parts):
        raise SchemaError(f"{files[0]}: results of {first.system} stand for themselves; give one file")
    for part, path in zip(parts, files, strict=True):
        if part.system != first.system or part.unit != first.unit:
            raise UnitError(
                f"{path}: {part.system} in {part.unit}, but {files[0]} is {first.system} in {first.unit}"
            )
        if part.matrix.shape[1] != first.matrix.shape[1] or part.boundary.shape[1] != first.boundary.shape[1]:
            raise SchemaError(
                f"{path}: {part.matrix.shape[1]} + {part.boundary.shape[1]} columns, {files[0]} has "
                f"{first.matrix.shape[1]} + {first.boundary.shape[1]}"
            )
    arrays = ("value", "error", "simulated", "model_error", "matrix", "boundary", "label", "file", "row")
    joined: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in arrays}
    notes = [n for p in parts for n in p.notes]
    whole = ForeignJacobian(first.system, first.unit, **joined, notes=tuple(notes))
    boundary, fault = _boundary_unit(whole)
    known = {**joined, "boundary": boundary}
    if boundary is not whole.boundary:
        known["simulated"] = whole.simulated + boundary.sum(axis=1) - whole.boundary.sum(axis=1)
    fixed = ForeignJacobian(first.system, first.unit, **known)
    return ForeignJacobian(
        first.system,
        first.unit,
        **known,
        bad=bad_rows(fixed),
        notes=tuple(notes),
        faults=(fault,) if fault else (),
    )


@door("a Jacobian")
def _read_one(path: Path) -> ForeignJacobian:
    with reading(path, "netCDF"):
        data = open_xarray(path, decode_times=False)
    refuse_claims(path, data.variables)
    with data:
        if is_information(data):
            return _from_information(data, path)
        layouts = [x for x in LAYOUTS if {x.value, x.error, x.matrix} <= set(data.variables)]
        if not layouts:
            known = "; ".join(f"{x.system}: {x.value}, {x.error}, {x.matrix}" for x in LAYOUTS)
            known += f"; IMI: {', '.join(INFORMATION)}"
            there = (
                ", ".join(map(str, list(data.variables)[:12]))
                or "nothing outside of groups, where none is read"
            )
            raise FormatError(
                f"{path}: no Jacobian of a known system in it; there is: {there}. Known are {known}"
            )
        return _from_layout(data, layouts[0], path)


def _from_information(data: Any, path: Path) -> ForeignJacobian:
    """Return an information matrix as rows of unit error."""
    value, simulated, matrix, note = whitened_rows(data, path)
    n = value.size
    return ForeignJacobian(
        "IMI",
        "1",
        value,
        np.ones(n),
        simulated,
        np.zeros(n),
        matrix,
        np.zeros((n, 0)),
        np.full(n, "all"),
        np.full(n, path.name),
        np.arange(n),
        notes=(note,),
        whitened=True,
    )


def _from_layout(data: Any, layout: ForeignLayout, path: Path) -> ForeignJacobian:
    def get(name: str | None) -> Floats | None:
        if name is None:
            return None
        if name not in data.variables:
            raise MissingVariableError(
                f"{path}: {layout.system} files have a variable {name!r}, this one has not"
            )
        return np.asarray(data[name].values, dtype=np.float64)

    value, error, matrix = get(layout.value), get(layout.error), get(layout.matrix)
    assert value is not None and error is not None and matrix is not None  # noqa: PT018
    n = value.size
    if matrix.shape[0] != n or error.shape != (n,):
        raise SchemaError(f"{path}: {layout.matrix} has shape {matrix.shape} for {n} observations")
    unit = str(data[layout.value].attrs.get("units", ""))
    if not unit:
        raise UnitError(f"{path}: {layout.value} names no unit")
    for name in (layout.error, layout.matrix, layout.simulated, layout.boundary):
        found = data[name].attrs.get("units", unit) if name in data.variables else unit
        if found != unit:
            raise UnitError(f"{path}: {name} is in {found!r}, {layout.value} in {unit!r}")
    matrix, notes = _without_row_constants(matrix, layout.matrix, path)
    boundary = get(layout.boundary)
    boundary = np.zeros((n, 0)) if boundary is None else boundary
    simulated = get(layout.simulated)
    simulated = matrix.sum(axis=1) + boundary.sum(axis=1) if simulated is None else simulated
    floor = get(layout.model_error) if layout.model_error in data.variables else None
    return ForeignJacobian(
        layout.system,
        unit,
        value,
        error,
        simulated,
        np.zeros(n) if floor is None else floor,
        matrix,
        boundary,
        _labels(data, layout, n),
        np.full(n, path.name),
        np.arange(n),
        notes=notes,
    )


def _labels(data: Any, layout: ForeignLayout, n: int) -> Texts:
    if layout.label is None or layout.label not in data.variables:
        return np.full(n, "all")
    labels = np.asarray(data[layout.label].values)
    if layout.label_names and layout.label_names in data.variables:
        names = np.asarray(data[layout.label_names].values).astype(str)
        return np.asarray(names[labels.astype(np.int64)])
    return labels.astype(str)


def _without_row_constants(matrix: Floats, name: str, path: Path) -> tuple[Floats, tuple[str, ...]]:
    """Take away a number that nearly all entries of a row share.

    A tagged-tracer response has been through the retrieval's operator as if it were a whole profile: the
    part of the retrieval's own prior, ``h (1 - a) x_a``, stands in every column and is no response to
    anything.
    """
    middle = np.median(matrix, axis=1)
    near = np.abs(matrix - middle[:, None]) <= 1e-3 * np.abs(middle)[:, None]
    spread = np.abs(matrix - middle[:, None]).max(axis=1, initial=0.0)
    shared = (
        (near.mean(axis=1) >= _CONSTANT_SHARE) & (matrix.shape[1] >= 10) & (np.abs(middle) > 1e-6 * spread)
    )
    if not shared.any():
        return matrix, ()
    low, high = middle[shared].min(), middle[shared].max()
    text = (
        f"{path.name}: {int(shared.sum())} rows of {name} share one number among nearly all columns "
        f"({low:.3g} to "
        f"{high:.3g}); it is no response to a flux and was taken away"
    )
    return matrix - np.where(shared, middle, 0.0)[:, None], (text,)


def _boundary_unit(whole: ForeignJacobian) -> tuple[Floats, str | None]:
    """Return the boundary responses in the unit of the observations, and what was wrong with them."""
    share = whole.boundary.sum(axis=1)
    if not share.any():
        return whole.boundary, None
    left = whole.value - whole.matrix.sum(axis=1)
    ratio = float(np.median(left[share != 0.0] / share[share != 0.0]))
    power = np.round(np.log10(abs(ratio)) / 3.0) * 3.0 if ratio else 0.0
    if power == 0.0 or not ratio > 0.0 or abs(np.log10(ratio) - power) > 0.5:
        return whole.boundary, None
    factor = 10.0**power
    text = (
        f"the boundary's responses claim {whole.unit!r} but explain the observations only when multiplied by "
        f"{factor:g}: they sum to {np.median(share):.4g} where about {np.median(left):.4g} is missing"
    )
    return whole.boundary * factor, text


def bad_rows(data: ForeignJacobian) -> tuple[BadRow, ...]:
    """Find rows whose numbers cannot be in the unit of the others.

    Parameters
    ----------
    data : ForeignJacobian
        All rows.

    Returns
    -------
    tuple of BadRow
        Rows with a value, an error or a prior simulation more than a hundred times from the median of all
        rows, or that are not positive numbers. A large misfit alone is no fault: plumes are data.
    """
    reasons: dict[int, list[str]] = {}
    for name, values in (("value", data.value), ("error", data.error), ("prior simulation", data.simulated)):
        ok = np.isfinite(values) & (values > 0.0)
        middle = float(np.median(values[ok])) if ok.any() else 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.where(ok, np.abs(np.log10(np.where(ok, values, 1.0) / middle)), np.inf)
        if name == "prior simulation" and not (data.simulated > 0).all():
            continue
        for i in np.flatnonzero(apart > np.log10(_APART)):
            reasons.setdefault(int(i), []).append(_reason(name, float(values[i]), middle, data.unit))
    responses = np.concatenate([data.matrix, data.boundary], axis=1)
    missing = np.count_nonzero(~np.isfinite(responses), axis=1)
    for i in np.flatnonzero(missing):
        reasons[int(i)] = [f"the responses have {missing[i]} values that are not finite"]
    return tuple(
        BadRow(
            str(data.file[i]),
            int(data.row[i]),
            str(data.label[i]),
            float(data.value[i]),
            float(data.error[i]),
            "; ".join(r),
        )
        for i, r in sorted(reasons.items())
    )


def _reason(name: str, found: float, middle: float, unit: str) -> str:
    if not (np.isfinite(found) and found > 0.0):
        return f"{name} {found:g} is not a positive number"
    text = f"{name} {found:.4g} in {unit}, the others are near {middle:.4g}"
    away = np.log10(middle) - np.log10(found)  # their quotient may not fit
    power = round(away / 3.0) * 3
    if power and abs(away - power) < 1.2:
        text += f"; times 1e{power} it would fit, another unit"
    return text
