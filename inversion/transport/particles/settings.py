"""How particles are run: one set of options, with what suits each turbulence where nothing is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from obsnet.command import Flag
from obsnet.config import Options

__all__ = ["NEAR_FIELD", "TURBULENCE", "MixingHeightError", "ParticleSettings", "WindError"]

Turbulence = Literal["mixed-layer", "hanna", "stilt", "none"]
Convection = Literal["none", "emanuel"]
NearField = Literal["none", "taylor", "stilt"]
TURBULENCE: tuple[str, ...] = get_args(Turbulence)
NEAR_FIELD: tuple[str, ...] = get_args(NearField)  # in the order of `near_field.NOT_NEAR` and the rest

# What suits each turbulence, where the user asks for nothing else.
_HANNA = {
    "timestep": 300.0,
    "particles": 1000,
    "ctl": 3.0,
    "floor": 100.0,
    "near_field": "taylor",
    "horizontal_tl": 0.0,
}
_USUAL: dict[str, dict[str, Any]] = {
    "mixed-layer": {**_HANNA, "timestep": 1800.0, "particles": 200},
    "hanna": _HANNA,
    "stilt": {
        **_HANNA,
        "timestep": 60.0,
        "ctl": 5.0,
        "floor": 150.0,
        "near_field": "stilt",
        "horizontal_tl": 10800.0,
    },
    "none": {**_HANNA, "particles": 1, "near_field": "none"},
}
LONGEST_WITH_STORMS, SMOOTHED_TIMESTEP = 1800.0, 120.0  # s
_RESOLVED = ("ctl", "least_tl", "horizontal_tl", "near_field")
# Options that do nothing with a turbulence: said by the user, they are refused.
_UNUSED = {
    "mixed-layer": (*_RESOLVED, "veght", "layer", "smooth", "direction"),
    "hanna": ("diffusivity",),
    "stilt": ("diffusivity", "least_tl"),
    "none": (*_RESOLVED, "diffusivity"),
}


def _usual_of(turbulence: Any, direction: Any, smooth: Any) -> dict[str, Any]:
    """Return what suits a turbulence and a direction.

    Forward, no plume is young. Smoothed, all of an interval stands in its middle, so it must not be long.
    """
    usual = dict(_USUAL.get(turbulence, {}))
    if direction == 1:
        usual["near_field"] = "none"
    if smooth and turbulence == "hanna":
        usual["timestep"] = SMOOTHED_TIMESTEP
    return usual


_NOT_FOR = {
    "mixed-layer": "mixed-layer stirs the boundary layer evenly at every step: it is not for nights, terrain, hours "
    "close to the receptor and cells of tens of kilometres (hanna and stilt resolve these)",
}

_STORMS = {
    "none": "none, air rises with the weather's own wind only: what storms lift is missed",
    "emanuel": "emanuel, storms of every column's temperature and humidity, without downdrafts that rain drives",
}


class ParticleSettings(Options):
    """How particles are run; what is not said is what suits the turbulence.

    Examples
    --------
    >>> ParticleSettings(turbulence="stilt").timestep
    60.0
    """

    turbulence: Turbulence = Field(
        "mixed-layer",
        description="mixed-layer: stirred at every step, cheap; hanna: Hanna (1982) with Langevin steps; stilt: what "
        "STILT makes of Hanna; none: mean wind",
    )
    hours: float = Field(72.0, gt=0, description="length of the run")
    particles: int | None = Field(
        None, gt=0, description="per receptor; by default what suits the turbulence"
    )
    timestep: float | None = Field(
        None, gt=0, description="longest step of the mean wind, s; by default what suits the turbulence"
    )
    seed: int = Field(0, ge=0, description="of the random numbers")
    floor: float | None = Field(
        None, gt=0, description="least boundary-layer height, m; by default what suits the turbulence"
    )
    ctl: float | None = Field(
        None,
        gt=0,
        description="vertical steps per Lagrangian time scale, at least; by default what suits the turbulence",
    )
    veght: float = Field(
        0.5, gt=0, le=1, description="share of the boundary layer below which particles feel the surface"
    )
    layer: float = Field(
        0.0,
        ge=0,
        description="count time below this height (m) instead of below veght; 0 for the latter",
    )
    near_field: NearField | None = Field(
        None, description="depth of the young plume: in Taylor's form, as STILT publishes it, or not at all"
    )
    least_tl: float = Field(3.0, gt=0, description="hanna: least vertical Lagrangian time scale, s")
    horizontal_tl: float | None = Field(
        None,
        ge=0,
        description="horizontal Lagrangian time scale, s; 0 for Hanna's; STILT takes 10800, for eddies of the "
        "mesoscale that the meteorology does not resolve",
    )
    diffusivity: float = Field(2000.0, ge=0, description="mixed-layer: horizontal, m2 s-1")
    smooth: float = Field(0.0, ge=0, description="kernel smoothing factor, 0 for none, 1 as STILT's default")
    convection: Convection = Field(
        "none",
        description="deep convection: none, or emanuel: storms by Emanuel & Zivkovic-Rothman (1999) move particles "
        "between levels; needs humidity, and meteorology up to 150 hPa",
    )
    half_life: float | None = Field(
        None, gt=0, description="hours in which half of the tracer decays; none does by default"
    )
    paths: float = Field(
        0.0,
        ge=0,
        description="also write where every particle is this often, minutes, and what it took up; 0 for not",
    )
    direction: Annotated[Literal[-1, 1], Flag(hidden=True)] = Field(
        -1, description="-1 backward, 1 forward in time"
    )

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, data: Any) -> Any:
        """Fill in what suits the turbulence."""
        if not isinstance(data, Mapping):
            return data
        named = ("turbulence", "direction", "smooth")
        usual = _usual_of(*(data.get(name, cls.model_fields[name].default) for name in named))
        open_ = {k: v for k, v in usual.items() if cls.model_fields[k].default is None}
        return {**open_, **{k: v for k, v in data.items() if not (v is None and k in open_)}}

    @model_validator(mode="after")
    def _together(self) -> Self:
        usual = _usual_of(self.turbulence, self.direction, self.smooth)
        idle = dict.fromkeys(_UNUSED[self.turbulence], f"with turbulence {self.turbulence!r}")
        if self.layer > 0.0:
            idle["veght"] = f"where time is counted below layer = {self.layer:g} m"
        if self.direction > 0:
            idle["near_field"] = "forward in time"
        for name, where in idle.items():
            value, plain = getattr(self, name), usual.get(name, ParticleSettings.model_fields[name].default)
            if value != plain:
                raise ValueError(f"{name} = {value} does nothing {where}; leave it out")
        if self.stormy and float(self.timestep or 0.0) > LONGEST_WITH_STORMS:
            raise ValueError(
                f"timestep = {self.timestep:g} s is too long for convection = {self.convection!r}: at most "
                f"{LONGEST_WITH_STORMS:g}"
            )
        if self.turbulence == "stilt" and not self.horizontal_tl:
            raise ValueError(
                "turbulence 'stilt' has no horizontal time scale of its own: horizontal_tl must be positive"
            )
        return self

    @property
    def stormy(self) -> bool:
        """Whether storms move particles."""
        return self.convection != "none"

    @property
    def decay(self) -> float:
        """Rate at which the tracer decays, s-1."""
        return 0.0 if self.half_life is None else math.log(2.0) / (3600.0 * self.half_life)

    @property
    def every(self) -> float:
        """Between two ages at which paths are written down, s; 0 for none."""
        return 60.0 * self.paths

    @property
    def notes(self) -> list[str]:
        """What the settings are not for, to be told on each run."""
        turbulence = [f"turbulence: {_NOT_FOR[self.turbulence]}"] if self.turbulence in _NOT_FOR else []
        return [*turbulence, f"convection: {_STORMS[self.convection]}"]

    def but(self, **changes: Any) -> Self:
        """Return the same settings but for some; checked."""
        return type(self)(**{**self.model_dump(), **changes})


class WindError(Options):
    """Statistics of the weather's wind errors; nothing of it is known here, so all of it is said."""

    speed: float = Field(ge=0, description="standard deviation of the error of each wind component, m s-1")
    hours: float = Field(gt=0, description="correlation time of wind errors")
    km: float = Field(gt=0, description="correlation length of wind errors, horizontal")
    metres: float = Field(gt=0, description="correlation length of wind errors, vertical")


class MixingHeightError(Options):
    """Statistics of errors of the boundary-layer height; nothing of it is known here, so all of it is said."""

    relative: float = Field(
        ge=0, le=2, description="standard deviation of ln(height): 0.4 is a factor of 1.5 either way"
    )
    hours: float = Field(gt=0, description="correlation time of errors of the height")
    km: float = Field(gt=0, description="correlation length of errors of the height, horizontal")
