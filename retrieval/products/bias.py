"""Bias corrections: read from a file's own attributes, verified against its values, applied with provenance.

Lite files carry the formula that made ``xco2`` out of ``xco2_raw``. It is parsed (`retrieval.products.expression`),
never executed, so coefficients of versions to come need no new code. Formulas are evaluated in single
precision, as the producers do: on real ACOS files that gives their values bit by bit, while double precision
is off by up to 6.5e-5 ppm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from obsnet.atomic import write_text
from obsnet.config import Options, read_toml, validate
from obsnet.errors import FormatError, MissingVariableError
from obsnet.times import from_epoch
from retrieval.products.expression import Name, Node, evaluate, parse
from retrieval.readers.fields import Fields

__all__ = [
    "Correction",
    "CorrectionClass",
    "Verification",
    "producer_correction",
    "read_correction",
    "verify",
    "write_correction",
]

_YEARS = re.compile(r"years_since_1jan(\d{4})", re.IGNORECASE)
_DAYS_A_YEAR = 365.25  # as the Lite producers count


class CorrectionClass(Options):
    """The formula of one kind of sounding.

    In `formula` the names are variables of the file in any case; ``raw`` (or ``XCO2_Raw``) is the value
    before correction, ``years_since_1Jan2015`` counts years of 365.25 days, ``footprint_bias`` is the entry
    of `footprint` for the sounding's footprint 1-8, and ``logX`` is the logarithm of ``X`` where the file has
    no variable of that name.
    """

    name: str
    formula: str
    when: dict[str, float | str] = Field(
        {}, description="value by variable; the first class that fits counts"
    )
    footprint: tuple[float, ...] = Field((), description="offsets of footprints 1-8")

    @model_validator(mode="after")
    def _sound(self) -> CorrectionClass:
        self.tree()
        if self.footprint and len(self.footprint) != 8:
            raise ValueError(f"footprint has {len(self.footprint)} offsets, not 8")
        return self

    def tree(self) -> Node:
        """Return the parsed formula."""
        return parse(self.formula, f"bias correction {self.name!r}", unit=True)

    def fits(self, fields: Fields) -> np.ndarray:
        """Return which soundings are of this kind."""
        mask = np.ones(len(fields), dtype=bool)
        for name, wanted in self.when.items():
            values = fields.raw(fields.find(name))
            mask &= values == (str(wanted) if values.dtype.kind in "US" else float(wanted))
        return mask


class Correction(Options):
    """A bias correction of one product.

    Parameters
    ----------
    name : str
        Becomes part of the source of corrected rows.
    sensor : str
        Product.
    classes : tuple of CorrectionClass
        Tried in order.
    provenance : dict
        Where it comes from: data, dates, numbers of soundings, errors of coefficients.
    """

    name: str = Field(pattern=r"^[a-z0-9]+$")
    sensor: str
    classes: tuple[CorrectionClass, ...] = Field(min_length=1)
    provenance: dict[str, Any] = Field({}, description="data, counts, errors of coefficients")

    def split(self, fields: Fields) -> np.ndarray:
        """Return the number of each sounding's class, -1 where none fits."""
        which = np.full(len(fields), -1)
        for number, entry in reversed(list(enumerate(self.classes))):
            which[entry.fits(fields)] = number
        return which

    def apply(self, fields: Fields) -> np.ndarray:
        """Return corrected values of a granule, float64; NaN where no class fits or an input is missing.

        Raises
        ------
        FormatError
            The correction is of another product.
        MissingVariableError
            The file lacks a variable of the formula.
        """
        if fields.sensor.name != self.sensor:
            raise FormatError(
                f"{fields.where}: is {fields.sensor.name}, the bias correction is of {self.sensor}"
            )
        which = self.split(fields)
        value = np.full(len(fields), np.nan)
        for number, entry in enumerate(self.classes):
            mask = which == number
            if mask.any():
                found = evaluate(entry.tree(), lookup(fields, entry), np.float32)
                value[mask] = np.broadcast_to(found, (len(fields),))[mask]
        if (which < 0).any():
            fields.note(f"{int((which < 0).sum())} rows fit no class of bias correction {self.name}")
        return value

    def summary(self) -> str:
        """Return one line for the notes of a granule."""
        origin = self.provenance.get("origin", "")
        return f"value recomputed from the raw one by bias correction {self.name}" + (
            f" ({origin})" if origin else ""
        )


def lookup(fields: Fields, entry: CorrectionClass) -> Any:
    """Return a function that gives the array of a formula's name for one granule."""

    def get(name: str) -> np.ndarray:
        lower = name.lower()
        if lower in ("raw", "xco2_raw") and fields.sensor.raw is not None:
            return fields.raw(fields.sensor.raw)
        years = _YEARS.fullmatch(name)
        if years:
            time = fields.times()
            instant = time[0] if time[1] is None else time[1]
            start = from_epoch(0.0, f"{years[1]}-01-01")
            return (instant - start) / np.timedelta64(1, "us") / (_DAYS_A_YEAR * 86400e6)
        if lower == "footprint_bias":
            return _footprint(fields, entry)
        try:
            return fields.raw(fields.find(name))
        except MissingVariableError:
            if not lower.startswith("log"):
                raise
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(np.asarray(fields.raw(fields.find(name[3:].lstrip("_"))), dtype=np.float64))

    return get


