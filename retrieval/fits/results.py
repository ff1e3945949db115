"""What soundings gave, as a netCDF file of everything, rows of the observation contract and a line for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import xarray as xr

from obsnet.constants import SPECIES
from obsnet.constants import species as species_of
from obsnet.schema import Quality
from obsnet.units import conversion_factor
from obsnet.work.kept import Arrays
from retrieval.estimation.observations import column_table
from retrieval.estimation.options import RetrievalOutcome
from retrieval.fits.fit import PARTS
from retrieval.fits.plan import FitPlan

__all__ = ["FittedSounding", "observation_rows", "results_dataset", "told"]

# What a variable is, where its own line does not say it; CF asks it of each.
_LONG_NAMES = {
    "about": "what else the file says of the sounding",
    "altitude": "height of the surface above the sea",
    "averaging_kernel": "averaging kernel of the state: change of the estimate with the truth",
    "channel_window": "window that the channel belongs to, from 0; -1: none",
    "covariance": "covariance of the errors of the state",
    "degrees_of_freedom": "degrees of freedom for signal",
    "iterations": "iterations of the fit",
    "land_fraction": "share of land in the footprint",
    "latitude": "latitude of the footprint's middle",
    "longitude": "longitude of the footprint's middle",
    "modelled": "radiance of the model after the fit, in the unit of the file",
    "noise": "standard deviation of the radiance's noise, in the unit of the file",
    "noise_covariance": "covariance of the state's errors from noise alone",
    "outcome": "how the retrieval ended",
    "pressure_edges": "pressure at the edges of the layers",
    "prior": "state before the fit",
    "prior_uncertainty": "standard deviation of the state before the fit",
    "sounding": "name of the sounding",
    "state": "name of the element of the state",
    "status": "fitted, or why not",
    "sun": "zenith angle of the sun",
    "time": "time of the measurement",
    "uncertainty": "standard deviation of the state after the fit",
    "used": "1: the channel was fitted",
    "view": "zenith angle of the view",
    "window": "name of the window",
}
_STANDARD_NAMES = {
    "latitude": "latitude",
    "longitude": "longitude",
    "altitude": "surface_altitude",
    "time": "time",
    "sun": "solar_zenith_angle",
    "land_fraction": "land_area_fraction",
}


@dataclass(frozen=True)
class FittedSounding:
    """One sounding of a file after its fit.

    Parameters
    ----------
    place : dict
        Of `retrieval.fits.run`: identity, time, latitude …
    arrays : dict of str to ndarray
        Of `retrieval.fits.fit.fit_sounding`; empty where there was no fit.
    status : str
        ``fitted`` or why not.
    cloudy : bool
        Whether a screen turned it down.
    """

    place: dict[str, Any]
    arrays: Arrays
    status: str
    cloudy: bool

    @property
    def outcome(self) -> RetrievalOutcome:
        """How the retrieval ended."""
        if not self.arrays:
            return RetrievalOutcome.NO_DATA
        return RetrievalOutcome(int(self.arrays["outcome"]))

    def gases(self) -> list[str]:
        """Gases with a column."""
        return [name for name in SPECIES if f"{name}_value" in self.arrays]


def observation_rows(
    plan: FitPlan, fitted: Sequence[FittedSounding], gas: str, file_id: str
) -> pa.Table | None:
    """Return rows of the observation contract of one gas; None where no sounding has a column of it."""
    some = [f for f in fitted if gas in f.gases()]
    if not some:
        return None

    def stack(name: str) -> np.ndarray:
        return np.stack([f.arrays[name] for f in some])

    square = ("sounding", "state", "state_2")
    result = xr.Dataset(
        {
            "value": (("sounding", "state"), stack(f"{gas}_value")),
            "prior": (("sounding", "state"), stack(f"{gas}_prior")),
            "covariance": (square, stack(f"{gas}_covariance")),
            "averaging_kernel": (square, stack(f"{gas}_averaging_kernel")),
            "outcome": ("sounding", [int(f.outcome) for f in some]),
        }
    )
    produced = [Quality.PRODUCER.value if f.place["rejected"] else 0 for f in some]
    places = [f.place for f in some]
    return column_table(
        result,
        np.arange(result.sizes["state"]),
        stack("pressure_edges"),
        species=gas,
        time=np.array([p["time"] for p in places], dtype="datetime64[us]"),
        latitude=[p["latitude"] for p in places],
        longitude=[p["longitude"] for p in places],
        source=plan.options.rows_source,
        platform=places[0]["platform"],
        specific_humidity=stack("specific_humidity"),
        gravity=stack("gravity"),
        rejected=[f.cloudy for f in some],
        identity=[p["identity"] for p in places],
        quality=produced,
        file_id=file_id,
        more={
            "altitude_m": [p["altitude"] for p in places],
            "land_fraction": np.array([p["land_fraction"] for p in places], dtype=np.float32),
        },
    )


def told(plan: FitPlan, fitted: FittedSounding, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return one sounding for people and JSON; `rows` are its observation rows by gas."""
    place, arrays = fitted.place, fitted.arrays
    out: dict[str, Any] = {
        "sounding": place["identity"],
        "time": str(place["time"])[:19],
        "latitude": place["latitude"],
        "longitude": place["longitude"],
        "status": fitted.status,
        "outcome": fitted.outcome.name.lower(),
        "cloudy": fitted.cloudy,
        "rejected": place["rejected"],
    }
    if not arrays:
        return out
    at = dict(zip(arrays["names"].tolist(), arrays["value"].tolist(), strict=True))
    error = dict(zip(arrays["names"].tolist(), arrays["uncertainty"].tolist(), strict=True))
    surface, met = arrays["surface_pressure"].tolist()
    out |= {
        "iterations": int(arrays["iterations"]),
        "degrees_of_freedom": float(arrays["degrees_of_freedom"]),
        "chi2": {w.name: float(c) for w, c in zip(plan.windows, arrays["chi2"], strict=True)},
        "shift": {w.name: float(c) for w, c in zip(plan.windows, arrays["shift"], strict=True)},
        "residual": {w.name: r for w, r in zip(plan.windows, arrays["residual"].tolist(), strict=True)},
        "channels_left_out": json.loads(str(arrays["left_out"])),
        "surface_pressure_met": met,
        "scale": {n.removesuffix("_scale"): v for n, v in at.items() if n.endswith("_scale")},
        "scale_uncertainty": {n.removesuffix("_scale"): v for n, v in error.items() if n.endswith("_scale")},
    }
    if "surface_pressure" in at:
        out |= {"surface_pressure": surface, "surface_pressure_uncertainty": error["surface_pressure"]}
    if "temperature_offset" in at:
        out |= {"temperature_offset": at["temperature_offset"]}
    if "scattering_depth" in at:
        parts = ("height", "depth", "exponent")
        out["layer"] = {n: at[f"scattering_{n}"] for n in parts}
        out["layer"] |= {f"{n}_uncertainty": error[f"scattering_{n}"] for n in parts}
    for gas, row in rows.items():
        one = conversion_factor("mol mol-1", species_of(gas).unit)
        out[f"x{gas.lower()}"] = {
            "value": row["value"],
            "uncertainty": row["uncertainty"],
            "prior": row["prior_column"],
            "unit": species_of(gas).unit_name,
            "quality": Quality.names(row["quality"]),
            **{n: float(v) * one for n, v in zip(PARTS, arrays[f"{gas}_parts"], strict=True)},
        }
    return out


