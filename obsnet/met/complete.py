"""One time of a file, completed: on the target grid, in canonical units, with what follows from the rest."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from obsnet.constants import GRAVITY, R_DRY_AIR
from obsnet.errors import MissingVariableError, RangeError
from obsnet.met.fluxes import FLUXES, KINDS
from obsnet.met.horizontal import Resampler
from obsnet.met.names import VARIABLES
from obsnet.met.vertical import VAPOUR, heights_from_pressure
from obsnet.times import from_epoch
from obsnet.typing import Singles

__all__ = ["Fields", "announce", "complete"]

Fields = dict[str, Singles]
ROUGHNESS = 0.1  # m, where the file gives none: open country with crops
LAPSE = 0.0065  # K m-1, to carry temperature to the ground where there is no 2 m temperature
_VECTORS = ("u", "v", "u10", "v10", "stress_u", "stress_v") + tuple(
    f"stress_{axis}_{kind}" for kind in KINDS for axis in "uv"
)
_SUMS = {f"{name}_{kind}" for name in FLUXES for kind in KINDS}
_NEEDED = ({"u"}, {"v"}, {"t"}, {"sp", "lnsp"}, {"omega", "w"})
_ASSUMED = (
    ({"q", "rh"}, "no humidity: dry air assumed"),
    ({"blh"}, "no boundary-layer height: bulk Richardson number (critical 0.25)"),
    ({"u10"}, "no 10 m wind: logarithmic profile from the lowest level"),
    ({"t2m"}, "no 2 m temperature: carried down from the lowest level at 6.5 K/km"),
    (
        {"ustar", "stress_u", *(f"stress_u_{kind}" for kind in KINDS)},
        "no friction velocity or stress: logarithmic law with the lowest wind",
    ),
    (
        {"heat_flux", *(f"heat_flux_{kind}" for kind in KINDS)},
        "no sensible heat flux: neutral stability assumed",
    ),
    ({"roughness"}, f"no roughness length: {ROUGHNESS:g} m assumed"),
)


def announce(names: set[str]) -> list[str]:
    """Refuse what cannot be done without, and say what is assumed instead of the rest.

    Raises
    ------
    MissingVariableError
        Wind, temperature, pressure, vertical velocity or terrain is missing.
    """
    for wanted in _NEEDED:
        if not wanted & names:
            what = " or ".join(VARIABLES[v].text for v in sorted(wanted))
            raise MissingVariableError(
                f"meteorology without {what} ({'/'.join(sorted(wanted))}); found {', '.join(sorted(names))}"
            )
    if not {"height", "geopotential"} & names and not {"terrain", "surface_geopotential"} & names:
        raise MissingVariableError(
            "meteorology without terrain: a surface geopotential, or geopotential on levels, is needed"
        )
    return [text for wanted, text in _ASSUMED if not wanted & names]


def complete(raw: Fields, resampler: Resampler, time: float) -> Fields:
    """Bring one time to the target grid and fill in what follows from the rest.

    Parameters
    ----------
    raw : dict
        From a reader.
    resampler : Resampler
        To the target grid.
    time : float
        Seconds since 1970.

    Returns
    -------
    dict
        Beside what the file has: ``p`` on every node, ``sp, q, terrain, height, density, u10, v10, t2m, roughness``;
        ``time``, ``on_pressure`` and ``has_10m`` as arrays of one value.

    Raises
    ------
    RangeError
        Values beyond physics.
    """
    out = _on_grid(raw, resampler)
    _check_whole(out, time)
    shape = out["u"].shape
    out["time"], out["on_pressure"] = np.array(time), np.array(out["p"].ndim == 1)
    if out["p"].ndim == 1:
        out["p"] = np.broadcast_to(out["p"][:, None, None], shape).astype(np.float32)
    _humidity_and_pressure(out, shape)
    _check_ranges(out, time)
    _geometry(out)
    virtual = out["t"] * (1.0 + np.float32(VAPOUR) * out["q"])
    out["density"] = np.asarray(out["p"] / (np.float32(R_DRY_AIR) * virtual), dtype=np.float32)
    _near_ground(out, shape)
    return out


def _on_grid(raw: Fields, resampler: Resampler) -> Fields:
    """Return fields on the target grid, vectors turned to east and north."""
    out: Fields = {}
    for name, values in raw.items():
        if name not in _VECTORS:
            out[name] = resampler(values) if values.ndim > 1 else values
    for a, b in zip(_VECTORS[::2], _VECTORS[1::2], strict=True):
        if a in raw and b in raw:
            out[a], out[b] = resampler.wind(raw[a], raw[b])
    return out


def _check_whole(out: Fields, time: float) -> None:
    """Refuse values that are missing; those at the edge of the first time have been cut off or refused before."""
    for name, values in out.items():
        holes = int(values.size - np.count_nonzero(np.isfinite(values)))
        if holes:
            text = VARIABLES[name].text if name in VARIABLES else name
            raise RangeError(
                f"{text} at {from_epoch(time)} is missing (NaN) at {holes} of {values.size} nodes of the domain"
            )


def _humidity_and_pressure(out: Fields, shape: Iterable[int]) -> None:
    if "sp" not in out:
        out["sp"] = np.exp(out["lnsp"])
    if "q" not in out:
        out["q"] = (
            _specific_humidity(out["rh"], out["t"], out["p"])
            if "rh" in out
            else np.zeros(tuple(shape), np.float32)
        )
    for variable, target in (("geopotential", "height"), ("surface_geopotential", "terrain")):
        if target not in out and variable in out:
            out[target] = out[variable] / np.float32(GRAVITY)


def _check_ranges(out: Fields, time: float) -> None:
    """Refuse values beyond physics; sums over windows are judged as rates, once they are."""
    for name, values in out.items():
        limits = VARIABLES.get(name)
        if limits is None or name in _SUMS:
            continue
        low, high = float(np.min(values)), float(np.max(values))
        if not (low >= limits.low and high <= limits.high):
            raise RangeError(
                f"{limits.text} at {from_epoch(time)} spans {low:g} to {high:g} {limits.unit}, outside "
                f"{limits.low:g} to {limits.high:g}"
            )


def _geometry(out: Fields) -> None:
    if "terrain" not in out:
        out["terrain"] = _height_at(out["sp"], out["p"], out["height"])
    if "height" not in out:
        out["height"] = heights_from_pressure(out["p"], out["t"], out["q"], out["sp"], out["terrain"])


def _near_ground(out: Fields, shape: tuple[int, ...]) -> None:
    """Fill in 10 m wind, 2 m temperature and roughness where the file has none."""
    out["has_10m"] = np.array("u10" in out and "v10" in out)
    for name in ("u10", "v10"):
        out.setdefault(name, np.zeros(shape[1:], np.float32))
    if "t2m" not in out:
        k = (out["height"] <= out["terrain"]).sum(axis=0)[None].clip(0, shape[0] - 1)
        lowest, at = (np.take_along_axis(out[n], k, 0)[0] for n in ("t", "height"))
        out["t2m"] = (lowest + LAPSE * (at - out["terrain"])).astype(np.float32)
    out.setdefault("roughness", np.full(shape[1:], ROUGHNESS, np.float32))
    out["roughness"] = np.clip(out["roughness"], 1e-5, 3.0).astype(np.float32)


def _specific_humidity(rh: npt.NDArray, t: npt.NDArray, p: npt.NDArray) -> Singles:
    """Return specific humidity from relative humidity over water (Bolton 1980, eq. 10), in %."""
    vapour = 0.01 * np.clip(rh, 0.0, 100.0) * 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65))
    vapour = np.minimum(vapour, 0.3 * p)
    return np.asarray(0.622 * vapour / (p - 0.378 * vapour), dtype=np.float32)


def _height_at(sp: npt.NDArray, p: npt.NDArray, height: npt.NDArray) -> Singles:
    """Return the height where the pressure is the surface's, linear in log p, carried on below the lowest level."""
    k = np.clip((p > sp).sum(axis=0), 1, p.shape[0] - 1)[None]
    low, high = (np.take_along_axis(np.log(p), n, 0)[0] for n in (k - 1, k))
    za, zb = (np.take_along_axis(height, n, 0)[0] for n in (k - 1, k))
    return np.asarray(za + (np.log(sp) - low) / (high - low) * (zb - za), dtype=np.float32)
