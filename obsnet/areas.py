"""A grid or a box as people write it: one line of numbers in degrees, or a table; fields of models of options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from obsnet.command import Flag
from obsnet.errors import ConfigError, GridError

if TYPE_CHECKING:
    from obsnet.grid import Grid
else:
    Grid = Any  # a validator makes it one; the class itself would load numpy with every list of commands

__all__ = ["BOX_FORM", "GRID_FORM", "BoxField", "GridField", "as_box", "as_grid"]

GRID_FORM = "south,north,west,east,dlat[,dlon]"
BOX_FORM = "south,north,west,east"


def _numbers(text: str, counts: tuple[int, ...], form: str) -> list[float]:
    parts = [p.strip() for p in text.split(",")]
    try:
        numbers = [float(p) for p in parts]
    except ValueError:
        raise ConfigError(f"{text!r}: write it as {form}, numbers in degrees") from None
    if len(numbers) not in counts:
        raise ConfigError(f"{text!r} has {len(numbers)} numbers: write it as {form}")
    return numbers


def as_grid(given: Any) -> Grid:
    """Read ``south,north,west,east,dlat[,dlon]``, or a table with these keys, as a grid.

    Raises
    ------
    ConfigError
        Not five or six numbers, or other keys.
    GridError
        Spans that are not a whole number of cells.

    Examples
    --------
    >>> as_grid("18,54,73,135,1").shape
    (36, 62)
    """
    from obsnet import grid

    if isinstance(given, grid.Grid):
        return given
    if isinstance(given, Mapping):
        names = ("south", "north", "west", "east", "dlat", "dlon")
        strange = set(given) - set(names)
        if strange or not {*names[:5]} <= set(given):
            raise ConfigError(
                f"a grid has the keys {', '.join(names)} (dlon may be left out), found {list(given)}"
            )
        numbers = [float(given[n]) for n in names if n in given]
    else:
        text = ",".join(map(str, given)) if isinstance(given, list | tuple) else str(given)
        numbers = _numbers(text, (5, 6), GRID_FORM)
    south, north, west, east, *step = numbers
    if not south < north:
        raise ConfigError(f"south must be less than north, found {south:g} and {north:g}")
    return grid.Grid.regular(south, north, west, east, step[0], step[-1])


def as_box(given: Any) -> tuple[float, float, float, float]:
    """Read ``south,north,west,east``; west > east crosses the dateline."""
    numbers = list(given) if isinstance(given, list | tuple) else _numbers(str(given), (4,), BOX_FORM)
    if len(numbers) != 4:
        raise ConfigError(f"a box has four numbers, {BOX_FORM}, found {len(numbers)}")
    south, north, west, east = map(float, numbers)
    if not -90 <= south < north <= 90:
        raise ConfigError(f"{given!r}: south must be less than north, both within -90 and 90")
    return south, north, west, east


def _value_error(read: Any) -> Any:
    def checked(given: Any) -> Any:
        try:
            return read(given)
        except (ConfigError, GridError, TypeError, ValueError) as error:
            raise ValueError(str(error)) from None

    return checked


GridField = Annotated[
    Grid,
    BeforeValidator(_value_error(as_grid)),
    PlainSerializer(lambda grid: grid.to_dict()),
    WithJsonSchema({"type": ["string", "array", "object"], "description": GRID_FORM}),
    Flag(form=GRID_FORM),
]
BoxField = Annotated[
    tuple[float, float, float, float],
    BeforeValidator(_value_error(as_box)),
    WithJsonSchema({"type": ["string", "array"], "description": BOX_FORM}),
    Flag(form=BOX_FORM),
]
