"""The error of posterior totals with what sectors add that the inversion took as exact."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.crosscheck.words import say
from obsnet.errors import ConfigError, nearest
from obsnet.language import NOTHING, Words
from obsnet.typing import Floats

__all__ = ["noise_of"]


def noise_of(totals: RegionTotals, stated: Mapping[str, float]) -> tuple[Floats, Words, list[Words]]:
    """Return the noise with what prescribed sectors add, why nothing can be tested if so, and remarks.

    A prescribed sector is taken to be wrong by one factor everywhere.
    """
    noise = totals.noise_covariance
    notes: list[Words] = []
    for sector in stated:
        if sector not in totals.prescribed:
            raise ConfigError(
                f"--prescribed {sector}: the inversion does not prescribe it{nearest(sector, totals.prescribed)}"
            )
    for sector, answer in totals.prescribed.items():
        if sector not in stated:
            return noise, say("prescribed", sector=sector), notes
        if stated[sector] == 0.0:
            notes.append(say("prescribed exact", sector=sector))
        elif answer is None:
            return noise, say("prescribed unknown", sector=sector), notes
        else:
            noise = noise + stated[sector] ** 2 * np.outer(answer, answer)
            notes.append(say("prescribed stated", sector=sector, share=f"{stated[sector]:.0%}"))
    return noise, NOTHING, notes