def results_dataset(plan: FitPlan, fitted: Sequence[FittedSounding], origin: str) -> xr.Dataset:
    """Return all that was found of a file's soundings; NaN where there was no fit."""
    good = [f for f in fitted if f.arrays]
    names = good[0].arrays["names"].tolist() if good else []
    windows = [w.name for w in plan.windows]
    channels = max((len(f.arrays["radiance"]) for f in good if "radiance" in f.arrays), default=0)
    layers = plan.options.fit.layers

    def fill(name: str, *shape: int, whole: float = np.nan) -> np.ndarray:
        out = np.full((len(fitted), *shape), whole)
        for k, f in enumerate(fitted):
            if name in f.arrays:
                values = np.asarray(f.arrays[name], dtype=np.float64)
                part = out[k : k + 1].reshape(out.shape[1:])
                part[tuple(slice(0, n) for n in values.shape)] = values
        return out

    n = len(names)
    square = ("sounding", "state", "state_2")
    variables: dict[str, Any] = {
        "status": ("sounding", [f.status for f in fitted]),
        "cloudy": (
            "sounding",
            np.array([f.cloudy for f in fitted], dtype=np.int8),
            {"long_name": "turned down by a screen"},
        ),
        "outcome": (
            "sounding",
            np.array([int(f.outcome) for f in fitted], dtype=np.int8),
            {
                "flag_values": np.array([o.value for o in RetrievalOutcome], dtype=np.int8),
                "flag_meanings": " ".join(o.name.lower() for o in RetrievalOutcome),
            },
        ),
        "degrees_of_freedom": ("sounding", fill("degrees_of_freedom")),
        "iterations": ("sounding", fill("iterations")),
        "chi2": (("sounding", "window"), fill("chi2", len(windows)), {"long_name": "reduced chi2"}),
        "channels": (("sounding", "window"), fill("channels", len(windows)), {"long_name": "channels used"}),
        "shift": (
            ("sounding", "window"),
            fill("shift", len(windows)),
            {"long_name": "relative shift of the wavenumbers"},
        ),
        "value": (("sounding", "state"), fill("value", n), {"long_name": "state"}),
        "prior": (("sounding", "state"), fill("prior", n)),
        "prior_uncertainty": (("sounding", "state"), fill("prior_uncertainty", n)),
        "uncertainty": (("sounding", "state"), fill("uncertainty", n)),
        "covariance": (square, fill("covariance", n, n)),
        "noise_covariance": (square, fill("noise_covariance", n, n)),
        "averaging_kernel": (square, fill("averaging_kernel", n, n)),
        "pressure_edges": (("sounding", "edge"), fill("pressure_edges", layers + 1), {"units": "hPa"}),
        "wavenumber": (
            ("sounding", "channel"),
            fill("wavenumber", channels),
            {"units": "cm-1", "long_name": "as the file states it"},
        ),
        "radiance": (
            ("sounding", "channel"),
            fill("radiance", channels),
            {"long_name": "in the unit of the file"},
        ),
        "noise": (("sounding", "channel"), fill("noise", channels)),
        "modelled": (("sounding", "channel"), fill("modelled", channels)),
        "used": (("sounding", "channel"), fill("used", channels, whole=0.0).astype(np.int8)),
        "channel_window": (("sounding", "channel"), fill("window", channels, whole=-1.0).astype(np.int8)),
        "left_out": (
            "sounding",
            [str(f.arrays.get("left_out", "")) for f in fitted],
            {"long_name": "channels by reason"},
        ),
    }
    for name, unit in (
        ("latitude", "degrees_north"),
        ("longitude", "degrees_east"),
        ("altitude", "m"),
        ("sun", "degree"),
        ("view", "degree"),
        ("land_fraction", "1"),
    ):
        variables[name] = ("sounding", [float(f.place[name]) for f in fitted], {"units": unit})
    variables["about"] = ("sounding", [json.dumps(f.place["about"]) for f in fitted])
    first = good[0].arrays if good else {}
    layer = plan.options.fit.layer
    data = xr.Dataset(
        variables,
        coords={
            "sounding": [f.place["identity"] for f in fitted],
            "time": (
                "sounding",
                np.array([f.place["time"] for f in fitted], dtype="datetime64[us]").astype("datetime64[ns]"),
            ),
            "state": names,
            "window": windows,
        },
        attrs={
            "title": f"Columns retrieved from {origin} under {'one thin layer' if layer else 'a clear sky'}",
            "summary": "Optimal estimation with a model of sunlight that is "
            + ("scattered by one thin layer alone." if layer else "not scattered."),
            "source": origin,
            "license": "as the input",
            "obsnet_contract": "clear-sky retrieval 1",
            "clear_sky_only": int(not layer),
            "not_modelled": str(first.get("not_modelled", "")),
            "prior_deviations": str(first.get("prior_deviations", "")),
            **{f"assumed_{k}": v for k, v in plan.assumptions.items()},
            "options": json.dumps(plan.options.model_dump(mode="json")),
        },
    )
    for key, texts in (("long_name", _LONG_NAMES), ("standard_name", _STANDARD_NAMES)):
        for name, text in texts.items():
            data[name].attrs.setdefault(key, text)
    return data
