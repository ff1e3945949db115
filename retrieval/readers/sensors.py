"""Sensor tables: what each product calls its variables, in which unit and order, and what its flags mean.

A table is a TOML file. The shipped ones lie beside this module in ``sensors/``; an institute adds its own
folder with ``--sensors`` or the environment variable ``OBSNET_SENSORS``, and a table there replaces a shipped
one of the same name. A file is recognised by its content: the variables it has and what its attributes say.

A table of one's own may be as short as this; ``base`` takes over what another table says::

    title = "our proxy retrieval"
    platform = "GOSAT-2"
    species = "CH4"
    id = ["@time", "@row"]          # variables, or the time, or the number of the row
    vertical = "layer"              # level | layer | by_shape: what kernel and prior stand on
    order = "top_first"             # surface_first | top_first | by_pressure
    fill = [-999.0]                 # missing values that the files do not declare

    [detect]
    variables = ["xch4_proxy", "ak"]

    [quality]
    variable = "flag"
    good = [0]                      # or at_least = 0.5

    [variables]                     # role = path, or { path = …, unit = …, optional = true }
    time = "time"
    latitude = "lat"
    longitude = "lon"
    value = { path = "xch4_proxy", unit = "ppb" }
    uncertainty = { path = "xch4_error", unit = "ppb" }
    pressure_edges = { path = "p", unit = "hPa" }
    pressure_weight = "h"
    averaging_kernel = "ak"
    prior_profile = { path = "prior", unit = "ppb" }
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from obsnet.config import Options, read_toml, validate
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, FormatError, nearest

if TYPE_CHECKING:
    from retrieval.readers.source import Container

__all__ = ["PROFILE_ROLES", "ROLES", "Sensor", "SensorVariable", "load_sensors", "recognise", "sensor_named"]

# What a table may name, and the unit it has inside (None: the species' own; "": no unit).
ROLES: dict[str, str | None] = {
    "time": "",
    "time_offset": "",
    "latitude": "",
    "longitude": "",
    "corner_latitude": "",
    "corner_longitude": "",
    "altitude_m": "m",
    "land_fraction": "1",
    "mode": "",
    "value": None,
    "uncertainty": None,
    "uncertainty_systematic": None,
    "pressure_levels": "hPa",
    "pressure_edges": "hPa",
    "surface_pressure": "hPa",
    "pressure_interval": "hPa",
    "pressure_weight": "",
    "weighting_function": "",
    "subcolumn": "mol m-2",
    "averaging_kernel": "",
    "prior_profile": None,
    "prior_subcolumn": "mol m-2",
    "prior_column": None,
    "active_levels": "",
}
# What only the operator is made of.
PROFILE_ROLES = frozenset(list(ROLES)[list(ROLES).index("pressure_levels") :])


class SensorVariable(Options):
    """Where a role is found in the file."""

    path: tuple[str, ...] = Field(
        min_length=1, description="variable, or several of which the first there is taken"
    )
    unit: str | None = Field(None, description="unit as stored, where the file names none")
    wrong_unit: bool = Field(False, description="the file's own unit text is known to be wrong: take `unit`")
    optional: bool = Field(False, description="the product has versions without it")
    codes: dict[str, str] = Field({}, description="name of each stored code")
    mask: int | None = Field(None, ge=1, description="bits of the stored code that count")
    parts: bool = Field(False, description="a time in several variables: year, month, day, hour …")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        if isinstance(data, str | list):
            return {"path": data}
        return data

    @field_validator("path", mode="before")
    @classmethod
    def _one(cls, path: Any) -> Any:
        return (path,) if isinstance(path, str) else path

    @model_validator(mode="after")
    def _has_unit(self) -> SensorVariable:
        if self.wrong_unit and self.unit is None:
            raise ValueError("wrong_unit needs the unit that is right")
        return self


class Detect(Options):
    """How a file is recognised: all `variables`, none of `absent`, and one of the marks if there are any."""

    variables: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    attributes: dict[str, str] = Field({}, description="pattern by global attribute")
    name: str | None = Field(None, description="pattern of the file name or of the attribute `id`")


class SensorQuality(Options):
    """Which soundings the producer calls good."""

    variable: str
    good: tuple[float | str, ...] | None = None
    suspect: tuple[float | str, ...] = ()
    at_least: float | None = None
    optional: bool = Field(False, description="files without it are read, every row doubted")
    bits: str | None = Field(
        None, description="variable of one bit a filter, named in its attribute `qf_variables`"
    )

    @model_validator(mode="after")
    def _one_sense(self) -> SensorQuality:
        if (self.good is None) == (self.at_least is None):
            raise ValueError(
                "give either `good` (flag values) or `at_least` (a quality that is high when good)"
            )
        return self


class VersionRule(Options):
    """Where the version is written; the first rule that matches counts."""

    attribute: str | None = Field(
        None, description="global attribute or scalar variable; the file's name without it"
    )
    pattern: str = Field(description="its groups are the version and minor versions; a minor 0 is left out")


class BiasRule(Options):
    """Which global attribute holds the formula for which soundings."""

    attribute: str
    when: dict[str, float | str] = Field({}, description="value by variable")
    footprint: str | None = Field(None, description="attribute with the offsets of footprints 1-8")


class Identity(Options):
    """How far the identities of a product may be off."""

    weight_sum: float = Field(1e-4, gt=0)
    prior_column: float = Field(5e-5, gt=0, description="relative")


class Variant(Options):
    """Another value of the same soundings, such as the same on another scale."""

    scale: str | None = None
    variables: dict[str, SensorVariable]


class Other(Options):
    """A second species of the same file: what differs."""

    scale: str | None = None
    variables: dict[str, SensorVariable]
    quality: SensorQuality


class Sensor(Options):
    """One product."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    reference: str = ""
    platform: str
    species: str
    scale: str | None = None
    untested: bool = Field(False, description="no real file was at hand when the table was written")
    vertical: Literal["level", "layer", "by_shape"] | None = None
    order: Literal["surface_first", "top_first", "by_pressure"] = "surface_first"
    day: str = Field(
        "", description="pattern of the file's name; its group is the soundings' day, YYMMDD or YYYYMMDD"
    )
    kernel_falls: bool = Field(
        False, description="real kernels of it are lower at the top than at the ground: others are turned"
    )
    skip_fill: bool = Field(False, description="pixels without a value are no soundings (swaths)")
    id: tuple[str, ...] = Field(
        min_length=1, description="variables, or @row, @time, @attr:NAME, @name:PATTERN"
    )
    stamp: Literal["start", "middle", "end"] = "middle"
    duration: float = Field(0.0, ge=0, description="seconds a sounding takes")
    fill: tuple[float, ...] = Field((), description="fill values that the files do not declare")
    reference_prior: float | None = Field(None, description="prior where the product has none and needs none")
    join: tuple[str, str] | None = Field(
        None, description="ids of the retrieved soundings, ids of all soundings"
    )
    detect: Detect
    version: tuple[VersionRule, ...] = ()
    quality: SensorQuality | None = None
    identity: Identity = Field(default_factory=lambda: Identity.model_validate({}))
    variables: dict[str, SensorVariable]
    variants: dict[str, Variant] = Field({}, description="other values of the same soundings")
    other: dict[str, Other] = Field({}, description="other species of the same file")
    bias: tuple[BiasRule, ...] = ()
    raw: str | None = Field(None, description="variable with the value before its bias correction")
    extra: dict[str, str] = Field({}, description="further variables worth keeping, by name")

    @model_validator(mode="after")
    def _known(self) -> Sensor:
        species_of(self.species)
        for name in self.other:
            species_of(name)
        groups = [self.variables]
        groups += [v.variables for v in self.variants.values()] + [o.variables for o in self.other.values()]
        for name in (n for group in groups for n in group):
            if name not in ROLES:
                raise ValueError(f"unknown variable {name!r}{nearest(name, ROLES)}")
        missing = [n for n in ("time", "latitude", "longitude", "value") if n not in self.variables]
        if missing:
            raise ValueError(f"variables lack {', '.join(missing)}")
        if {"averaging_kernel", "weighting_function"} & set(self.variables) and self.vertical is None:
            raise ValueError("a product with kernels needs vertical = 'level', 'layer' or 'by_shape'")
        return self

    def all_species(self) -> list[str]:
        """Return the species a file of this product holds, the first one being the usual choice."""
        return [self.species, *self.other]

    def for_species(self, name: str | None) -> Sensor:
        """Return the table of one species of the file.

        Raises
        ------
        ConfigError
            The product has no such species.
        """
        if name is None or species_of(name).name == self.species:
            return self
        wanted = species_of(name).name
        if wanted not in self.other:
            raise ConfigError(f"{self.name} has no {wanted}{nearest(wanted, self.all_species())}")
        other = self.other[wanted]
        return self.model_copy(
            update={
                "species": wanted,
                "scale": other.scale,
                "variables": self.variables | other.variables,
                "quality": other.quality,
                "variants": {},
                "bias": (),
                "raw": None,
            }
        )

    def for_variant(self, name: str | None) -> Sensor:
        """Return the table of a variant, e.g. ``"x2019"``.

        Raises
        ------
        ConfigError
            The product has no such variant.
        """
        if name is None:
            return self
        if name not in self.variants:
            raise ConfigError(f"{self.name} has no variant {name!r}{nearest(name, self.variants)}")
        variant = self.variants[name]
        scale = self.scale if variant.scale is None else variant.scale
        return self.model_copy(update={"scale": scale, "variables": self.variables | variant.variables})


