"""PRIMAP2 files: the interchange format (wide CSV and YAML) and a long CSV; written and read without PRIMAP2 itself.

PRIMAP2 pins versions of NumPy and xarray that this program does not, so it lives in an environment of its own; a
test opens what is written here in one, writes it again and reads that back.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RegionError, SchemaError, UnitError, nearest
from obsnet.inventory.account.categories import TERMINOLOGIES
from obsnet.inventory.books import number, read_text
from obsnet.inventory.table import COLUMNS
from obsnet.inventory.words import find_region
from obsnet.opening import open_xarray
from obsnet.reading import door, reading
from obsnet.work.isolated import apart

__all__ = ["NETCDF", "is_primap", "is_primap_netcdf", "read_primap", "write_primap"]

NETCDF = {".nc", ".nc4"}

AREA = "GBT2260"  # codes of provinces; PRIMAP2 takes any terminology that is named
_NEEDED = ("area", "entity", "unit", "category")
_YEAR = re.compile(r"\s*(1[789]|20)\d\d(-01-01)?\s*")
_KEYS = {"NE", "NO", "NA", "IE", "C", "NAN"}  # notation keys: no number is stated
_MASSES = {"gigagram": "Gg", "megatonne": "Mt", "kilotonne": "kt", "megatonnes": "Mt", "gigatonne": "Gt",
           "teragram": "Tg", "tonne": "t", "kilogram": "kg"}  # fmt: skip


def write_primap(
    inventory: Any, out: Path, name: str = "primap2", *, meta: Mapping[str, str] | None = None
) -> list[Path]:
    """Write an inventory as ``NAME.csv`` with ``NAME.yaml`` (interchange format) and ``NAME_long.csv``.

    Parameters
    ----------
    inventory : pandas.DataFrame
        Rows of the contract, one terminology; periods must be years. Uncertainties have no place in the format.
    out : Path
        Folder.
    name : str
        Of the files.
    meta : mapping of str to str, optional
        ``title, contact, references, rights`` …

    Raises
    ------
    SchemaError
        Several terminologies, none, or several editions of one number.
    FormatError
        A period that is no year.
    """
    from obsnet.atomic import atomic_path, write_text

    used = sorted({t for t in inventory["terminology"] if t})
    if len(used) != 1 or used[0] not in TERMINOLOGIES:
        raise SchemaError(
            f"PRIMAP2 files need one terminology of {', '.join(TERMINOLOGIES)}, found {', '.join(used) or 'none'}"
        )
    bad = [p for p in inventory["period"].astype(str) if not re.fullmatch(r"\d{4}", p)]
    if bad:
        raise FormatError(f"period {bad[0]!r} is no year; PRIMAP2 files of annual inventories have years")
    terminology = used[0]
    area, category = f"area ({AREA})", f"category ({terminology})"
    from obsnet.inventory.table import mass_factor

    # One unit a gas: the format has one for all years of a row.
    gigagrams = [
        v * mass_factor(str(u)) / 1e6 for v, u in zip(inventory["value"], inventory["unit"], strict=True)
    ]
    frame = inventory.assign(
        source=inventory["source"].replace("", "obsnet"),
        area=inventory["region"],
        entity=inventory["gas"],
        unit=[f"Gg {g} / yr" for g in inventory["gas"]],
        category=["0" if c == "total" else c for c in inventory["category"]],
        time=inventory["period"].astype(str),
        data=gigagrams,
    )[["source", "area", "entity", "unit", "category", "time", "data"]].rename(
        columns={"area": area, "category": category}
    )
    keys = ["source", area, "entity", "unit", category]
    if frame.duplicated([*keys, "time"]).any():
        raise SchemaError("two rows of one source, region, gas, category and year")
    wide = frame.pivot(index=keys, columns="time", values="data").reset_index()
    paths = [out / f"{name}.csv", out / f"{name}.yaml", out / f"{name}_long.csv"]
    for table, path in ((wide, paths[0]), (frame, paths[2])):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    attrs = {"area": area, "cat": category, **(meta or {})}
    entities = list(dict.fromkeys(frame["entity"]))
    lines = [
        "attrs:",
        *(f"  {k}: {_yaml(v)}" for k, v in attrs.items()),
        f"data_file: {_yaml(paths[0].name)}",
        "dimensions:",
    ]
    for entity in entities:
        lines += [f"  {_yaml(entity)}:", *(f"  - {_yaml(k)}" for k in keys)]
    lines.append("time_format: '%Y'")
    write_text(paths[1], "\n".join(lines) + "\n")
    return paths


def _yaml(text: str) -> str:
    """Return a text as YAML; a JSON string is one."""
    return text if re.fullmatch(r"[A-Za-z][A-Za-z0-9 ()_.-]*", text) else json.dumps(text, ensure_ascii=False)


@door("a PRIMAP2 table")
def read_primap(path: str | Path, source: str | None = None) -> tuple[Any, tuple[str, ...]]:
    """Read a CSV of the interchange format (a column a year, as PRIMAP-hist has), a long one, or a netCDF of PRIMAP2.

    Parameters
    ----------
    path : path
        The CSV or netCDF; the YAML beside it is not needed, since the headings name terminologies. ``scenario``,
        ``source`` and ``provenance`` must each hold one. Rows of other countries (three capital letters) are passed
        over.
    source : str, optional
        Rows of this source alone.

    Returns
    -------
    frame : pandas.DataFrame
        Contract columns. A gas in CO2 equivalents keeps the name of its set, such as ``CH4 (AR4GWP100)``.
    notes : tuple of str

    Raises
    ------
    FormatError
        Not such a table, several scenarios, no row of China or a province.
    RangeError
        A value that is neither a number nor a notation key (NE, IE …).
    UnitError
        A unit that is no mass of the gas a year.
    """
    import pandas as pd

    path = Path(path)
    notes: tuple[str, ...] = ()
    if path.suffix.lower() in NETCDF:
        frame = apart(_stacked, path)
    else:
        text, notes = read_text(path)
        frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    heads = _heads(frame.columns)
    if source is not None and "source" in heads:
        there = sorted(set(frame[heads["source"]]))
        if source not in there:
            raise FormatError(
                f"{path}: no source {source!r}{nearest(source, there)}; there are: {'; '.join(there)}"
            )
        frame = frame[frame[heads["source"]] == source]
    missing = [c for c in _NEEDED if c not in heads]
    if missing:
        raise FormatError(
            f"{path}: not a PRIMAP2 table, lacks {', '.join(missing)}; found {', '.join(frame.columns[:12])}"
        )
    for key in ("scenario", "source", "provenance"):
        if key in heads and frame[heads[key]].nunique() > 1:
            found = sorted(set(frame[heads[key]]))
            raise FormatError(
                f"{path}: several of {heads[key]}: {'; '.join(found[:12])}; "
                + ("say which one after the file, FILE:SOURCE" if key == "source" else "keep the rows of one")
            )
    match = re.search(r"\((.*?)\)", heads["category"])
    terminology = match.group(1).replace("_PRIMAP", "") if match else ""
    years = [c for c in frame.columns if _YEAR.fullmatch(c)]
    if not years and not {"data", "time"} <= set(heads):
        raise FormatError(f"{path}: neither columns of years nor time and data")
    rows = []
    for line, r in enumerate(frame.to_dict("records"), 2):
        region = _region(r[heads["area"]])
        if region is None:
            continue
        unit, gas = _mass(r[heads["unit"]], r[heads["entity"]].strip(), f"{path}: row {line}")
        code = r[heads["category"]].strip()
        code = "total" if code in {"0", "M.0.EL"} else code.removeprefix("M.")
        source = r[heads["source"]] if "source" in heads else path.stem
        cells = [(c, r[c]) for c in years] if years else [(r[heads["time"]], r[heads["data"]])]
        for year, cell in cells:
            value = None if cell.strip().upper() in _KEYS else number(cell, f"{path}: row {line}, {year}")
            if value is None:
                continue
            rows.append((region, year.strip()[:4], gas, code, terminology, value, unit, np.nan, source, ""))
    if not rows:
        raise FormatError(f"{path}: no row of China or a province of it")
    return pd.DataFrame(rows, columns=list(COLUMNS)), notes


def _stacked(path: Path) -> Any:
    """Return China's part of a netCDF of PRIMAP2, a variable an entity, as a long table."""
    import pandas as pd

    parts = []
    with reading(path, "netCDF"), open_xarray(path) as data:
        area = next((c for c in data.dims if str(c).startswith("area")), None)
        if area is None:
            raise FormatError(
                f"{path}: not a netCDF of PRIMAP2, no dimension area; found {', '.join(map(str, data.dims))}"
            )
        ours = [a for a in data[area].values.astype(str) if _region(a) is not None]
        for name, cube in data.sel({area: ours}).items():
            long = cube.to_series().dropna().rename("data").reset_index()
            parts.append(long.assign(entity=str(name), unit=str(cube.attrs.get("units", ""))))
    if not parts:
        raise FormatError(f"{path}: no variables")
    frame = pd.concat(parts, ignore_index=True)
    frame["time"] = frame["time"].dt.strftime("%Y")
    return frame.astype(str)


