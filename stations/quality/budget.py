"""The error budget of a record: terms by table, random and systematic apart, and the error they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from obsnet.config import Options, read_toml, validate
from obsnet.errors import ConfigError, MissingVariableError, ObsnetError, nearest
from obsnet.kind_tables import find_table
from obsnet.schema import Quality
from obsnet.times import as_utc
from stations.record.intakes import apart, label

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Budget", "BudgetTerm", "TermReport", "apply_budget", "load_budget"]

FOLDER = Path(__file__).with_name("budgets")
PARTS = {
    "systematic": "uncertainty_systematic",
    "random": "uncertainty_measurement",
    "representation": "uncertainty_representation",
}
PerSpecies = float | dict[str, float]


class BudgetTerm(Options):
    """``[[term]]``: one source of error, standard uncertainty.

    A variable of the record, or a value; terms of one name are alternatives of which each row takes the first
    that matches its date and its value (a lookup table in rows).
    """

    name: str
    kind: Literal["random", "systematic", "representation"]
    variable: str = ""
    value: PerSpecies | None = None
    relative: bool = Field(False, description="the value is a share of the mole fraction")
    per_root_n: bool = Field(False, description="divide by the root of the number of readings")
    required: bool = Field(False, description="rows without this term are flagged 'uncertainty'")
    start: str = ""
    stop: str = ""
    minimum: float = -np.inf
    maximum: float = np.inf

    @model_validator(mode="after")
    def _has_one_source(self) -> BudgetTerm:
        if bool(self.variable) == (self.value is not None):
            raise ValueError(f"term {self.name!r} needs either a variable or a value")
        return self


class Budget(Options):
    """A table of terms."""

    title: str = ""
    note: str = ""
    floor: Literal["residual", "none"] | PerSpecies = "none"
    term: tuple[BudgetTerm, ...] = Field(min_length=1)


@dataclass(frozen=True)
class TermReport:
    """How much a term weighs.

    Attributes
    ----------
    name, kind : str
        The term.
    rows : int
        Usable rows that have it.
    median : float
        Standard uncertainty, unit of the record.
    share : float
        Mean share of the variance of its kind's total (systematic, or random with representation).
    """

    name: str
    kind: str
    rows: int
    median: float
    share: float


def load_budget(name: str | Path) -> Budget:
    """Read a budget: by name of one that comes with the package, or a TOML file of one's own."""
    path = find_table(name, FOLDER, "budget")
    return validate(Budget, read_toml(path), path.name)


def apply_budget(record: xr.Dataset, budget: Budget) -> tuple[xr.Dataset, list[TermReport]]:
    """Give every row of a record its uncertainty.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`.
    budget : Budget
        See `load_budget`.

    Returns
    -------
    record : xarray.Dataset
        ``uncertainty``: random error of the row as an observation, the root of the sum of squares of random
        terms and representation, at least the floor. ``uncertainty_systematic``: common to rows, does not
        average out, and holds what the record had before (of a scale conversion). Beside them
        ``uncertainty_measurement`` (random terms alone) and ``uncertainty_representation``; each is NaN in rows
        that have no term of its kind. Rows without any random term, or without a required one, are NaN and
        flagged ``uncertainty``.
    reports : list of TermReport
        One a term.

    Notes
    -----
    The floor ``residual`` is the standard deviation of the background values about their smooth curve
    (Thoning et al. 1989); in an inversion it stands for what transport models cannot represent.
    """
    if "uncertainty_measurement" in record:
        raise ConfigError(
            f"{record.attrs.get('path', 'record')}: has a budget already; begin with the record before it"
        )
    rows = record.sizes["time"]
    usable = record["quality"].values == 0
    variance = {kind: np.zeros(rows) for kind in PARTS}
    known = {kind: np.zeros(rows, dtype=bool) for kind in PARTS}
    if "uncertainty_systematic" in record and all(
        t.variable != "uncertainty_systematic" for t in budget.term
    ):
        # what earlier steps brought (a scale conversion) is never lost
        before = record["uncertainty_systematic"].values
        variance["systematic"] += np.nan_to_num(before) ** 2
        known["systematic"] |= np.isfinite(before)
    missing = np.zeros(rows, dtype=bool)
    parts: list[tuple[str, str, np.ndarray]] = []
    names = list(dict.fromkeys((t.name, t.kind) for t in budget.term))
    for name, kind in names:
        alternatives = [t for t in budget.term if (t.name, t.kind) == (name, kind)]
        sd = _lookup(record, alternatives)
        have = np.isfinite(sd)
        if any(t.required for t in alternatives):
            missing |= ~have
        known[kind] |= have
        variance[kind] += np.where(have, sd, 0.0) ** 2
        parts.append((name, kind, sd))
    random = variance["random"] + variance["representation"]
    floor, notes = _floors(record, budget)
    total = np.sqrt(np.maximum(random, floor**2))
    missing |= (floor == 0.0) & ~(known["random"] | known["representation"])
    result = record.copy()
    unit = {"units": record["value"].attrs.get("units", "")}
    result["uncertainty"] = ("time", np.where(missing, np.nan, total), dict(unit))
    for part, name in PARTS.items():  # what nobody stated is missing, not zero
        result[name] = ("time", np.where(known[part], np.sqrt(variance[part]), np.nan), dict(unit))
    quality = record["quality"].values.copy()
    quality[missing & np.isfinite(record["value"].values)] |= np.uint32(Quality.UNCERTAINTY)
    result["quality"] = record["quality"].copy(data=quality)
    changes = [*notes, f"{int((~missing).sum())} uncertainties from the budget {budget.title!r}"]
    raised = random < floor**2
    if raised.any():
        size = " to ".join(f"{f:.3g}" for f in sorted({floor[raised].min(), floor[raised].max()}))
        changes.append(f"{int(raised.sum())} uncertainties raised to the floor of {size}")
    if missing.any():
        changes.append(f"{int(missing.sum())} rows without an uncertainty (flagged 'uncertainty')")
    result.attrs = {**record.attrs, "changes": [*record.attrs.get("changes", []), *changes]}
    return result, [_report(part, variance, usable) for part in parts]


