"""How particles are run: one frozen set of choices, with what suits each turbulence where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from obsnet.errors import ConfigError, nearest

__all__ = ["NEAR_FIELD", "TURBULENCE", "Settings"]

NEAR_FIELD = ("none", "taylor", "stilt")
# What suits each turbulence, where the user asks for nothing else.
_HANNA = {"timestep": 120.0, "particles": 1000, "floor": 100.0, "near_field": "taylor", "horizontal_tl": 0.0}
_USUAL: dict[str, dict[str, Any]] = {
    "mixed-layer": {**_HANNA, "timestep": 1800.0, "particles": 200},
    "hanna": _HANNA,
    "stilt": {**_HANNA, "timestep": 60.0, "floor": 150.0, "near_field": "stilt", "horizontal_tl": 10800.0},
    "none": {**_HANNA, "particles": 1, "near_field": "none"},
}
TURBULENCE = tuple(_USUAL)


@dataclass(frozen=True)
class Settings:
    """How particles are run; None takes what suits the turbulence.

    Parameters
    ----------
    turbulence : {"mixed-layer", "hanna", "stilt", "none"}
        Boundary layer stirred at every step (cheap); Hanna (1982) with Langevin steps; what STILT makes of Hanna
        (scales that go by HYSPLIT's levels, turbulence as wide as high with a horizontal time scale of 3 h, near
        field as published, 150 m floor, steps of a minute); mean wind.
    hours : float
        Length of the run.
    particles : int or None
        Per receptor.
    timestep : float or None
        Longest step of the mean wind, s.
    seed : int
        Of the random numbers.
    height : {"ground", "sea"}
        See `receptors.from_observations`.
    floor : float or None
        Least boundary-layer height, m.
    ctl : float
        Hanna: vertical steps per Lagrangian time scale, at least.
    veght : float
        Hanna: share of the boundary layer below which particles feel the surface.
    near_field : {"taylor", "stilt", "none"} or None
        Hanna: depth of the young plume, in Taylor's form or as STILT publishes it.
    least_tl : float
        Hanna: least vertical Lagrangian time scale, s.
    horizontal_tl : float or None
        Hanna: horizontal Lagrangian time scale, s; 0 for Hanna's. HYSPLIT takes 10800, which stands for eddies of
        the mesoscale that the meteorology does not resolve.
    diffusivity : float
        Mixed-layer: horizontal, m2 s-1.
    smooth : float
        Kernel smoothing factor, 0 for none, 1 as STILT's default.
    direction : {-1, 1}
        Backward or forward in time.
    layer : float
        Count time below this height (m) instead of below `veght` of the boundary layer; 0 for the latter.
    """

    turbulence: str = "mixed-layer"
    hours: float = 72.0
    particles: int | None = None
    timestep: float | None = None
    seed: int = 0
    height: str = "ground"
    floor: float | None = None
    ctl: float = 10.0
    veght: float = 0.5
    near_field: str | None = None
    least_tl: float = 3.0
    horizontal_tl: float | None = None
    diffusivity: float = 2000.0
    smooth: float = 0.0
    direction: int = -1
    layer: float = 0.0

    def __post_init__(self) -> None:
        if self.turbulence not in TURBULENCE:
            raise ConfigError(
                f"turbulence {self.turbulence!r} is unknown{nearest(self.turbulence, TURBULENCE)}"
            )
        for name, value in _USUAL[self.turbulence].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name, known in (("near_field", NEAR_FIELD), ("height", ("ground", "sea"))):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} {getattr(self, name)!r} is unknown{nearest(getattr(self, name), known)}"
                )
        for name in ("hours", "particles", "timestep", "floor", "ctl", "least_tl"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, found {getattr(self, name)}")
        for name in ("diffusivity", "smooth", "layer", "horizontal_tl"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, found {getattr(self, name)}")
        if self.turbulence == "none" and self.near_field != "none":
            raise ConfigError("without turbulence a plume does not grow: near_field must be 'none'")
        if self.turbulence == "stilt" and not self.horizontal_tl:
            raise ConfigError(
                "turbulence 'stilt' has no horizontal time scale of its own: horizontal_tl must be positive"
            )
        if not 0.0 < self.veght <= 1.0:
            raise ConfigError(f"veght must lie within 0 and 1, found {self.veght}")
        if self.direction not in {-1, 1}:
            raise ConfigError(f"direction is -1 (backward) or 1 (forward), found {self.direction}")
        if self.turbulence == "mixed-layer" and (self.direction > 0 or self.layer > 0 or self.smooth > 0):
            raise ConfigError("direction, layer and smooth need turbulence 'hanna', 'stilt' or 'none'")