def is_primap_netcdf(path: Path) -> bool:
    """Say whether a netCDF is one of PRIMAP2: areas and categories in the place of a grid."""
    return bool(apart(_has_areas, path))


def _has_areas(path: Path) -> bool:
    with reading(path, "netCDF"), open_xarray(path) as data:
        heads = _heads(map(str, data.dims))
    return {"area", "category"} <= set(heads)


def is_primap(headings: Iterable[object]) -> bool:
    """Say whether headings are those of a PRIMAP2 table, of either form."""
    names = [str(h).strip() for h in headings]
    heads = _heads(names)
    return set(_NEEDED) <= set(heads) and ({"data", "time"} <= set(heads) or any(map(_YEAR.fullmatch, names)))


def _heads(columns: Iterable[str]) -> dict[str, str]:
    """Return headings by what they are without terminology: ``area (ISO3)`` is area, and so is region."""
    plain = {re.sub(r"\s*\(.*\)", "", c).strip().casefold(): c for c in columns}
    for ours, other in (("area", "region"), ("entity", "gas")):
        if ours not in plain and other in plain:
            plain[ours] = plain[other]
    return plain


def _region(area: str) -> str | None:
    """Return an adcode or the user's own key; None for another country."""
    try:
        return find_region(area)
    except RegionError:
        return None if re.fullmatch(r"[A-Z]{3}", area.strip()) or not area.strip() else area.strip()


