"""Options of a bridge between definitions."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from obsnet.config import Options

__all__ = ["BridgeOptions"]


class BridgeOptions(Options):
    """What inventory and inversion are of, and what lies between."""

    inventory: list[str] = Field(
        [],
        description="what the inventory is of: ceads, fossil, sources, net, or components such as combustion",
    )
    sector: list[str] = Field([], description="what the inversion's sector sees, in the same words")
    lines: list[str] = Field(
        [],
        description="CSV of component, region, value, unit, uncertainty, source; china for the built-in national ones",
    )
    without: list[str] = Field([], description="components that are left out of the bridge, and said to be")
    uncertainty: dict[str, float] = Field(
        {}, description="relative sd of lines that state none: COMPONENT=0.3"
    )

    @field_validator("inventory", "sector", "lines", "without", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value
