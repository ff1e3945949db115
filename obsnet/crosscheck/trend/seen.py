"""How much of a trend observations determine; the rest is the prior's.

A total answers to a share a of a true departure from the prior (`response` in the table of verdicts), each year by its
own: of a true slope beside the prior's, ``sum w_t a_t (t - mean t)`` shows in a slope with weights w, and a prior that
is off by one in all years makes a slope of ``sum w_t a_t`` by itself, as more or fewer observations do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.crosscheck.rules.published import MOSTLY_OBSERVED
from obsnet.crosscheck.trend.kernel import FittedTrend
from obsnet.crosscheck.words import joined, say
from obsnet.language import NOTHING, Words, apart

__all__ = ["SOURCES", "SeenTrend", "seen_trend"]

SOURCES = {"inventory": Words("inventory", "清单"), "inversion": Words("inversion", "反演")}
_OFF = 0.1  # part of a total by which a prior is commonly off


@dataclass(frozen=True)
class SeenTrend:
    """What observations have to do with a slope.

    Parameters
    ----------
    response : float
        Share of a true change of slope that shows in it; NaN where the series does not say.
    drift : float
        Slope of the share that is observed, a year.
    remark : Words
        What must be known of it; empty where there is nothing.
    """

    response: float = float("nan")
    drift: float = float("nan")
    remark: Words = NOTHING


def seen_trend(part: Any, source: str, found: FittedTrend) -> SeenTrend:
    """Return what of a source's slope is observed.

    Parameters
    ----------
    part : pandas.DataFrame
        Its years in order: ``year, value``, and ``response, verdict`` where a table of verdicts says.
    source : str
        Its name.
    found : FittedTrend
        Its slope.
    """
    name, texts = SOURCES.get(source, Words(apart(source), apart(source))), []
    years = part["year"].to_numpy(float)
    share = part["response"].to_numpy(float) if "response" in part else np.full(len(years), np.nan)
    unknown = int(np.isnan(share).sum())
    if unknown == len(years):
        return SeenTrend()
    if unknown:
        return SeenTrend(remark=say("observed in part", source=name, count=unknown, years=len(years)))
    response = float(found.weights @ (share * (years - years.mean())))
    drift = float(found.weights @ share)
    if response < MOSTLY_OBSERVED:
        texts.append(say("trend by the prior", share=f"{max(response, 0.0):.0%}", source=name))
    barred = int((part["verdict"] == "not testable").sum()) if "verdict" in part else 0
    if barred:
        texts.append(say("years not testable", source=name, count=barred, years=len(years)))
    by_itself = abs(drift) * _OFF * float(np.abs(part["value"]).mean())
    if by_itself > found.sd:
        values = {"drift": f"{drift:+.1%}", "off": f"{_OFF:.0%}", "slope": f"{by_itself:.2g}"}
        texts.append(say("observed unevenly", source=name, **values))
    return SeenTrend(response, drift, joined(texts))
