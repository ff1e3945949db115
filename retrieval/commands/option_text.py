"""What people type for a grid or a box, read with a clear word where it does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obsnet.errors import ConfigError

if TYPE_CHECKING:
    from obsnet.grid import Grid

__all__ = ["parse_box", "parse_grid"]


def _numbers(text: str, counts: tuple[int, ...], form: str) -> list[float]:
    parts = [p.strip() for p in text.split(",")]
    try:
        numbers = [float(p) for p in parts]
    except ValueError:
        raise ConfigError(f"{text!r}: write it as {form}, numbers in degrees") from None
    if len(numbers) not in counts:
        raise ConfigError(f"{text!r} has {len(numbers)} numbers: write it as {form}")
    return numbers


def parse_grid(text: str) -> Grid:
    """Read ``south,north,west,east,step`` or ``south,north,west,east,dlat,dlon`` as a grid.

    Raises
    ------
    ConfigError
        Not five or six numbers.
    GridError
        Spans that are not a whole number of cells.
    """
    from obsnet.grid import Grid

    south, north, west, east, *step = _numbers(text, (5, 6), "south,north,west,east,dlat[,dlon]")
    return Grid.regular(south, north, west, east, step[0], step[-1])


def parse_box(text: str) -> tuple[float, float, float, float]:
    """Read ``south,north,west,east``; west > east crosses the dateline."""
    south, north, west, east = _numbers(text, (4,), "south,north,west,east")
    if not -90 <= south < north <= 90:
        raise ConfigError(f"{text!r}: south must be less than north, both within -90 and 90")
    return south, north, west, east
