"""A rapid estimate with the atmosphere's own answer as one more indicator, if earlier years show what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.errors import FormatError
from obsnet.language import Words
from obsnet.nowcast.inputs.atmosphere import seen_in, updated
from obsnet.nowcast.inputs.history import History
from obsnet.nowcast.inputs.indicators import Indicators
from obsnet.nowcast.rapid import RapidEstimate, known_situation, rapid_models, scorable, years_back
from obsnet.nowcast.skill.hindcast import shocks_at
from obsnet.nowcast.skill.scores import crps, paired
from obsnet.typing import Floats

__all__ = ["WithAtmosphere", "atmosphere_estimate"]

_LEAST = 3  # earlier years that score it


@dataclass(frozen=True, eq=False)
class WithAtmosphere:
    """An estimate with the atmosphere.

    Parameters
    ----------
    draws : ndarray or None, shape (draws, regions)
        Mt; None where it has no score, or no better one than without.
    hindcast : pandas.DataFrame
        ``year, region, truth, crps_without, crps_with`` (of the truth), of the regions whose emissions it can tell.
    words : list of Words
    """

    draws: Floats | None
    hindcast: Any
    words: list[Words]


def atmosphere_estimate(
    history: History,
    indicators: Indicators | None,
    found: RapidEstimate,
    posteriors: Sequence[RegionTotals],
    definition_sd: float,
    *,
    draws: int,
    seed: int,
    shifts: bool = False,
) -> WithAtmosphere:
    """Update an estimate by the posterior of its year, and score the same update in earlier years.

    Parameters
    ----------
    history, indicators, found
        As of the estimate.
    posteriors : sequence of RegionTotals
        One of the estimate's year, others of earlier years.
    definition_sd : float
        See `obsnet.nowcast.inputs.atmosphere.updated`.
    draws, seed, shifts
        As of the estimate.

    Raises
    ------
    FormatError
        No posterior of the year, or one that no year is covered by.
    """
    import pandas as pd

    other = next((p.gas for p in posteriors if p.gas != found.gas), None)
    if other is not None:
        raise FormatError(f"a posterior is of {other}, the inventories are of {found.gas}")
    by_year = {int(str(p.start.astype("datetime64[Y]"))): p for p in posteriors}
    if found.year not in by_year:
        raise FormatError(
            f"no posterior of {found.year}; there are posteriors of {', '.join(map(str, sorted(by_year)))}"
        )
    model = rapid_models(indicators)[found.model]
    truth = scorable(history.at())
    rows = []
    for year in sorted(y for y in by_year if y < found.year):
        now, _ = known_situation(
            history, indicators, year, years_back(found.day, found.year - year), shifts=shifts
        )
        shocks = shocks_at(now, draws, seed)
        before = np.exp(model(now, shocks)[-1])
        after, tested = updated(
            before, now.panel.regions, seen_in(by_year[year], year), definition_sd, shocks.more()
        )
        for region in tested:
            j = now.panel.regions.index(region)
            true = truth.at(year)[[j]]
            scores = [float(crps(np.sort(d[:, [j]], axis=0), true)[0] / true[0]) for d in (before, after)]
            rows.append((year, region, float(true[0]), *scores))
    table = pd.DataFrame(rows, columns=["year", "region", "truth", "crps_without", "crps_with"]).dropna()
    yearly = table.groupby("year")[["crps_without", "crps_with"]].mean()
    lead = paired((yearly["crps_with"] - yearly["crps_without"]).to_numpy())
    if lead.count < _LEAST:
        said = Words(
            f"with the atmosphere: not shown, for {lead.count} earlier years have a posterior that tells; {_LEAST} "
            "are "
            "needed to score it",
            f"加入大气反演：不予给出，仅有 {lead.count} 个较早年份的后验可供检验，至少需要 {_LEAST} 个",
        )
        return WithAtmosphere(None, table, [said])
    seen = seen_in(by_year[found.year], found.year)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, found.year))))
    after, tested = updated(found.draws, found.regions, seen, definition_sd, rng)
    text = f"CRPS {100 * lead.mean:+.2f} ± {100 * lead.sd:.2f} %, {lead.count}"
    if not tested:
        said = Words(
            f"with the atmosphere: nothing of {found.year} is testable",
            f"加入大气反演：{found.year} 年无可检验省份",
        )
        return WithAtmosphere(None, table, [said])
    if not lead.better:
        said = Words(
            f"with the atmosphere: not used, no better than without ({text} years)",
            f"加入大气反演：未采用（{text} 年）",
        )
        return WithAtmosphere(None, table, [said])
    said = Words(
        f"with the atmosphere in {len(tested)} testable provinces: {text} years; see estimate_with_atmosphere.csv",
        f"在 {len(tested)} 个可检验省份加入大气反演：{text} 年；见 estimate_with_atmosphere.csv",
    )
    return WithAtmosphere(after, table, [said])
