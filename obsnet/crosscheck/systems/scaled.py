"""Posteriors that are factors of a prior: the Integrated Methane Inversion writes the two in files of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.conventions import TimeStamp
from obsnet.errors import ConfigError, GridError, MissingVariableError
from obsnet.flux_reader import read_any_flux
from obsnet.grid import Grid, centre_order
from obsnet.opening import open_xarray
from obsnet.reading import reading
from obsnet.typing import Floats

__all__ = ["read_scaled"]

_FACTOR, _TOTAL, _SOIL = "ScaleFactor", "EmisCH4_Total", "EmisCH4_SoilAbsorb"


def read_scaled(path: str, prior: str | None, time_is: TimeStamp | None, period: Any) -> dict[str, Any]:
    """Return scale factors times prior emissions; the soil sink is not scaled.

    Parameters
    ----------
    path : str
        ``gridded_posterior.nc`` with ``ScaleFactor`` (lat, lon).
    prior : str
        HEMCO diagnostics with ``EmisCH4_Total`` and ``EmisCH4_SoilAbsorb`` (negative), kg m-2 s-1 of CH4.
    time_is, period
        As of `obsnet.cf.read_flux`, for the prior.

    Returns
    -------
    dict
        As `obsnet.flux_reader.read_any_flux`, one sector.

    Raises
    ------
    ConfigError
        No prior is given.
    GridError
        The two are on different grids.
    """
    if prior is None:
        raise ConfigError(
            f"{path}: holds factors of a prior; say prior=FILE, the HEMCO diagnostics with {_TOTAL}"
        )
    with reading(prior, "HEMCO diagnostics"):
        found = read_any_flux(prior, [_TOTAL, _SOIL], "CH4", None, "substance", time_is, period, "propagate")
    with reading(path, "a gridded posterior"):
        grid, factor = _factors(path)
    if not grid.nearly(found["grid"]):
        raise GridError(f"{path} is on {grid!r}, its prior {prior} on {found['grid']!r}")
    total, soil = found["flux"][:, 0], found["flux"][:, 1]
    return {
        **found,
        "flux": (soil + factor * (total - soil))[:, None],
        "sectors": [_TOTAL],
        "uncertainty": None,
    }


def _factors(path: str) -> tuple[Grid, Floats]:
    with open_xarray(path) as data:
        if _FACTOR not in data:
            raise MissingVariableError(
                f"{path}: no variable {_FACTOR!r}; there is {', '.join(map(str, data.data_vars))}"
            )
        field = data[_FACTOR].squeeze([d for d in data[_FACTOR].dims if d not in {"lat", "lon"}], drop=True)
        centres = [np.asarray(data[axis].values, float) for axis in ("lat", "lon")]
        rows, columns = centre_order(*centres)
        values = np.asarray(field.transpose("lat", "lon").values, float)
    return Grid.from_centres(*centres), values[np.ix_(rows, columns)]
