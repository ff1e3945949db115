"""What is asked of national and regional estimates, and what published systems reach: lines to hold a run against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from obsnet.crosscheck.words import say
from obsnet.language import Words
from obsnet.regions import PROVINCES

__all__ = [
    "MOSTLY_OBSERVED",
    "NATIONAL",
    "REQUIREMENTS",
    "SUREST",
    "is_national",
    "requirement",
    "self_check",
]

# Relative uncertainty that GCOS asks of annual fluxes from inversions: 10 % of a nation (its class of 1,000 to
# 10,000 km), 30 % at 100 to 1,000 km, the size of a province. From NOAA NCEI's copy of the table of the 2016 plan; the
# edition of 2022 (GCOS-245) was not at hand, and the copy does not say which coverage is meant: here one standard
# deviation.
REQUIREMENTS = {"nation": 0.10, "region": 0.30}
MOSTLY_OBSERVED = 0.5  # response of a total; with less, what is found of it is the prior's
NATIONAL = 30  # provinces and more are the nation
# Byrne et al. 2023 (doi:10.5194/essd-15-963-2023), country table of the OCO-2 v10 MIP, China, mean of 2015 to 2020: net
# carbon exchange of experiment LNLGIS 7,860 +- 1,130 Tg CO2 a year, fossil 10,200 +- 846.
SUREST = 1000.0  # Mt CO2 a year


def is_national(members: Sequence[str]) -> bool:
    """Say whether a sum of regions stands for the nation."""
    return len(set(members) & set(PROVINCES)) >= NATIONAL


def requirement(members: Sequence[str]) -> float:
    """Return the relative uncertainty that is asked of a sum of regions."""
    return REQUIREMENTS["nation" if is_national(members) else "region"]


def self_check(sd: float) -> Words | None:
    """Say that a run claims to know the nation's net CO2 better than a published ensemble does, if so.

    Parameters
    ----------
    sd : float
        Of the national net total, Mt CO2 a year; NaN where it is not known.
    """
    if not np.isfinite(sd) or sd >= SUREST:
        return None
    return say("surer than published", sd=f"{sd:,.0f}")
