"""One calibration scale a species: rows on several are told apart and refused.

WMO's CO2 scales of 2007 and 2019 differ by 0.1 to 0.2 ppm, which is more than the bias of the best satellite
columns and as much as a province's emissions do to a month's mean: an inversion would turn it into flux.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from obsnet.errors import ScaleError

__all__ = ["one_scale", "scale_counts", "single_scale"]

_WMO = re.compile(r"X\d{2,4}[A-Z]?")
_SILENT = {"", "UNKNOWN"}


def scale_counts(table: pa.Table) -> dict[str, int]:
    """Count rows by calibration scale.

    Parameters
    ----------
    table : pyarrow.Table
        Observation table, or any table with its column ``scale``.

    Returns
    -------
    dict of str to int
        ``"X2019"`` however a file spells it (``"WMO CO2 X2019"``); ``""`` where nothing is said.
    """
    counts: Counter[str] = Counter()
    for pair in pc.value_counts(table["scale"]).to_pylist():
        text = (pair["values"] or "").strip().upper()
        known = _WMO.search(text)
        counts[known.group() if known else "" if text in _SILENT else text] += pair["counts"]
    return dict(counts)


def single_scale(counts: Mapping[str, int], what: str) -> str | None:
    """Return the one scale of some rows, None where none is named.

    Parameters
    ----------
    counts : mapping
        From `scale_counts`.
    what : str
        The rows, for the error text: ``"CO2 observations of store"``.

    Raises
    ------
    ScaleError
        There are several; the text counts the rows of each and says how to mend it.
    """
    named = sorted(s for s in counts if s)
    if len(named) < 2:
        return named[0] if named else None
    shown = ", ".join(f"{s} ({counts[s]} rows)" for s in named)
    silent = f"; {counts['']} rows name none" if counts.get("") else ""
    raise ScaleError(
        f"{what} are on several calibration scales: {shown}{silent}. Name sources of one scale only, or bring "
        "them to one: satellites with `obsnet ingest --x2019`, stations with `obsnet station scale --to X2019`"
    )


def one_scale(table: pa.Table, what: str) -> str | None:
    """Return the one calibration scale of a table's rows; see `single_scale`."""
    return single_scale(scale_counts(table), what)
