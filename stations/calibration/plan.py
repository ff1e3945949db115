"""How an analyser is calibrated, as a TOML file: valves, tanks, times to leave out, form of the response."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from obsnet.config import Options, read_toml, validate
from stations.calibration.tanks import TankDrift, fit_tank_drift

__all__ = ["CalibrationPlan", "ResponsePlan", "Tank", "WaterPlan", "load_plan"]


class WaterPlan(Options):
    """``[water]``: whose dry values are calibrated."""

    source: Literal["analyser", "own", "residual", "wet"] = Field(
        "analyser",
        description="the analyser's dry values; a correction of one's own to wet values (own), or to the analyser's "
        "dry values, whose factory correction is undone first (residual); or wet values as they are",
    )
    a: float | None = Field(None, description="own correction, per %; the factory's where left out")
    b: float | None = Field(None, description="own correction, per %^2")
    a_sd: float = Field(0.0, ge=0)
    b_sd: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _has_coefficients(self) -> WaterPlan:
        if (self.a is None) != (self.b is None):
            raise ValueError("a and b of the water correction go together")
        if self.source == "residual" and self.a is None:
            raise ValueError(
                "a residual water correction needs a and b of one's own analyser (a droplet test)"
            )
        return self


class ResponsePlan(Options):
    """``[response]``: the form of the curve and how it is carried from one calibration to the next."""

    degree: Literal[1, 2] = 1
    method: Literal["wls", "odr"] = "odr"
    between: Literal["linear", "mean"] = Field(
        "linear", description="linear in time, or the mean of both sides"
    )
    episode_gap_hours: float = Field(
        12.0,
        gt=0,
        description="a longer pause between tank runs ends an episode, as does a standard that comes round again "
        "with air between",
    )
    reading_sd: float | None = Field(None, gt=0, description="least uncertainty of a tank's mean reading")


class Tank(Options):
    """``[[tank]]``: a gas on a valve."""

    name: str
    valve: int
    role: Literal["standard", "target", "working"]
    value: float | None = None
    uncertainty: float | None = Field(None, gt=0)
    calibrations: tuple[tuple[float, float, float], ...] = Field(
        (), description="decimal year, value, uncertainty of each calibration by the central laboratory"
    )
    type_b: float = Field(
        0.0, ge=0, description="uncertainty that all calibrations share: more of them do not make it smaller"
    )
    drift_per_year: float | None = Field(
        None,
        ge=0,
        description="likely drift after the last calibration, where their dates are too few to show it",
    )
    degree: Literal["auto", "mean", "linear", "quadratic"] = "auto"

    @model_validator(mode="after")
    def _has_value(self) -> Tank:
        if bool(self.calibrations) == (self.value is not None):
            raise ValueError(f"tank {self.name!r} needs either value and uncertainty, or calibrations")
        if self.value is not None and self.uncertainty is None:
            raise ValueError(f"tank {self.name!r} needs the uncertainty of its value")
        if self.drift_per_year is not None and not self.calibrations:
            raise ValueError(
                f"tank {self.name!r}: drift_per_year needs a date: calibrations = [[year, value, uncertainty]]"
            )
        return self

    def drift(self) -> TankDrift:
        """Return the tank's value over time."""
        if not self.calibrations:  # a value holds for any time
            value, sd = np.array([self.value]), np.array([self.uncertainty])
            return replace(
                fit_tank_drift(np.array([2000.0]), value, sd, self.type_b), first=-np.inf, last=np.inf
            )
        year, value, sd = np.array(self.calibrations, dtype=np.float64).T
        drift = fit_tank_drift(year, value, sd, self.type_b, degree=self.degree)
        if np.isnan(drift.missed).any() and self.drift_per_year is not None:
            return replace(drift, missed=np.array([0.0, self.drift_per_year, 0.0, 0.0]))
        return drift


class CalibrationPlan(Options):
    """A calibration plan."""

    species: str
    scale: str
    site: str = ""
    longitude: float = float("nan")
    latitude: float = float("nan")
    altitude_m: float = float("nan")
    intake_height_m: float = float("nan")
    valve: str = Field("mpv_position", description="variable of the record that tells the gas")
    air: tuple[int, ...] = Field(min_length=1)
    discard_minutes: float = Field(5.0, ge=0, description="left out after a switch to a tank")
    air_discard_minutes: float = Field(5.0, ge=0, description="left out after a switch to air")
    gap_minutes: float = Field(10.0, gt=0)
    average_minutes: float = Field(60.0, gt=0)
    minimum_readings: int = Field(10, ge=1, description="a shorter tank run does not count")
    minimum_share: float = Field(
        0.33,
        ge=0,
        le=1,
        description="a mean with less than this share of the readings it could hold is flagged",
    )
    drift: Literal["none", "ratio", "offset"] = Field("none", description="correction to the working tank")
    water: WaterPlan = WaterPlan.model_validate({})
    response: ResponsePlan = ResponsePlan.model_validate({})
    target_window_days: float = Field(3.0, gt=0)
    tank: tuple[Tank, ...]

    @model_validator(mode="after")
    def _is_consistent(self) -> CalibrationPlan:
        valves = [t.valve for t in self.tank] + list(self.air)
        double = sorted({v for v in valves if valves.count(v) > 1})
        if double:
            raise ValueError(f"valve {double[0]} has more than one gas")
        standards = sum(t.role == "standard" for t in self.tank)
        if standards <= self.response.degree:
            raise ValueError(
                f"a response of degree {self.response.degree} needs more than that many standards"
            )
        working = sum(t.role == "working" for t in self.tank)
        if (self.drift == "none") == (working > 0) or working > 1:
            raise ValueError(
                "drift = ratio or offset needs exactly one working tank, and the other way round"
            )
        return self

    def by_role(self, role: str) -> list[Tank]:
        """Return the tanks of a role, in the plan's order."""
        return [t for t in self.tank if t.role == role]


def load_plan(path: str | Path) -> CalibrationPlan:
    """Read a calibration plan.

    Raises
    ------
    ConfigError
        Every fault on its own line.
    """
    return validate(CalibrationPlan, read_toml(path), Path(path).name)
