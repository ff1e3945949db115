"""The columns of a table of verdicts: what was found of each tested sum, what is asked of it, what was compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.crosscheck.compared.inventory_rows import Chosen
from obsnet.crosscheck.compared.quantity import Quantities, covariance_of
from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.crosscheck.rules.published import MOSTLY_OBSERVED, requirement
from obsnet.crosscheck.rules.statistics import sd_of
from obsnet.crosscheck.rules.verdict import Verdicts
from obsnet.crosscheck.words import joined
from obsnet.language import Words
from obsnet.typing import Floats

__all__ = ["described", "found_columns", "required_columns"]


def found_columns(
    totals: RegionTotals, tested: Quantities, found: Verdicts, common: list[Words], covariance: Floats
) -> Any:
    """Return the columns of what was found."""
    import pandas as pd

    w = tested.weights
    remarks = [
        joined([remark, *own, *common]) for remark, own in zip(found.remarks, tested.remarks, strict=True)
    ]
    names = [t.key for t in tested.tested]
    alone, sums = tested.resolution, len(names) - tested.regions
    partner = [names[i] if i >= 0 else "" for i in alone.partner]
    return pd.DataFrame(
        {
            "region": names,
            "name_en": [t.name.en for t in tested.tested],
            "name_zh": [t.name.zh for t in tested.tested],
            "kind": [t.kind for t in tested.tested],
            "members": [" ".join(t.members) for t in tested.tested],
            "gas": totals.gas,
            "sector": totals.sector,
            "unit": "Mt",
            "inventory": tested.inventory,
            "inventory_sd": tested.inventory_sd,
            "prior": w @ totals.prior,
            "prior_sd": sd_of(covariance_of(w, totals.prior_covariance)),
            "posterior": w @ totals.posterior,
            "posterior_sd": sd_of(covariance),
            "difference": found.difference,
            "difference_sd": found.sd,
            "response": found.response,
            "resolution": [*alone.share, *[np.nan] * sums],
            "correlation": [*alone.correlation, *[np.nan] * sums],
            "correlation_with": [*partner, *[""] * sums],
            "joint": [*tested.joint, *[""] * sums],
            "minimum_detectable": found.minimum_detectable,
            "p_value": found.p_value,
            "p_adjusted": found.p_adjusted,
            "margin": found.margin,
            "p_equivalence": found.p_equivalence,
            "equivalence_power": found.equivalence_power,
            "verdict": [str(v) for v in found.verdict],
            "reason": [r.en for r in found.reasons],
            "reason_zh": [r.zh for r in found.reasons],
            "remark": [r.en for r in remarks],
            "remark_zh": [r.zh for r in remarks],
        }
    )


def required_columns(
    tested: Quantities, totals: RegionTotals, covariance: Floats, response: Floats
) -> dict[str, Any]:
    """Return the columns of the line that GCOS asks for, ``prior`` where less than half of a total was observed."""
    asked = np.array([requirement(t.members) for t in tested.tested])
    size = np.abs(tested.weights @ totals.posterior)
    share = np.divide(sd_of(covariance), size, out=np.full(len(size), np.nan), where=size > 0)
    met = np.where(share <= asked, np.where(response >= MOSTLY_OBSERVED, "yes", "prior"), "no")
    met = np.where(np.isfinite(share), met, "")
    return {"relative_sd": share, "requirement": asked, "requirement_met": met}


def described(chosen: Chosen, totals: RegionTotals) -> dict[str, str]:
    """Return the columns of what was compared."""
    return {
        "category": chosen.category,
        "terminology": chosen.terminology,
        "inventory_source": chosen.source,
        "prior_name": totals.prior_name,
        "region_source": totals.region_source,
    }
