"""An inventory table as people save it: headings and provinces in Chinese, text in GB 18030."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from obsnet.errors import RegionError
from obsnet.inventory.books import read_text
from obsnet.inventory.words import CHINESE
from obsnet.regions import region_code

__all__ = ["read_contract"]


def read_contract(path: Path) -> Any:
    """Read a CSV of the inventory contract under the contract's own names.

    Parameters
    ----------
    path : Path
        UTF-8 with or without a mark, or GB 18030. Where the headings are Chinese, provinces may be written by name;
        keys of a file with English headings are the user's own and stay as they are.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; not a table.
    """
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(path)
    text, _ = read_text(path)
    types = {"region": str, "period": str, CHINESE["region"]: str, CHINESE["period"]: str}
    frame = pd.read_csv(io.StringIO(text), dtype=types, skipinitialspace=True)
    ours = {zh: name for name, zh in CHINESE.items()}
    if CHINESE["region"] in frame.columns:
        frame = frame.rename(columns={c: ours.get(str(c).strip(), c) for c in frame.columns})
        frame["region"] = frame["region"].map(_code)
    return frame


def _code(name: Any) -> Any:
    try:
        return region_code(name) if isinstance(name, str) else name
    except RegionError:
        return name
