"""Which receptor of a footprint file stands for which observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inversion.transport.files.footprint import FootprintFile
from obsnet.errors import ConfigError
from obsnet.sphere import great_circle_km

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["WANTED", "Matches", "match_observations", "receptor_names"]


WANTED = ("obs_id", "time", "latitude", "longitude", "intake_height_m", "kind", "platform")
_DEEP = (
    1000.0  # m above ground: no intake is so high, but the middle of a release through the whole column is
)


class Matches(NamedTuple):
    """Which observations each receptor stands for.

    Parameters
    ----------
    names : dict or None
        Observations by receptor; None where receptors keep their own names.
    unmatched : int
        Observations without a receptor.
    notes : dict of str to int
        What is to be known of those that have one, with the number of files it is of.
    """

    names: dict[str, tuple[str, ...]] | None
    unmatched: int = 0
    notes: Mapping[str, int] = MappingProxyType({})


def receptor_names(
    opened: Sequence[FootprintFile], observations: pa.Table | None, max_km: float, max_minutes: float
) -> Matches:
    """Return the observations that each receptor stands for.

    Raises
    ------
    ConfigError
        No observation has one.
    """
    import pandas as pd

    if observations is None:
        return Matches(None)
    receptors = pd.concat(
        [o.receptors.assign(column=_is_column(o), file=i) for i, o in enumerate(opened)], ignore_index=True
    )
    matched = match_observations(receptors, observations, max_km=max_km, max_minutes=max_minutes)
    out: dict[str, tuple[str, ...]] = {}
    for obs_id, receptor in matched.items():
        out[receptor] = (*out.get(receptor, ()), obs_id)
    if not out:
        raise ConfigError(
            f"none of {len(observations)} observations lies within {max_km:g} km and {max_minutes:g} min of "
            f"one of {len(receptors)} receptors ({receptors['time'].min()} to {receptors['time'].max()}), columns "
            "with columns and points with points"
        )
    return Matches(out, len(observations) - len(matched), _heights(receptors, observations, matched))


def _is_column(source: FootprintFile) -> bool:
    """Tell a column from a receptor whose height nobody gave."""
    return source.column and source.weighting in ("kernel", "pressure")


def _heights(receptors: pd.DataFrame, observations: pa.Table, matched: Mapping[str, str]) -> dict[str, int]:
    """Return a line for each intake whose footprints were released at another height, with its number of files."""
    if "intake_height_m" not in observations.column_names:
        return {}
    columns = [c for c in ("obs_id", "platform", "intake_height_m") if c in observations.column_names]
    found = observations.select(columns).to_pandas().dropna(subset=["intake_height_m"])
    found = found.assign(receptor=found["obs_id"].map(matched)).dropna(subset=["receptor"])
    found = found.merge(
        receptors.set_index("obs_id")[["height_m", "file"]], left_on="receptor", right_index=True
    )
    apart = (found["height_m"] - found["intake_height_m"]).abs()
    other = found[(apart >= 5.0) & (apart > 0.1 * found["intake_height_m"])]
    keys = [k for k in ("platform", "intake_height_m", "height_m") if k in other]
    lines = {}
    for key, rows in other.groupby(keys, dropna=False):
        *name, intake, height = key
        line = (
            f"{len(rows)} observations{f' of {name[0]}' if name else ''} at {intake:g} m stand on footprints released "
            f"at {height:g} m: the model sees other air than the instrument"
        )
        lines[line] = int(rows["file"].nunique())
    return lines


def match_observations(
    receptors: pd.DataFrame, observations: pa.Table, *, max_km: float = 5.0, max_minutes: float = 30.0
) -> dict[str, str]:
    """Find the receptor that stands for each observation.

    Parameters
    ----------
    receptors : pandas.DataFrame
        As in `FootprintFile.receptors`; optionally ``column``, true where a receptor is known to be a column.
    observations : pyarrow.Table
        Columns ``obs_id, time, latitude, longitude`` and optionally ``intake_height_m, kind``.
    max_km : float
        Largest distance on the ground.
    max_minutes : float
        Largest time between the observation and the receptor's interval.

    Returns
    -------
    dict of str to str
        Receptor by observation: the one nearest in time, then in intake height, then in distance.
        Observations without one are not in it. A column takes no receptor of an intake, and a point takes no column.
    """
    n = len(receptors)
    start, end = (
        receptors[k].to_numpy().astype("datetime64[us]").astype(np.int64) for k in ("time_start", "time_end")
    )
    order = np.argsort(start, kind="stable")
    begins = start[order]
    lat, lon, height = (receptors[k].to_numpy(dtype=float) for k in ("latitude", "longitude", "height_m"))
    names = receptors["obs_id"].to_numpy()
    slack = round(max_minutes * 6e7)
    longest = int((end - start).max(initial=0))
    when = observations["time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    intake = np.full(len(observations), np.nan)
    if "intake_height_m" in observations.column_names:
        intake = observations["intake_height_m"].to_numpy(zero_copy_only=False).astype(float)
    place = [observations[k].to_numpy() for k in ("latitude", "longitude")]
    column = receptors["column"].to_numpy(dtype=bool) if "column" in receptors else np.zeros(n, dtype=bool)
    intakes = ~column & (height < _DEEP)
    kinds = observations["kind"].to_pylist() if "kind" in observations.column_names else [None] * len(intake)
    wrong = {"column": intakes, "point": column, None: np.zeros(n, dtype=bool)}
    out = {}
    for i, obs_id in enumerate(observations["obs_id"].to_pylist()):
        low = np.searchsorted(begins, when[i] - slack - longest, side="left")
        high = np.searchsorted(begins, when[i] + slack, side="right")
        near = order[low:high] if n else order
        apart = np.maximum(np.maximum(start[near] - when[i], when[i] - end[near]), 0)
        far = great_circle_km(place[0][i], place[1][i], lat[near], lon[near])
        fits = (apart <= slack) & (far <= max_km) & ~wrong[kinds[i]][near]
        if not fits.any():
            continue
        near, apart, far = near[fits], apart[fits], far[fits]
        rise = np.nan_to_num(np.abs(height[near] - intake[i]))
        out[obs_id] = str(names[near[np.lexsort((near, far, rise, apart))[0]]])
    return out