def _mass(unit: str, entity: str, where: str) -> tuple[str, str]:
    """Return the mass of ``Gg CO2 / yr`` or of pint's ``CO2 * gigagram / year``, and the gas that is weighed."""
    above, _, below = unit.partition("/")
    words = [w for w in re.split(r"[\s*·]+", above.strip()) if w]
    masses = [_MASSES.get(w, w) for w in words if w in _MASSES or w in _MASSES.values()]
    of = [w for w in words if w not in _MASSES and w not in _MASSES.values()]
    if len(masses) != 1 or len(of) > 1 or below.strip() not in {"", "yr", "a", "year"}:
        raise UnitError(f"{where}: unit {unit!r} is no mass of one gas a year, such as 'Gg CO2 / yr'")
    gas = re.sub(r"\s*\(.*\)", "", entity)
    weighed = of[0] if of else gas
    if weighed == gas and gas == entity:
        return masses[0], gas
    if weighed == "C" and gas == "CO2":
        return masses[0], "C"
    if weighed.startswith("CO2"):  # equivalents, whose set of GWPs stands in the name
        return masses[0], entity if gas != entity else f"{gas} (CO2e)"
    if weighed == gas:
        return masses[0], gas
    raise UnitError(f"{where}: unit {unit!r} weighs {weighed}, the row is of {entity}")
