"""What a gas has in a TCCON file, whichever release, and the weights of dry air on levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.constants import MOLAR_MASS_DRY_AIR, MOLAR_MASS_WATER
from obsnet.schema import Quality
from obsnet.typing import Bools, Floats
from obsnet.units import convert
from stations.record.record import Notes

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["Column", "column_operator", "in_unit", "interpolate_columns", "level_weights"]


_SURFACE = (300.0, 1100.0)  # hPa: above the highest station, below the deepest high


@dataclass(frozen=True)
class Column:
    """The columns of one gas and their operators.

    Parameters
    ----------
    stamp : ndarray of datetime64, shape (rows,)
        UTC.
    value, error : ndarray, shape (rows,)
        In `unit`.
    unit, scale : str
        As the file says.
    kernel, prior, weight, pressure : ndarray, shape (rows, levels)
        Normalised averaging kernel, dry prior in `unit`, share of the dry air (sums to one), hPa; surface first.
    operator_sum : ndarray, shape (rows,)
        What the file's own weights of dry air sum to.
    bad : ndarray of bool, shape (rows,)
        Rows whose operator breaks its identities.
    file_prior : ndarray, shape (rows,), optional
        The file's own prior column, in `unit`.
    extras, attrs : dict
        More for the record.
    """

    stamp: np.ndarray
    value: Floats
    error: Floats
    unit: str
    scale: str
    kernel: Floats
    prior: Floats
    weight: Floats
    pressure: Floats
    operator_sum: Floats
    bad: Bools
    file_prior: Floats | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)


def level_weights(pressure: Floats, water: Floats, gravity: Floats, surface: Floats) -> Floats:
    """Return the share of a column's dry air that each level stands for.

    Parameters
    ----------
    pressure, water, gravity : ndarray, shape (rows, levels)
        hPa, surface first (levels below the ground are allowed); wet mole fraction of water; m s-2.
    surface : ndarray, shape (rows,)
        Surface pressure, hPa.

    Returns
    -------
    ndarray, shape (rows, levels)
        Sums to one; 0 on levels below the ground that no air lies next to; NaN where an input is missing or
        the surface pressure is none of this Earth.

    Notes
    -----
    Profiles are linear in pressure between levels. A layer's dry air is ``dp (1 - q) / (g M)`` with M of the
    moist air; its mean profile is that at the middle of the part above the ground (O'Dell et al. 2012,
    doi:10.5194/amt-5-99-2012, appendix A).
    """
    surface = np.where((surface > _SURFACE[0]) & (surface < _SURFACE[1]), surface, np.nan)
    low, high = pressure[:, :-1], pressure[:, 1:]
    bottom = np.minimum(low, surface[:, None])
    bottom[:, 0] = np.where(surface > low[:, 0], surface, bottom[:, 0])  # air below the lowest level
    thickness = np.maximum(bottom - high, 0.0)
    filled = thickness > 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(filled, (0.5 * (bottom + high) - high) / (low - high), 0.0)  # of the lower level

    def middle(profile: Floats) -> Floats:
        return share * profile[:, :-1] + (1.0 - share) * profile[:, 1:]

    q = middle(water)
    moist_mass = MOLAR_MASS_DRY_AIR * (1.0 - q) + MOLAR_MASS_WATER * q
    air = np.where(filled, thickness * (1.0 - q) / (middle(gravity) * moist_mass), 0.0)
    weight = np.zeros_like(pressure)
    weight[:, :-1] += air * share
    weight[:, 1:] += air * (1.0 - share)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = weight / weight.sum(axis=1, keepdims=True)
    return np.where(np.isfinite(surface)[:, None], weight, np.nan)


def interpolate_columns(nodes: Floats, table: Floats, at: Floats) -> Floats:
    """Return (levels, len(at)) of a table (levels, nodes), linear between nodes, clamped outside."""
    order = np.argsort(nodes)
    nodes, table = nodes[order], table[:, order]
    high = np.clip(np.searchsorted(nodes, at), 1, len(nodes) - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.clip((at - nodes[high - 1]) / (nodes[high] - nodes[high - 1]), 0.0, 1.0)
    return table[:, high - 1] * (1.0 - share) + table[:, high] * share


def column_operator(profiles: Mapping[str, Floats], quality: np.ndarray, notes: Notes) -> dict[str, Any]:
    """Return the variables of the observation contract's column operator.

    Parameters
    ----------
    profiles : mapping of str to ndarray, shape (rows, levels)
        ``averaging_kernel``, ``prior_profile``, ``pressure_weight`` and ``pressure_levels``.
    quality : ndarray of uint32, shape (rows,)
        Rows in which a part is missing are flagged here.
    notes : Notes
        Told how many those are, beside the ones flagged before.
    """
    ground = profiles["pressure_levels"][:, 0]
    odd = np.isfinite(ground) & ~((ground > _SURFACE[0]) & (ground < _SURFACE[1]))
    notes.warn(
        odd.sum(), f"rows begin at {np.median(ground[odd]) if odd.any() else 0:.6g} hPa (flagged 'operator')"
    )
    quality[odd] |= np.uint32(Quality.OPERATOR)
    missing = ~np.all([np.isfinite(values).all(axis=1) for values in profiles.values()], axis=0)
    known = quality & np.uint32(Quality.OPERATOR) != 0
    notes.warn((missing & ~known).sum(), "rows lack a kernel, prior or weight (flagged 'operator')")
    quality[missing] |= np.uint32(Quality.OPERATOR)
    found: dict[str, Any] = {name: (("time", "level"), values) for name, values in profiles.items()}
    found["prior_column"] = (profiles["pressure_weight"] * profiles["prior_profile"]).sum(axis=1)
    return found


def in_unit(record: Rows, unit: str) -> None:
    """Bring the priors of a record from the file's unit to that which `build` gave its values."""
    factor = float(convert(1.0, unit, record["value"].attrs["units"]))
    for name in ("prior_profile", "prior_column", "prior_column_file"):
        if name in record:
            record.variables[name] = replace(record[name], values=record[name].values * factor)