def _merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `own` laid over it; tables merge, all else is replaced."""
    result = dict(base)
    for key, value in own.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        # {path = …} and the like are one value, not a table of settings.
        result[key] = _merge(result[key], value) if both and "path" not in value else value
    return result


def _files(folders: Iterable[str | Path]) -> Iterator[tuple[Path, int]]:
    """Yield all table files and when each was last changed; later ones win."""
    own = [Path(p) for p in os.environ.get("OBSNET_SENSORS", "").split(os.pathsep) if p]
    for folder in (Path(__file__).parent / "sensors", *own, *map(Path, folders)):
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder of sensor tables")
        for path in sorted(folder.glob("*.toml")):
            yield path, path.stat().st_mtime_ns


def load_sensors(folders: Iterable[str | Path] = ()) -> dict[str, Sensor]:
    """Read all sensor tables.

    Parameters
    ----------
    folders : iterable of path
        The user's own folders, after the shipped one and those in ``OBSNET_SENSORS``; later ones win.

    Returns
    -------
    dict
        By name.

    Raises
    ------
    ConfigError
        One line a fault of any table.
    """
    return dict(_load(tuple(_files(folders))))


_Raw = dict[str, list[tuple[Path, dict[str, Any]]]]  # by name, the last one wins


@lru_cache(maxsize=8)
def _load(files: tuple[tuple[Path, int], ...]) -> Mapping[str, Sensor]:
    raw: _Raw = {}
    for path, _ in files:
        raw.setdefault(path.stem, []).append((path, read_toml(path)))
    sensors: dict[str, Sensor] = {}
    faults: list[str] = []
    for stem, tables in sorted(raw.items()):
        if stem.startswith("_"):  # a base, no product of its own
            continue
        try:
            whole = {"name": stem, **_with_base(stem, len(tables) - 1, raw, ())}
            sensors[stem] = validate(Sensor, whole, tables[-1][0].name)
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return sensors


def _with_base(stem: str, number: int, raw: _Raw, seen: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    """Return a table laid over its base; a table of the same name may lie over the shipped one."""
    path, own = raw[stem][number]
    own = dict(own)
    base = own.pop("base", None)
    if base is None:
        return own
    below = number - 1 if base == stem else len(raw.get(base, ())) - 1
    if below < 0:
        raise ConfigError(f"{path.name}: base {base!r} does not exist{nearest(str(base), raw)}")
    if (base, below) in seen:
        raise ConfigError(f"{path.name}: base {base!r} is built on {stem!r} itself")
    return _merge(_with_base(base, below, raw, (*seen, (stem, number))), own)


def sensor_named(name: str, folders: Iterable[str | Path] = ()) -> Sensor:
    """Return the table of a product by name.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    sensors = load_sensors(folders)
    if name not in sensors:
        raise ConfigError(f"unknown sensor {name!r}{nearest(name, sensors)}")
    return sensors[name]


