"""What is fitted, how far it is smoothed, and what is wanted of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from obsnet.command import Flag
from obsnet.config import Options
from stations.readers.options import HowToRead

__all__ = ["CurveOptions", "FitTable", "SeriesOptions", "decimal_years"]


class CurveOptions(Options):
    """The curve fit of Thoning, Tans & Komhyr (1989); the defaults are those of NOAA's global network."""

    short_days: Annotated[float, Flag(names=("--short",))] = Field(
        80.0, gt=0, description="cutoff of the short filter, days: half of a signal of this period passes"
    )
    long_days: Annotated[float, Flag(names=("--long",))] = Field(
        667.0, gt=0, description="cutoff of the long filter, days"
    )
    interval_days: Annotated[float | None, Flag(names=("--interval",))] = Field(
        None,
        gt=0,
        description="spacing of the grid that is filtered, days; by default the mean spacing of samples more than a "
        "day apart, rounded, or one day where a day usually holds several samples",
    )
    polynomial_terms: Annotated[int, Flag(names=("--terms",))] = Field(
        3, ge=1, description="polynomial terms; 3 is a quadratic"
    )
    harmonics: int = Field(4, ge=0, description="harmonics of the year; cut to what the interval can hold")
    timezero: float | None = Field(
        None, description="decimal year in which t = 0; the whole year of the first sample by default"
    )
    gap_days: Annotated[float, Flag(names=("--gap",))] = Field(
        0.0,
        ge=0,
        description="fill gaps longer than this, days, with the function instead of a straight line; 0 never",
    )
    gain: bool = Field(False, description="let the seasonal amplitude grow linearly")
    noaa_compatible: bool = Field(
        False,
        description="repeat what NOAA's program does by mistake: covariance times the reduced chi-square twice, no "
        "daily averages before the filter, errors as it prints them",
    )

    @field_validator("long_days")
    @classmethod
    def _is_longer(cls, value: float, info: ValidationInfo) -> float:
        short = info.data.get("short_days", 0.0)
        if not short < value:
            raise ValueError(f"cutoffs need 0 < short < long, found {short:g} and {value:g} days")
        return value

    @field_validator("gain")
    @classmethod
    def _has_harmonics(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("harmonics") == 0:
            raise ValueError("gain scales the harmonics; with harmonics = 0 there is nothing to scale")
        return value


class SeriesOptions(Options):
    """Which rows of a record make the series that is fitted."""

    use: Literal["background", "valid", "all"] = Field(
        "background", description="rows without any flag, those that are valid too, or all that have a value"
    )
    pairs: bool = Field(True, description="average the members of flask pairs first")


def decimal_years(given: str | float | Iterable[Any]) -> list[float]:
    """Read dates as decimal years.

    Parameters
    ----------
    given : str, float or iterable
        ``2015.5``, ``"2015-07-02"``, several with commas or blanks between, or a file of them.

    Raises
    ------
    ConfigError
        A word that is no time.
    """
    from obsnet.times import as_utc, decimal_year

    years: list[float] = []
    for item in [given] if isinstance(given, str | int | float) else given:
        text = str(item)
        is_file = "," not in text and len(text) < 255 and Path(text).is_file()
        words = re.split(r"[\s,]+", Path(text).read_text(encoding="utf-8") if is_file else text)
        for word in filter(None, words):
            number = re.fullmatch(r"\d{3,4}(\.\d*)?", word)
            years.append(float(word) if number else float(decimal_year([as_utc(word)])[0]))
    return years


class FitTable(CurveOptions, SeriesOptions, HowToRead):
    """``obsnet station fit``."""

    files: Annotated[list[Path], Flag(positional=True)] = Field(
        min_length=1, description="station files; several are fitted in parallel"
    )
    species: str | None = Field(None, description="which species of a file that holds several")
    dates: Annotated[list[float], BeforeValidator(decimal_years)] = Field(
        [], description="where to give the curves: decimal years or dates, or a file of them"
    )
    replicates: Annotated[int, Flag(names=("--errors",))] = Field(
        0, ge=0, description="members of a Monte-Carlo ensemble of errors; 0 none"
    )
    seed: int = Field(0, ge=0, description="of the ensemble")

    @property
    def curve(self) -> CurveOptions:
        """What is fitted, without the rest."""
        return CurveOptions.model_validate(self.model_dump(include=set(CurveOptions.model_fields)))
