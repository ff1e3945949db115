"""What a total is of: components of CO2, named sets of them, and which sets may meet at all.

A bridge leads from the components of an inventory to those that a sector of an inversion sees. Values are as the
atmosphere sees them, positive upward.
"""

from __future__ import annotations

from collections.abc import Iterable

from obsnet.errors import ConfigError, nearest
from obsnet.language import Words

__all__ = ["COMPONENTS", "LAND", "NET_NAMES", "PRESETS", "components_of", "needed"]

COMPONENTS: dict[str, Words] = {
    "combustion": Words("fossil fuel combustion", "化石燃料燃烧"),
    "process": Words("industrial processes", "工业生产过程"),
    "bunkers": Words("international aviation and shipping", "国际航空与航运"),
    "biofuel": Words("CO2 from biofuel", "生物质燃料 CO2"),
    "respiration": Words("respiration of people and livestock", "人与牲畜呼吸"),
    "landuse": Words("land use, land-use change and forestry", "土地利用、土地利用变化和林业"),
    "lateral_crop": Words("crops traded", "作物贸易横向输送"),
    "lateral_wood": Words("wood traded", "木材贸易横向输送"),
    "lateral_river": Words("carbon leaving by rivers", "河流横向输送"),
    "scope2": Words("electricity and heat from elsewhere (scope 2)", "外购电力与热力（范围二）"),
}
LAND = frozenset({"landuse", "lateral_crop", "lateral_wood", "lateral_river"})
_FOSSIL = ("combustion", "process", "bunkers")
# `sources` is what a flux of all that people do holds; crops and wood regrow elsewhere. In `net` what grows is burnt or
# respired again, so that of both only trade and the change of stocks are left.
PRESETS: dict[str, tuple[str, ...]] = {
    "ceads": ("combustion", "process"),
    "fossil": _FOSSIL,
    "sources": (*_FOSSIL, "biofuel", "respiration"),
    "net": (*_FOSSIL, *sorted(LAND)),
}
NET_NAMES = frozenset({"net", "total", "all", "nce", "net_flux", "netflux"})  # of sectors that see everything


def components_of(said: Iterable[str], option: str) -> frozenset[str]:
    """Return the components that names of components and sets mean.

    Parameters
    ----------
    said : iterable of str
        Keys of `COMPONENTS` or `PRESETS`.
    option : str
        That said it, for the error.

    Raises
    ------
    ConfigError
        An unknown name.

    Examples
    --------
    >>> sorted(components_of(["ceads", "scope2"], "--bridge-inventory"))
    ['combustion', 'process', 'scope2']
    """
    found: set[str] = set()
    for name in said:
        if name not in PRESETS and name not in COMPONENTS:
            known = (*PRESETS, *COMPONENTS)
            raise ConfigError(f"{option} {name!r}: no such component or set{nearest(name, known)}")
        found |= set(PRESETS.get(name, (name,)))
    return frozenset(found)


def needed(inventory: frozenset[str], seen: frozenset[str], without: frozenset[str]) -> dict[str, int]:
    """Return the lines of a bridge: +1 for what is added, -1 for what is taken off, in the order of `COMPONENTS`.

    Parameters
    ----------
    inventory, seen : frozenset of str
        Components of the inventory, and those that the inversion's sector sees.
    without : frozenset of str
        Components that are left out of the bridge.

    Raises
    ------
    ConfigError
        A fossil inventory against a net flux, or land left out of the bridge to one.
    """
    if seen & LAND and not inventory & LAND and (bare := sorted(LAND & seen & without)):
        raise ConfigError(
            f"--bridge-without {bare[0]}: a fossil inventory is never held against a net flux; state {bare[0]}, or "
            "test it against a sector of the inversion that is fossil"
        )
    differ = inventory ^ seen
    if strange := sorted(without - differ):
        raise ConfigError(f"--bridge-without {strange[0]}: inventory and inversion do not differ by it")
    return {c: 1 if c in seen else -1 for c in COMPONENTS if c in differ - without}
