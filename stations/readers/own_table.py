"""A table of one's own as text cells: CSV in any encoding and with any decimal mark, or a sheet of a workbook."""

from __future__ import annotations

import datetime as dt
import io
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from obsnet.config import Options
from obsnet.errors import ConfigError, FormatError, nearest
from stations.record.record import Notes
from stations.record.source import Source, is_chinese

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FileLayout", "column", "numbers", "text_table"]

_SEPARATORS = {"tab": "\t", "space": r"\s+"}
_EMPTY = {"", "nan", "na", "null", "-", "--", "none"}
# A workbook's dates before this are lengths of time from 31 December 1899.
_DURATIONS = dt.datetime(1900, 1, 2)
_COMMA = r"^[+-]?\d+,\d+$"


class FileLayout(Options):
    """``[file]``: how the table is written."""

    separator: str = Field(",", description="',', ';', 'tab' or 'space'")
    decimal: str = Field(".", pattern="^[.,]$", description="'.' or ','")
    skip_lines: int = Field(default=0, ge=0, description="lines, or rows of a sheet, above the names")
    comment: str = Field("#", description="lines that begin so are left out")
    encoding: str = Field(
        "auto", description="utf-8, gb18030 ...; auto takes UTF-8, else Chinese where it is that"
    )
    sheet: str | int = Field(0, description="name of the sheet of a workbook, or its number from 0")
    columns: list[str] | None = Field(default=None, description="names, where the file has no line of them")
    missing: list[float] = Field(default_factory=list, description="what stands for no value")


def text_table(source: Source, what: FileLayout, notes: Notes) -> pd.DataFrame:
    """Return the table as text, so that every cell that is no number can be counted.

    Raises
    ------
    FormatError
        The file is not text of that encoding, not a workbook with that sheet, or not a table.
    """
    import pandas as pd

    try:
        if source.is_workbook:
            table = _sheet(source, what)
        else:
            lines = _text(source, what, notes).lstrip("\ufeff").splitlines()[what.skip_lines :]
            kept = [x for x in lines if x.strip() and not (what.comment and x.startswith(what.comment))]
            parse = partial(
                pd.read_csv,
                sep=_SEPARATORS.get(what.separator, what.separator),
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                engine="c",
            )
            table = parse(
                io.StringIO("\n".join(kept)), header=None if what.columns else 0, names=what.columns
            )
            if not what.columns and isinstance(table.index, pd.RangeIndex):
                # of two equal names pandas renames the second
                table.columns = parse(io.StringIO(kept[0]), header=None).iloc[0].rename(None)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, KeyError, ImportError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"{source.where}: cannot be read as the table that the TOML describes ({error})"
        ) from error
    if not isinstance(table.index, pd.RangeIndex):
        raise FormatError(f"{source.where}: its rows have more columns than the {len(table.columns)} names")
    return table.rename(columns=str.strip)


def _text(source: Source, what: FileLayout, notes: Notes) -> str:
    data = source.read_bytes()
    encoding = "utf-8" if what.encoding == "auto" else what.encoding
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise FormatError(f"{source.where}: no encoding {encoding!r} is known ({error})") from error
    except UnicodeDecodeError as error:
        chinese = is_chinese(data)
        if chinese and what.encoding == "auto":
            notes.changed(1, "file is not UTF-8 and was read as GB18030")
            return data.decode("gb18030", errors="replace")
        mend = "set file.encoding"
        if chinese:
            first = data.decode("gb18030", errors="replace").splitlines()[0][:40]
            mend += f" = 'gb18030', in which it begins {first!r}"
        byte = f"byte {error.object[error.start]:#04x} at {error.start}"
        raise FormatError(f"{source.where}: is not {encoding!r} text ({byte}); {mend}") from error


def _sheet(source: Source, what: FileLayout) -> pd.DataFrame:
    import pandas as pd

    engine: Any = "openpyxl" if source.magic.startswith(b"PK") else "xlrd"
    cells = pd.read_excel(
        io.BytesIO(source.read_bytes()),
        sheet_name=what.sheet,
        header=None,
        dtype=object,
        skiprows=what.skip_lines,
        engine=engine,
    )
    rows = [[_cell(c) for c in row] for row in cells.to_numpy().tolist()]
    kept = [r for r in rows if any(r) and not (what.comment and r[0].startswith(what.comment))]
    if not kept:
        raise ValueError("the sheet is empty")
    names = what.columns or kept.pop(0)
    if any(len(r) > len(names) and any(r[len(names) :]) for r in kept):
        raise ValueError(f"rows have more columns than the {len(names)} names")
    return pd.DataFrame([r[: len(names)] for r in kept], columns=names, dtype=str)


def _cell(value: Any) -> str:
    """Return a cell as a table in text would have it: dates and times as ISO, whole numbers without a point."""
    import pandas as pd

    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, dt.datetime) and value < _DURATIONS:  # 24:00 and more in a cell of times
        value -= _DURATIONS - dt.timedelta(days=2)
    if isinstance(value, dt.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time(0)
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()


def column(table: pd.DataFrame, name: str, source: Source) -> pd.Series:
    """Return a column of texts.

    Raises
    ------
    ConfigError
        The table does not have it, or has several of that name.
    """
    if name not in table.columns:
        raise ConfigError(f"{source.where}: no column {name!r}{nearest(name, table.columns)}")
    if (again := int((table.columns == name).sum())) > 1:
        raise ConfigError(
            f"{source.where}: {again} columns are named {name!r}; name them apart in the file, or say all names with "
            "file.columns and leave out its line of names with file.skip_lines"
        )
    return table[name].fillna("").str.strip()


def numbers(table: pd.DataFrame, name: str, what: FileLayout, source: Source, notes: Notes) -> np.ndarray:
    """Return a column of numbers, fills as NaN.

    Raises
    ------
    FormatError
        More than half of its cells are no numbers; the text says so where the decimal mark is a comma.
    """
    import pandas as pd

    text = column(table, name, source)
    plain = text.str.replace(",", ".", regex=False) if what.decimal == "," else text
    values = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.isnan(values) & ~text.str.lower().isin(_EMPTY).to_numpy()
    if 2 * wrong.sum() > (text != "").sum():
        example = text[wrong].iloc[0]
        commas = text[wrong].str.match(_COMMA).mean() > 0.5
        mend = "have a decimal comma: set file.decimal = ','" if commas else "are no numbers"
        raise FormatError(f"{source.where}: cells of {name} such as {example!r} {mend}")
    notes.warn(wrong.sum(), f"cells of {name} are no numbers; set to missing")
    fill = np.isin(values, what.missing)
    notes.changed(fill.sum(), f"fill values of {name} set to missing")
    return np.where(fill, np.nan, values)
