"""Options of a comparison of systems: which files, read as what; over which regions and times."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options, validate
from obsnet.crosscheck.systems.layouts import LAYOUTS
from obsnet.errors import ConfigError, nearest
from obsnet.language import InLanguage

__all__ = ["PRESETS", "ComparisonOptions", "SystemOptions", "read_word"]

PRESETS = ("paris", "ceos", "own", "grid", *LAYOUTS)


class SystemOptions(Options):
    """One system: its files and what they do not say."""

    name: str = Field(min_length=1, description="in the comparison")
    path: str = Field(min_length=1, description="file, or several with * (months of one system)")
    preset: str | None = Field(None, description="layout; by default found out")
    quantity: str | None = Field(None, description="what the totals are of; only like is set beside like")
    sector: str | None = Field(
        None, description="of a PARIS file (total by default) or of a posterior of one's own"
    )
    gas: str | None = Field(None, description="formula, where the file does not say it")
    variables: tuple[str, ...] | None = Field(None, description="fluxes to add up")
    units: str | None = Field(None, description="where the file states none, or wrong ones")
    basis: Literal["substance", "carbon"] | None = Field(None, description="whose mass a mass flux is")
    time_is: Literal["start", "middle", "end"] | None = Field(
        None, description="what times without bounds are"
    )
    period: str | None = Field(None, description="of a file without time: 2019, 2019-01")
    prior: str | None = Field(None, description="file with the prior that an IMI posterior is a factor of")
    members: str | None = Field(None, description="dimension of an ensemble whose spread is the error")
    spread: str | None = Field(None, description="variable with the standard deviation of each cell")
    cells: Literal["independent", "common"] | None = Field(
        None, description="how errors of cells hang together, which no such file says"
    )
    nan: Literal["raise", "zero"] = Field("raise", description="missing values")


def read_word(word: str) -> SystemOptions:
    """Return a system from one word, ``NAME=PRESET:PATH;option=value;…``; name and preset may be left out.

    Examples
    --------
    >>> read_word("mine=grid:flux.nc;gas=CO2;variables=bio,fire").variables
    ('bio', 'fire')
    >>> read_word("budgets.csv").name
    'budgets'
    """
    head, *rest = word.split(";")
    name, equals, place = head.partition("=")
    place = place if equals else head
    preset, colon, path = place.partition(":")
    given: dict[str, Any] = {"path": place}
    if colon and preset in PRESETS:
        given = {"path": path, "preset": preset}
    elif colon and preset.isidentifier() and len(preset) > 1:
        raise ConfigError(f"{word!r}: no preset {preset!r}{nearest(preset, PRESETS)}")
    given["name"] = name if equals else Path(given["path"]).stem
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"{word!r}: {part!r} is no option=value")
        key = key.strip().replace("-", "_")
        given[key] = tuple(value.split(",")) if key == "variables" else value
    return validate(SystemOptions, given, word)


class ComparisonOptions(InLanguage):
    """Which systems, where and when."""

    systems: Annotated[list[str], Flag(positional=True, whole=True)] = Field(
        description="NAME=PRESET:FILE;option=value: elris=paris:a.nc, 'ct=carbontracker:ct/*.nc;time_is=middle'"
    )
    period: list[str] = Field(
        [], description="years, months or ranges: 2023, 2023-06, 2015/2020; by default all years"
    )
    region: list[str] = Field(
        [], description="DEU, BEL+LUX, 130000; by default those that two systems have, or all of one"
    )
    regions: Path | None = Field(
        None, description="polygons for gridded systems; by default China's provinces"
    )
    key: str | None = Field(None, description="column of the polygons that names them")
    between: Literal["independent", "common"] = Field(
        "independent", description="errors of a system's months; files do not say, both are in the table"
    )
    unresolved: float = Field(
        0.3,
        gt=0,
        description="not resolved: regions less sure than this for want of places inside cells",
    )
    out: Path | None = Field(
        None, description="folder for spread.csv, systems.csv, compare.json and compare.png"
    )
