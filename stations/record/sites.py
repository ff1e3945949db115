"""The station table: codes, names, checked coordinates, and what a place is to whom."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from obsnet.errors import ConfigError, FormatError, nearest

__all__ = ["Site", "by_name", "site", "sites"]

TABLE = Path(__file__).with_name("sites.toml")
SETTINGS = ("mountain", "plain", "coast", "island", "tower", "urban")


@dataclass(frozen=True)
class Site:
    """A station.

    Parameters
    ----------
    code : str
        As the networks write it, upper case; TCCON sites have their two letters.
    name, name_zh, country : str
        For people; the Chinese name may be empty.
    latitude, longitude : float
        Decimal degrees.
    altitude_m : float or None
        Of the ground, above sea level; None where no source was at hand.
    networks : tuple of str
        ``"GAW global"``, ``"NOAA"``, ``"CMA"``, ``"TCCON"`` …
    setting : str
        One of `SETTINGS`: decides which hours a model can represent.
    source : str
        Where the position is from.
    verified : bool
        False where it was quoted without being checked; such a row never fills in a position.
    aliases : tuple of str
        Other names found in files.
    """

    code: str
    name: str
    latitude: float
    longitude: float
    networks: tuple[str, ...]
    setting: str
    source: str
    altitude_m: float | None = None
    country: str = "China"
    name_zh: str = ""
    verified: bool = True
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        place = -90 <= self.latitude <= 90 and -180 <= self.longitude < 180
        if not (place and -430 <= (self.altitude_m or 0.0) < 9000 and self.code == self.code.upper()):
            raise FormatError(f"station {self.code!r} has an impossible position or a code in lower case")
        if self.setting not in SETTINGS:
            raise FormatError(
                f"station {self.code}: setting {self.setting!r}{nearest(self.setting, SETTINGS)}"
            )


@lru_cache(maxsize=1)
def sites() -> dict[str, Site]:
    """Return the whole table by code."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["site"]
    lists: list[dict[str, Any]] = [
        {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows
    ]
    found = [Site(**row) for row in lists]
    table = {s.code: s for s in found}
    if len(table) != len(found):
        raise FormatError(f"{TABLE.name}: a code appears twice")
    return table


def site(name: str) -> Site:
    """Return a station by code or name, any case.

    Raises
    ------
    ConfigError
        The table does not have it.
    """
    found = sites().get(name.upper()) or by_name(name)
    if found is None:
        raise ConfigError(f"no station {name!r} in the table{nearest(name.upper(), sites())}")
    return found


def by_name(name: str) -> Site | None:
    """Return the station of a name or alias (``"shangdianzi"``, ``"Mt. Waliguan"``), or None."""
    plain = _plain(name)
    return next(
        (s for s in sites().values() if plain and plain in map(_plain, (s.name, s.name_zh, *s.aliases))), None
    )


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