def _footprint(fields: Fields, entry: CorrectionClass) -> np.ndarray:
    if not entry.footprint:
        raise FormatError(f"{fields.where}: formula {entry.name} needs footprint offsets and there are none")
    number = fields.raw(fields.find("footprint")).astype(int)
    known = (number >= 1) & (number <= 8)
    return np.where(known, np.array(entry.footprint)[np.clip(number, 1, 8) - 1], np.nan)


def producer_correction(fields: Fields) -> Correction:
    """Return the bias correction that the file's own attributes describe.

    Raises
    ------
    FormatError
        The product has none, the attributes are absent, or a formula cannot be read.
    """
    sensor = fields.sensor
    if not sensor.bias:
        raise FormatError(f"{fields.where}: {sensor.name} files carry no bias formula")
    attributes = fields.source.attributes()
    classes = []
    for rule in sensor.bias:
        if rule.attribute not in attributes:
            continue
        text = str(attributes[rule.attribute])
        formula = text.partition("=")[2].strip() or text.strip()
        parse(formula, f"{fields.where}: {rule.attribute}", unit=True)  # an error that names the file
        classes.append(
            CorrectionClass(
                name=rule.attribute.removeprefix("Bias_Correction_"),
                formula=formula,
                when=rule.when,
                footprint=_offsets(attributes, rule.footprint, fields.where),
            )
        )
    if not classes:
        wanted = ", ".join(rule.attribute for rule in sensor.bias)
        raise FormatError(f"{fields.where}: none of the attributes {wanted} is there")
    return Correction(
        name="producer",
        sensor=sensor.name,
        classes=tuple(classes),
        provenance={"origin": "global attributes of the file"},
    )


def _offsets(attributes: Mapping[str, Any], name: str | None, where: str) -> tuple[float, ...]:
    """Read the numbers after the last colon of a footprint attribute."""
    if name is None or name not in attributes:
        return ()
    text = str(attributes[name]).rpartition(":")[2]
    found = re.findall(r"[-+]?\d+(?:\.\d*)?", text)
    if len(found) != 8:
        raise FormatError(f"{where}: attribute {name} gives {len(found)} footprint offsets, not 8")
    return tuple(float(x) for x in found)


@dataclass(frozen=True)
class Verification:
    """How a correction reproduces a file's own values.

    Parameters
    ----------
    name : str
        Class.
    n : int
        Soundings compared.
    largest, mean : float
        Of recomputed minus stored value, in the species' unit; the largest is absolute.
    """

    name: str
    n: int
    largest: float
    mean: float


def verify(fields: Fields, correction: Correction | None = None) -> list[Verification]:
    """Recompute the values of a granule from its raw ones and compare.

    Parameters
    ----------
    fields : Fields
        Open granule.
    correction : Correction, optional
        By default the one in the file's own attributes.

    Returns
    -------
    list of Verification
        One a class that has soundings; soundings that no class fits stand last under ``"none"``.
    """
    correction = correction or producer_correction(fields)
    value = fields.number("value")
    assert value is not None
    difference = correction.apply(fields) - value
    which = correction.split(fields)
    result = []
    for number, entry in enumerate(correction.classes):
        found = difference[(which == number) & np.isfinite(difference)]
        if len(found):
            result.append(
                Verification(entry.name, len(found), float(np.abs(found).max()), float(found.mean()))
            )
    left = int((which < 0).sum())
    return [*result, Verification("none", left, float("nan"), float("nan"))] if left else result


def read_correction(path: str | Path) -> Correction:
    """Read a bias correction from TOML.

    Raises
    ------
    ConfigError
        The file is absent or faulty, one line a fault.
    """
    return validate(Correction, read_toml(path), Path(path).name)


def write_correction(correction: Correction, path: str | Path) -> None:
    """Write a bias correction as TOML that `read_correction` reads back unchanged."""
    lines = [
        f"name = {json.dumps(correction.name)}",
        f"sensor = {json.dumps(correction.sensor)}",
        "",
        "[provenance]",
    ]
    lines += [f"{key} = {_toml(value)}" for key, value in correction.provenance.items()]
    for entry in correction.classes:
        lines += [
            "",
            "[[classes]]",
            f"name = {json.dumps(entry.name)}",
            f"formula = {json.dumps(entry.formula)}",
        ]
        if entry.when:
            lines.append("when = { " + ", ".join(f"{k} = {_toml(v)}" for k, v in entry.when.items()) + " }")
        if entry.footprint:
            lines.append(f"footprint = {_toml(list(entry.footprint))}")
    write_text(path, "\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(k))} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def is_raw(node: Node | None) -> bool:
    """Tell whether a summand is the raw value itself."""
    return isinstance(node, Name) and node.name.lower() in ("raw", "xco2_raw")


def is_footprint(node: Node | None) -> bool:
    """Tell whether a summand is the offset of the footprint."""
    return isinstance(node, Name) and node.name.lower() == "footprint_bias"