def recognise(source: Container, sensors: Mapping[str, Sensor]) -> Sensor:
    """Tell which product an open file is.

    Parameters
    ----------
    source : Container
        From `retrieval.readers.source.open_source`.
    sensors : mapping
        From `load_sensors`.

    Raises
    ------
    FormatError
        No table fits, or two fit equally well; the text names what was missing from the nearest one.
    """
    attributes = source.attributes()
    scores: dict[str, tuple[int, int]] = {}
    unmarked: list[str] = []
    nearly: list[tuple[float, str, list[str]]] = []
    for name, sensor in sensors.items():
        rule = sensor.detect
        marks = _marks(rule, attributes, source.path.name)
        lacking = [v for v in rule.variables if v not in source]
        if any(v in source for v in rule.absent):
            continue
        if not lacking and marks:
            scores[name] = (marks, len(rule.variables))
        elif not lacking:
            unmarked.append(name)
        elif marks:
            nearly.append((1 - len(lacking) / len(rule.variables) + 0.1 * marks, name, lacking))
    best = [n for n, score in scores.items() if score == max(scores.values())]
    if len(best) == 1:
        return sensors[best[0]]
    fullest = max((len(sensors[n].detect.variables) for n in unmarked), default=0)
    unmarked = [n for n in unmarked if len(sensors[n].detect.variables) == fullest]
    if best or unmarked:
        why = "" if best else " by its variables, but neither its name nor its attributes tell"
        raise FormatError(
            f"{source.path}: could be {' or '.join(best or unmarked)}{why}; say which with --sensor"
        )
    if nearly and max(nearly)[0] > 0.7:
        _, name, lacking = max(nearly)
        raise FormatError(f"{source.path}: looks like {name} but has no variable {', '.join(lacking)}")
    raise FormatError(
        f"{source.path}: no sensor table of {len(sensors)} fits; name one with --sensor, or write a table of your "
        "own as in retrieval/readers/sensors and give its folder with --sensors"
    )


def _marks(rule: Detect, attributes: Mapping[str, Any], file_name: str) -> int:
    """Count the marks that fit, plus one; 0 when there are marks and none fits."""
    found = sum(bool(re.search(p, str(attributes.get(a, "")))) for a, p in rule.attributes.items())
    if rule.name is not None:
        found += any(re.search(rule.name, text) for text in (file_name, str(attributes.get("id", ""))))
    wanted = bool(rule.attributes) or rule.name is not None
    return 0 if wanted and not found else 1 + found