def _lookup(record: xr.Dataset, alternatives: list[BudgetTerm]) -> np.ndarray:
    """Return a term's standard uncertainty by row, of the first alternative that matches, else NaN."""
    species = str(record.attrs["species"])
    time, value = record["time"].values, record["value"].values
    sd = np.full(time.size, np.nan)
    for term in reversed(alternatives):
        found = _term(record, term, species)
        if found is None:
            continue
        with np.errstate(invalid="ignore"):
            match = (value >= term.minimum) & (value < term.maximum)
        if term.start:
            match &= time >= as_utc(term.start)
        if term.stop:
            match &= time < as_utc(term.stop)
        sd[match] = found[match]
    return sd


def _term(record: xr.Dataset, term: BudgetTerm, species: str) -> np.ndarray | None:
    if term.variable:
        if term.variable not in record:
            if term.required:
                raise MissingVariableError(
                    f"{record.attrs.get('path', 'record')}: the term {term.name!r} needs {term.variable!r}"
                    f"{nearest(term.variable, map(str, record.data_vars))}"
                )
            return None
        sd = record[term.variable].values.astype(np.float64)
    else:
        number = term.value
        if isinstance(number, dict):
            if species not in number:
                return None
            number = number[species]
        sd = np.full(record.sizes["time"], float(number or 0.0))
    if term.relative:
        sd = sd * record["value"].values
    if term.per_root_n:
        n = record["n"].values.astype(np.float64)
        sd = np.where(n > 0, sd / np.sqrt(np.maximum(n, 1.0)), np.nan)
    return np.where(sd >= 0, sd, np.nan)


def _floors(record: xr.Dataset, budget: Budget) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the least random uncertainty of each row, that of its own intake, and notes of the fits."""
    floors, notes = np.zeros(record.sizes["time"]), []
    parts = list(apart(record))
    for height, rows in parts:
        floors[rows], found = _floor(record if len(parts) == 1 else record.isel(time=rows), budget)
        notes += [n if height is None else f"{label(height)}: {n}" for n in found]
    return floors, tuple(notes)


def _floor(record: xr.Dataset, budget: Budget) -> tuple[float, tuple[str, ...]]:
    """Return the least random uncertainty of the record (0 where there is none), and notes of its fit."""
    if budget.floor == "none":
        return 0.0, ()
    if budget.floor == "residual":
        from stations.curve.fit import in_notes
        from stations.curve.many import fit_record

        try:
            with in_notes():
                fit = fit_record(record)
            return fit.rsd_smooth, fit.notes
        except ObsnetError as error:
            raise ConfigError(
                f"{record.attrs.get('path', 'record')}: the floor 'residual' needs a curve fit, which failed "
                f"({error}); give the floor as a number"
            ) from error
    if isinstance(budget.floor, dict):
        species = str(record.attrs["species"])
        if species not in budget.floor:
            raise ConfigError(f"the budget has no floor for {species}{nearest(species, budget.floor)}")
        return float(budget.floor[species]), ()
    return float(budget.floor), ()


def _report(
    part: tuple[str, str, np.ndarray], variance: dict[str, np.ndarray], usable: np.ndarray
) -> TermReport:
    name, kind, sd = part
    together = (
        variance["systematic"] if kind == "systematic" else variance["random"] + variance["representation"]
    )
    rows = usable & np.isfinite(sd)
    if not rows.any():
        return TermReport(name, kind, 0, float("nan"), 0.0)
    whole = together[usable].sum()
    share = float((sd[rows] ** 2).sum() / whole) if whole > 0 else 0.0
    return TermReport(name, kind, int(rows.sum()), float(np.median(sd[rows])), share)
