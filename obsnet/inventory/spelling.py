"""An inventory table as people save it: headings, provinces and gases in Chinese, text in GB 18030."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError, RegionError
from obsnet.inventory.books import TITLE_ROWS, read_text
from obsnet.inventory.words import canonical_columns, heading_unit, plain
from obsnet.reading import refuse_long_numbers
from obsnet.regions import region_code

__all__ = ["GAS_NAMES", "gas_name", "read_contract", "whole_name"]

_COLUMNS = (
    "region", "period", "gas", "category", "terminology", "value", "unit", "uncertainty", "source", "edition",
)  # fmt: skip
_PERCENT = re.compile(r"(相对)?不确定[性度]\(%\)")
_WHOLE = {"合计", "总计", "总量", "总排放", "总排放量", "全省合计"}
GAS_NAMES = {
    "二氧化碳": "CO2",
    "甲烷": "CH4",
    "氧化亚氮": "N2O",
    "一氧化二氮": "N2O",
    "六氟化硫": "SF6",
    "碳": "C",
    "carbon": "C",
}


def read_contract(path: Path) -> Any:
    """Read a CSV of the inventory contract under the contract's own names.

    Parameters
    ----------
    path : Path
        UTF-8 with or without a mark, or GB 18030. Where headings are Chinese, in any spelling of
        `obsnet.inventory.words`, provinces may be written in Chinese too, the unit in brackets behind the heading of
        the values, percent in brackets behind that of uncertainties, and a title may stand above the headings; regions
        of a file with English headings are the user's own and stay as they are. Gases, totals and codes of categories
        are read in any spelling by `obsnet.inventory.table.check_inventory`.

    Returns
    -------
    pandas.DataFrame
        ``attrs["above"]``: lines above the headings.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; not a table.
    FormatError
        Two headings of one meaning, two units.
    """
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(path)
    text, _ = read_text(path)
    head = next(iter(text.splitlines()), "")
    if not re.search(r"[\u4e00-\u9fff]", head):
        frame = pd.read_csv(io.StringIO(text), dtype={"region": str, "period": str}, skipinitialspace=True)
        refuse_long_numbers(path, frame)
        return frame
    above = _title_lines(text, path)
    below = "".join(text.splitlines(keepends=True)[above:])
    frame = pd.read_csv(io.StringIO(below), dtype=str, skipinitialspace=True)
    percent = {h: "uncertainty" for h in frame.columns if _PERCENT.fullmatch(plain(h))}
    names = canonical_columns(frame.columns, (), str(path), _COLUMNS) | percent
    frame = frame.rename(columns=names)
    frame.attrs["above"] = above
    if percent:
        frame["uncertainty"] = [v if pd.isna(v) else f"{str(v).strip(' %％')}%" for v in frame["uncertainty"]]
    unit = next((heading_unit(h) for h, c in names.items() if c == "value"), "")
    if unit:
        other = [
            u for u in frame.get("unit", pd.Series(dtype=str)).dropna().unique() if plain(u) != plain(unit)
        ]
        if other:
            raise FormatError(
                f"{path}: the heading of the values says {unit}, the column of units {other[0]}"
            )
        frame["unit"] = unit
    if "region" in frame:
        frame["region"] = frame["region"].map(_code)
    return frame


def _title_lines(text: str, path: Path) -> int:
    """Return how many lines of title stand above the headings: none where no line has those that a table needs."""
    for k, line in enumerate(text.splitlines()[:TITLE_ROWS]):
        try:
            canonical_columns(next(csv.reader([line]), []), ("region", "value"), str(path), _COLUMNS)
        except FormatError:
            continue
        return k
    return 0


def whole_name(name: Any) -> Any:
    """Return ``total`` for a category that is the whole in Chinese; other things as they are."""
    return "total" if isinstance(name, str) and plain(name) in _WHOLE else name


def gas_name(name: Any) -> Any:
    """Return the formula of a gas written in Chinese, ``C`` for carbon; other things as they are."""
    return GAS_NAMES.get(plain(name), name) if isinstance(name, str) else name


def _code(name: Any) -> Any:
    try:
        return region_code(name) if isinstance(name, str) else name
    except RegionError:
        return name
