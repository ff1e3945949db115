"""Observing networks: stations and satellites as data.

A network is a TOML file, one of those in ``networks/`` or the user's own. It says how many, where, how wide and
how well; ``[sources]`` says from where each number is, ``[assumed]`` which numbers nobody published, and both go
into every report. ``base = "…"`` takes all else from another network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from obsnet.config import Options, read_toml, validate
from obsnet.errors import ConfigError, nearest
from obsnet.language import Language

__all__ = ["NetworkOptions", "describe_presets", "presets", "read_network"]

FOLDER = Path(__file__).with_name("networks")


class SiteOptions(Options):
    """A station."""

    code: str = Field(description="its name")
    latitude: float = Field(ge=-90, le=90, description="degrees north")
    longitude: float = Field(ge=-180, le=180, description="degrees east")


class NetworkOptions(Options):
    """One network, as its file says."""

    title: str = Field(description="name for people")
    title_zh: str = Field(default="", description="the same in Chinese; by default the title")
    kind: Literal["stations", "orbit"] = Field(description="what observes")
    random: dict[str, float] = Field(
        description="random error of one sounding or one afternoon, by species, ppm or ppb", min_length=1
    )
    systematic: dict[str, float] = Field(
        default_factory=dict,
        description="error by species that all its observations share: one a station, one pattern for all satellites",
    )
    site: list[SiteOptions] = Field(default_factory=list, description="stations that have a position")
    count: int | None = Field(default=None, ge=1, description="stations in all; the rest are spread out")
    hour: float = Field(default=14.0, ge=0, lt=24, description="local solar hour of the daily value")
    satellites: int = Field(default=1, ge=1, description="in one plane, evenly apart")
    altitude_km: float | None = Field(default=None, description="of the orbit")
    inclination: float | None = Field(default=None, description="degrees; sun-synchronous where absent")
    local_time: float = Field(
        default=13.5, ge=0, lt=24, description="mean local solar time at the node of the day side, hours"
    )
    day_node: Literal["ascending", "descending"] = Field(
        default="ascending", description="direction of flight on the day side"
    )
    swath_km: float = Field(default=10.0, gt=0, description="width that is observed")
    pixel_km2: float = Field(default=4.0, gt=0, description="area of one sounding")
    light: Literal["day", "night", "any"] = Field(default="day", description="when it observes")
    clear: float = Field(
        default=1.0, gt=0, le=1, description="share of overpasses of a place that are usable"
    )
    sources: dict[str, str] = Field(default_factory=dict, description="where each number is from")
    assumed: dict[str, str] = Field(default_factory=dict, description="what was not published")

    def called(self, language: Language) -> str:
        """Return the name for people in a language."""
        return (self.title_zh or self.title) if language == "zh" else self.title

    @model_validator(mode="after")
    def _whole(self) -> NetworkOptions:
        if self.kind == "orbit" and self.altitude_km is None:
            raise ValueError("an orbit needs altitude_km")
        if self.kind == "stations" and not self.site and self.count is None:
            raise ValueError("stations need sites or a count")
        if self.count is not None and self.count < len(self.site):
            raise ValueError(f"count = {self.count} is less than the {len(self.site)} sites")
        for name in (*self.sources, *self.assumed):
            if name not in type(self).model_fields:
                raise ValueError(f"sources and assumed name keys of this file, not {name!r}")
        return self


def presets() -> list[str]:
    """Return the names of the networks that come with the package."""
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


def describe_presets(language: Language = "en") -> list[dict[str, Any]]:
    """Return name, title, species, sources and assumptions of the networks that come with the package."""
    found = [(name, read_network(name)) for name in presets()]
    return [
        {
            "name": name,
            "title": n.called(language),
            "species": list(n.random),
            "sources": n.sources,
            "assumed": n.assumed,
        }
        for name, n in found
    ]


def read_network(name: str | Path, folder: Path | None = None) -> NetworkOptions:
    """Read a network by name or file.

    Parameters
    ----------
    name : str or path
        A preset, or a file that ends in ``.toml``.
    folder : path, optional
        What a file's path is relative to.

    Raises
    ------
    ConfigError
        No such network, or a file that is none.
    """
    data, where = _read(str(name), folder)
    return validate(NetworkOptions, data, where)


def _read(name: str, folder: Path | None, below: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
    path = (folder or Path()) / name if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise ConfigError(f"no network {name!r}{nearest(name, presets())}; or give a file ending in .toml")
    data = read_toml(path)
    for notes in _NOTES:
        if not isinstance(data.get(notes, {}), dict):
            raise ConfigError(f"{path}: {notes} must be a table, [{notes}]")
    base = data.pop("base", None)
    if base is None:
        return data, path.name
    if base in below or len(below) > 8:
        raise ConfigError(f"{path}: networks {' -> '.join((*below, base))} are based on each other")
    kept = path.parent if name.endswith(".toml") else folder
    return _merge(_read(str(base), kept, (*below, name))[0], data), path.name


_NOTES = ("sources", "assumed")  # where numbers are from, by name


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the base with changes; notes on numbers that were changed are the change's own."""
    out = {**base, **change}
    if "title" in change:  # what the base is called in Chinese is another network
        out["title_zh"] = change.get("title_zh", "")
    for notes in _NOTES:
        old = {k: v for k, v in base.get(notes, {}).items() if k not in change}
        # what is now known is no longer assumed, and the other way round
        other = change.get("assumed" if notes == "sources" else "sources", {})
        out[notes] = {k: v for k, v in old.items() if k not in other} | dict(change.get(notes, {}))
    return out
