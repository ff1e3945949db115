"""Records to the observation contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from obsnet.content import file_id
from obsnet.schema import PROFILES, observation_table

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["observations"]


def observations(record: xr.Dataset, *, digest: str) -> pa.Table:
    """Turn a record into a checked observation table.

    Parameters
    ----------
    record : xarray.Dataset
        See `stations.record.record`.
    digest : str
        sha256 of the file it came from.

    Returns
    -------
    pyarrow.Table
        `obsnet.schema.OBSERVATIONS`; every row of the record, flagged ones too. ``obs_id`` is
        ``<source>:<site>:<time>``, then the flask, or the intake height of continuous data, then ``#2`` …
        where a row repeats another. An uncertainty that the file does not give is null.

    Raises
    ------
    ConfigError
        The species is not one that `obsnet.constants` keeps ranges for.
    """
    attrs = record.attrs
    data = {str(n): record[n].values for n in record.variables}
    rows = record.sizes["time"]
    columns: dict[str, Any] = {
        "obs_id": _identities(record),
        "platform": _repeated(attrs["site"], rows),
        "scale": _texts(data["scale_row"]) if "scale_row" in data else _repeated(attrs["scale"], rows),
        "quality": data["quality"],
        "quality_original": _texts(data["quality_original"]),
        "n": pa.array(data["n"], mask=data["n"] < 0),
    }
    columns |= {n: data[n].astype("datetime64[us]") for n in ("time", "time_start", "time_end")}
    columns |= {n: data[n] for n in ("value", "latitude", "longitude")}
    for name in ("uncertainty", "uncertainty_systematic", "altitude_m", "intake_height_m", "prior_column"):
        if name in data:
            columns[name] = pa.array(data[name], from_pandas=True)
    if attrs["kind"] == "column":
        columns |= {n: data[n] for n in PROFILES if n in data}
        columns["vertical"] = _repeated(attrs["vertical"], rows)
    return observation_table(
        columns,
        species=attrs["species"],
        kind=attrs["kind"],
        source=attrs["source"],
        file_id=file_id(digest),
    )


def _repeated(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), rows)


def _texts(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(object), pa.string())


def _identities(record: xr.Dataset) -> pa.Array:
    """Return one identity a row, unique within source and site."""
    import pandas as pd

    times = np.datetime_as_string(record["time"].values.astype("datetime64[ms]"))
    text = pd.Series(times, dtype=object).str.removesuffix(".000") + "Z"
    sample = pd.Series(record["sample_id"].values, dtype=object)
    if record.attrs["kind"] == "point":
        heights, inverse = np.unique(record["intake_height_m"].values, return_inverse=True)
        names = np.array([f"{h:g}m" if np.isfinite(h) else "" for h in heights] or [""], dtype=object)
        sample = sample.where(sample != "", pd.Series(names[inverse], dtype=object))
    text = f"{record.attrs['source']}:{record.attrs['site']}:" + text + (":" + sample).where(sample != "", "")
    again = text.groupby(text, sort=False).cumcount()
    return _texts(text.where(again == 0, text + "#" + (again + 1).astype(str)).to_numpy())
