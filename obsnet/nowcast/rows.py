"""Estimates and forecasts as rows of the inventory contract, with intervals and covariance."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.inventory.words import NATION
from obsnet.nowcast.forecast import EmissionForecast
from obsnet.nowcast.rapid import RapidEstimate
from obsnet.nowcast.skill.scores import intervals
from obsnet.typing import Floats

__all__ = ["covariance_rows", "value_rows"]


def value_rows(found: RapidEstimate | EmissionForecast, draws: Floats, year: int, what: str) -> Any:
    """Return a year's values, and their sum as the nation's.

    Parameters
    ----------
    found : Estimate or Forecast
        What the draws are of.
    draws : ndarray, shape (draws, regions)
        Mt.
    year : int
    what : str
        For the column ``source``, which says the model and the years of its hindcasts.

    Returns
    -------
    pandas.DataFrame
        Columns of `obsnet.inventory.table`, then ``low80, high80, low90, high90, model``; ``value`` is the median,
        ``uncertainty`` the relative standard deviation.
    """
    import pandas as pd

    span = found.hindcast.table["target"]
    names = [*found.regions, NATION][: len(found.regions) + (len(found.regions) > 1)]
    values = np.concatenate([draws, draws.sum(axis=1, keepdims=True)], axis=1)[:, : len(names)]
    bounds = intervals(np.sort(values, axis=0))
    return pd.DataFrame(
        {
            "region": names, "period": str(year), "gas": found.gas, "category": found.category,
            "terminology": "" if found.category == "total" else "IPCC2006", "value": bounds[0], "unit": "Mt",
            "uncertainty": values.std(axis=0, ddof=1) / bounds[0],
            "source": f"obsnet nowcast: {what} by {found.model}, hindcast {span.min()}-{span.max()}", "edition": "",
            "low80": bounds[1], "high80": bounds[2], "low90": bounds[3], "high90": bounds[4], "model": found.model,
        }
    )  # fmt: skip


def covariance_rows(found: RapidEstimate | EmissionForecast, draws: Floats, year: int) -> Any:
    """Return the covariance of every two regions, in the columns that `obsnet inventory compile` writes."""
    import pandas as pd

    matrix = np.atleast_2d(np.cov(draws, rowvar=False))
    sd = np.sqrt(np.diagonal(matrix))
    first, second = np.indices(matrix.shape).reshape(2, -1)
    names = np.array(found.regions, dtype=object)
    return pd.DataFrame(
        {
            "region": names[first], "other": names[second], "period": str(year), "gas": found.gas,
            "covariance": matrix.ravel(), "unit": "Mt2", "correlation": (matrix / np.outer(sd, sd)).ravel(),
        }
    )  # fmt: skip
