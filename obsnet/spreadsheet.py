"""Tables as CSV that spreadsheets open as they are meant: the mark of UTF-8 first, and no number that is none."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["csv_text", "period_zh"]

_BOM = "\ufeff"  # without it Excel takes UTF-8 for the code page of the machine, and Chinese is lost
_SPAN = re.compile(r"\d{4}[-\dT:]* to \d{4}[-\dT:]*")


def csv_text(frame: Any, *, index: bool = False, float_format: str | None = "%.6g") -> str:
    r"""Return a table as CSV text.

    Parameters
    ----------
    frame : pandas.DataFrame
        Numbers that are infinite or missing become empty cells: a spreadsheet would take ``inf`` for a word.
    index : bool
        Whether the index is the first column.
    float_format : str
        Of the numbers; None for as many digits as they need.

    Returns
    -------
    str
        UTF-8 with a byte order mark, for `obsnet.atomic.write_text`.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_text(pd.DataFrame({"地区": ["北京市"], "smallest": [float("inf")]}))
    '\ufeff地区,smallest\n北京市,\n'
    """
    import numpy as np

    finite = frame.replace([np.inf, -np.inf], np.nan)
    return _BOM + str(finite.to_csv(index=index, float_format=float_format, lineterminator="\n"))


def period_zh(text: str) -> str:
    """Return a period in Chinese: ``2014-02-01 to 2014-03-01`` has a word between its ends; other texts stay.

    Examples
    --------
    >>> period_zh("2014-02-01 to 2014-03-01"), period_zh("2014")
    ('2014-02-01 至 2014-03-01', '2014')
    """
    return text.replace(" to ", " 至 ") if _SPAN.fullmatch(text) else text
