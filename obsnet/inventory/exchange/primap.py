"""PRIMAP2 files: the interchange format (wide CSV and YAML) and a long CSV; written and read without PRIMAP2 itself.

PRIMAP2 pins versions of NumPy and xarray that this program does not, so it lives in an environment of its own; a
test opens what is written here in one, writes it again and reads that back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, SchemaError
from obsnet.inventory.account.categories import TERMINOLOGIES
from obsnet.inventory.table import COLUMNS

__all__ = ["read_primap", "write_primap"]

AREA = "GBT2260"  # codes of provinces; PRIMAP2 takes any terminology that is named


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
    from obsnet.store import atomic_path, write_text

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


def read_primap(path: str | Path) -> Any:
    """Read a CSV of the interchange format, or a long one, as rows of the contract.

    Parameters
    ----------
    path : path
        The CSV; the YAML beside it is not needed, since the headings name terminologies.

    Raises
    ------
    FormatError
        Not such a table.
    """
    import pandas as pd

    frame = pd.read_csv(path, dtype=str)
    heads = {re.sub(r"\s*\(.*\)", "", c).strip(): c for c in frame.columns}
    missing = [c for c in ("area", "entity", "unit", "category") if c not in heads]
    if missing:
        raise FormatError(f"{path}: not a PRIMAP2 table, lacks {', '.join(missing)}")
    years = [c for c in frame.columns if re.fullmatch(r"\d{4}(-01-01)?", c)]
    if "data" in frame.columns and "time" in frame.columns:
        long = frame.rename(columns={"time": "period", "data": "value"})
    elif years:
        keep = [c for c in frame.columns if c not in years]
        long = frame.melt(id_vars=keep, value_vars=years, var_name="period", value_name="value")
    else:
        raise FormatError(f"{path}: neither columns of years nor time and data")
    terminology = re.search(r"\((.*)\)", heads["category"])
    long = long[long["value"].notna()]
    out = pd.DataFrame(
        {
            "region": long[heads["area"]],
            "period": long["period"].str[:4],
            "gas": long[heads["entity"]],
            "category": ["total" if c == "0" else c for c in long[heads["category"]]],
            "terminology": terminology.group(1) if terminology else "",
            "value": long["value"].astype(float),
            "unit": [_mass(u) for u in long[heads["unit"]]],
            "uncertainty": np.nan,
            "source": long[heads["source"]] if "source" in heads else "",
            "edition": "",
        }
    )
    return out[list(COLUMNS)].reset_index(drop=True)


def _mass(unit: str) -> str:
    """Return the mass of ``Gg CO2 / yr`` or of pint's ``CO2 * gigagram / year``."""
    names = {
        "gigagram": "Gg",
        "megatonne": "Mt",
        "kilotonne": "kt",
        "megatonnes": "Mt",
        "gigatonne": "Gt",
        "teragram": "Tg",
    }
    words = re.split(r"[\s*·]+", unit.split("/", maxsplit=1)[0].strip())
    found = [names.get(w, w) for w in words if w in names or w in {"Gg", "Mt", "kt", "t", "Tg", "Gt", "kg"}]
    if len(found) != 1:
        raise FormatError(f"unit {unit!r} names no mass")
    return found[0]
