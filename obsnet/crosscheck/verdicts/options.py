"""Options of a cross-check: what is compared with what, and by which rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from obsnet.config import Options
from obsnet.crosscheck.bridge.options import BridgeOptions

if TYPE_CHECKING:
    from obsnet.crosscheck.compared.inventory_rows import RowChoice
    from obsnet.crosscheck.rules.verdict import Rule
    from obsnet.crosscheck.verdicts.table import Choices

__all__ = ["CrosscheckOptions", "CrosscheckTable", "RowOptions", "RuleOptions"]


class RuleOptions(Options):
    """By which rule verdicts are given."""

    alpha: float = Field(0.05, gt=0, lt=0.5, description="rate of false alarms, over all tested regions")
    power: float = Field(0.80, gt=0.5, lt=1, description="power at the minimum detectable discrepancy")
    detectable: float = Field(0.30, gt=0, description="testable up to this minimum detectable discrepancy")

    def rule(self) -> Rule:
        """Return the rule of the verdicts."""
        from obsnet.crosscheck.rules.verdict import Rule

        return Rule(self.alpha, self.power, self.detectable)


class RowOptions(Options):
    """Which rows of an inventory are under test, where they leave a choice."""

    year: str | None = Field(None, description="period of the inventory, if it has several: 2019, 2019-01")
    gas: str | None = Field(None, description="gas of the rows, if the inventory has both CO2 and C")
    category: str | None = Field(None, description="category of the rows, if not total")
    terminology: str | None = Field(None, description="terminology of the rows, if there are several")
    per: Literal["year", "period"] | None = Field(
        None, description="what a mass without yr-1 of a period that is no year is per"
    )
    negative: bool = Field(False, description="test totals below zero too")
    uncertainty: float | None = Field(
        None, gt=0, le=3, description="relative sd where the inventory states none"
    )

    def rows(self) -> RowChoice:
        """Return the choice of rows."""
        from obsnet.crosscheck.compared.inventory_rows import RowChoice

        return RowChoice(
            period=self.year,
            gas=self.gas,
            category=self.category,
            terminology=self.terminology,
            uncertainty=self.uncertainty,
            per=self.per,
            negative=self.negative,
        )


class CrosscheckOptions(RuleOptions, RowOptions):
    """What is compared with what, and by which rule."""

    sector: str | None = Field(None, description="sector of the inversion that the inventory is of")
    period: list[int] | None = Field(
        None,
        description="indices of the inversion's periods to sum; by default those that the inventory is of",
    )
    other_year: bool = Field(False, description="hold an inventory of another year against the inversion")
    profile: Literal["flat", "prior"] | None = Field(
        None, description="how the inventory is spread in time where the inversion sees a part of it only"
    )
    profile_uncertainty: float = Field(0.0, ge=0, le=3, description="relative sd of that profile")
    shared: float = Field(
        0.0, ge=-1, le=1, description="correlation between the errors of the inventory and of the prior"
    )
    common: float | None = Field(
        None,
        ge=0,
        le=1,
        description="correlation between the errors of the inventories of two regions, as by factors in common; by "
        "default 1 for sums, and both 0 and 1 for chi-square over all regions",
    )
    prescribed: dict[str, float] = Field(
        {}, description="relative sd of sectors that the inversion took as exact, by a common factor"
    )
    group: dict[str, list[str]] = Field(
        {}, description="regions to test as a sum, besides each by itself: NAME=REGION,REGION"
    )
    groups: list[str] = Field(
        [],
        description="sums to test besides: grids (the six power grids), nation, stated (all regions with an "
        "inventory), or a CSV with the columns group and region",
    )
    merge: Literal["besides", "instead", "no"] = Field(
        "besides",
        description="regions that are not told apart are tested as a sum too, or only so, or not",
    )
    bridge: BridgeOptions = Field(
        default_factory=BridgeOptions,
        description="definitions of inventory and inversion, and what lies between",
    )
    chi_square: tuple[float, float] | None = Field(
        None, description="bounds of the run's chi-square per observation, in the place of the usual ones"
    )
    margin: float | None = Field(
        None, gt=0, description="consistent if shown to agree within this share; by default detectable"
    )

    @field_validator("period", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, int | str) else value

    @field_validator("groups", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, dict):
            raise ValueError("write groups of your own as the table [crosscheck.group]")  # noqa: TRY004 - pydantic's
        return [value] if isinstance(value, str) else value

    def rule(self) -> Rule:
        """Return the rule of the verdicts."""
        return replace(super().rule(), margin=self.margin)

    def choices(self) -> Choices:
        """Return what is said where files leave something open."""
        from obsnet.crosscheck.bridge.harmonise import make_bridge
        from obsnet.crosscheck.compared.periods import TimeChoice
        from obsnet.crosscheck.compared.quantity import Sums
        from obsnet.crosscheck.verdicts.table import Choices

        return Choices(
            rows=self.rows(),
            time=TimeChoice(self.profile, self.profile_uncertainty, self.other_year),
            sums=Sums(self.group, self.groups, self.merge),
            common=self.common,
            prescribed=self.prescribed,
            shared=self.shared,
            chi_square=self.chi_square,
            bridge=make_bridge(self.bridge),
        )


class CrosscheckTable(CrosscheckOptions):
    """The table ``[crosscheck]`` of a case."""

    inventory: str = Field(description="CSV relative to the case file, or a built-in one such as ceads-2019")
    posterior: str = Field("posterior.nc", description="posterior file, relative to the run's outputs")
    out: str = Field("provinces.csv", description="table, relative to the run's outputs")
