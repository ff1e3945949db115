"""Groups of regions that are tested as a sum: built-in ones, those of a file, those named on the spot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from obsnet.errors import ConfigError, FormatError, RegionError, nearest
from obsnet.language import Words
from obsnet.reading import door, read_csv
from obsnet.regions import PROVINCES, region_code

__all__ = ["GRIDS", "NATION", "STATED", "builtin_names", "chosen_groups", "group_name", "read_groups"]

NATION, STATED = "nation", "stated"
# The six regional power grids as the national baseline factors for electricity draw them, without Tibet, Hong Kong,
# Macao and Taiwan. Inner Mongolia, whose east is in the Northeast grid, is one province and stands in the North.
GRIDS: dict[str, tuple[Words, tuple[str, ...]]] = {
    "grid-north": (Words("North grid", "华北电网"), ("11", "12", "13", "14", "15", "37")),
    "grid-northeast": (Words("Northeast grid", "东北电网"), ("21", "22", "23")),
    "grid-east": (Words("East grid", "华东电网"), ("31", "32", "33", "34", "35")),
    "grid-central": (Words("Central grid", "华中电网"), ("36", "41", "42", "43", "50", "51")),
    "grid-northwest": (Words("Northwest grid", "西北电网"), ("61", "62", "63", "64", "65")),
    "grid-south": (Words("South grid", "南方电网"), ("44", "45", "46", "52", "53")),
}
_NAMES = {k: words for k, (words, _) in GRIDS.items()} | {
    NATION: Words("Nation", "全国"),
    STATED: Words("All with an inventory", "有清单的全部地区"),
}


def builtin_names() -> tuple[str, ...]:
    """Return what may be asked for by name: the grids, the nation, all regions that have an inventory."""
    return ("grids", NATION, STATED)


def group_name(key: str) -> Words:
    """Return the name of a group for people; a group of the user's own is called as it is."""
    return _NAMES.get(key, Words(key, key))


def chosen_groups(
    asked: Iterable[str], own: Mapping[str, Sequence[str]], regions: Sequence[str], stated: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return all groups that were asked for, by key, as regions.

    Parameters
    ----------
    asked : iterable of str
        Names of built-in groups, or files for `read_groups`.
    own : mapping of str to sequence of str
        Groups named on the spot.
    regions : sequence of str
        Regions of the inversion.
    stated : sequence of str
        Those that have an inventory.

    Raises
    ------
    ConfigError, FormatError
        A group twice, of one region, or of a region that the inversion has not.
    """
    groups: dict[str, tuple[str, ...]] = {}
    for text in asked:
        for key, members in _of(text, stated).items():
            groups[_new(key, groups)] = members
    for key, inside in own.items():
        groups[_new(key, groups)] = tuple(inside)
    for key, inside in groups.items():
        if key in regions:
            raise ConfigError(f"group {key!r} is named like a region; give it a name of its own")
        if len(set(inside)) < max(len(inside), 2):
            raise ConfigError(f"group {key!r} needs two regions or more, each once, found {list(inside)}")
        for region in inside:
            if region not in regions:
                raise ConfigError(f"group {key!r}: no region {region!r}{nearest(region, regions)}")
    return groups


@door("groups of regions")
def read_groups(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a table of groups.

    Parameters
    ----------
    path : Path
        CSV with the columns ``group`` and ``region`` (``组``, ``地区``), one row a region of a group; provinces by
        adcode or name, other regions by their key.

    Raises
    ------
    FormatError
        No such columns, or an empty cell.
    """
    frame = read_csv(path, dtype=str, encoding="utf-8-sig").rename(columns={"组": "group", "地区": "region"})
    missing = [c for c in ("group", "region") if c not in frame.columns]
    if missing:
        raise FormatError(
            f"{path}: groups need the columns group and region, found {', '.join(map(str, frame.columns))}"
        )
    if frame.empty:
        raise FormatError(f"{path}: no rows")
    empty = (frame["group"].isna() | frame["region"].isna()).to_numpy()
    if empty.any():
        raise FormatError(f"{path}: row {int(empty.argmax()) + 2}: group or region is empty")
    return {
        str(key).strip(): tuple(_key(r) for r in rows["region"])
        for key, rows in frame.groupby("group", sort=False)
    }


def _of(text: str, stated: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if text == "grids":
        return {key: tuple(f"{p}0000" for p in inside) for key, (_, inside) in GRIDS.items()}
    if text == NATION:
        return {NATION: tuple(PROVINCES)}
    if text == STATED:
        return {STATED: tuple(stated)}
    path = Path(text)
    if not path.is_file():
        names = builtin_names()
        raise ConfigError(
            f"--groups {text!r}: no such file, and built in are {', '.join(names)}{nearest(text, names)}"
        )
    return read_groups(path)


def _new(key: str, groups: Mapping[str, tuple[str, ...]]) -> str:
    if key in groups:
        raise ConfigError(f"group {key!r} is given twice")
    return key


def _key(region: str) -> str:
    try:
        return region_code(region)
    except RegionError:  # a region of the user's own
        return region.strip()
