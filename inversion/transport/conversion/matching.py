"""Which receptor of a footprint file stands for which observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inversion.transport.files.footprint import FootprintFile
from obsnet.errors import ConfigError
from obsnet.sphere import great_circle_km

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["match_observations", "receptor_names"]


def receptor_names(
    opened: Sequence[FootprintFile], observations: pa.Table | None, max_km: float, max_minutes: float
) -> tuple[dict[str, tuple[str, ...]] | None, int]:
    """Return the observations that each receptor stands for, and how many observations have none.

    Without observations receptors keep their own names: None.

    Raises
    ------
    ConfigError
        No observation has one.
    """
    import pandas as pd

    if observations is None:
        return None, 0
    receptors = pd.concat([o.receptors for o in opened], ignore_index=True)
    matched = match_observations(receptors, observations, max_km=max_km, max_minutes=max_minutes)
    out: dict[str, tuple[str, ...]] = {}
    for obs_id, receptor in matched.items():
        out[receptor] = (*out.get(receptor, ()), obs_id)
    if not out:
        raise ConfigError(
            f"none of {len(observations)} observations lies within {max_km:g} km and {max_minutes:g} min of "
            f"one of {len(receptors)} receptors ({receptors['time'].min()} to {receptors['time'].max()})"
        )
    return out, len(observations) - len(matched)


def match_observations(
    receptors: pd.DataFrame, observations: pa.Table, *, max_km: float = 5.0, max_minutes: float = 30.0
) -> dict[str, str]:
    """Find the receptor that stands for each observation.

    Parameters
    ----------
    receptors : pandas.DataFrame
        As in `FootprintFile.receptors`.
    observations : pyarrow.Table
        Columns ``obs_id, time, latitude, longitude`` and optionally ``intake_height_m``.
    max_km : float
        Largest distance on the ground.
    max_minutes : float
        Largest time between the observation and the receptor's interval.

    Returns
    -------
    dict of str to str
        Receptor by observation: the one nearest in time, then in intake height, then in distance.
        Observations without one are not in it.
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
    out = {}
    for i, obs_id in enumerate(observations["obs_id"].to_pylist()):
        low = np.searchsorted(begins, when[i] - slack - longest, side="left")
        high = np.searchsorted(begins, when[i] + slack, side="right")
        near = order[low:high] if n else order
        apart = np.maximum(np.maximum(start[near] - when[i], when[i] - end[near]), 0)
        far = great_circle_km(place[0][i], place[1][i], lat[near], lon[near])
        fits = (apart <= slack) & (far <= max_km)
        if not fits.any():
            continue
        near, apart, far = near[fits], apart[fits], far[fits]
        rise = np.nan_to_num(np.abs(height[near] - intake[i]))
        out[obs_id] = str(names[near[np.lexsort((near, far, rise, apart))[0]]])
    return out
