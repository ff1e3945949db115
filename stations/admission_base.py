"""What an admission criterion is given and what it gives back.

Nothing that cannot be measured passes: it is ``not testable``, with what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr

from obsnet.schema import Quality

__all__ = ["VALID", "Applicant", "Outcome", "PerSpecies", "limit_of", "untestable", "verdict_of"]

PerSpecies = float | dict[str, float]
Verdict = Literal["pass", "fail", "not testable"]
VALID = np.uint32(~int(Quality.SELECTION | Quality.HOURS) & 0xFFFFFFFF)  # bits that make a row invalid


@dataclass(frozen=True)
class Applicant:
    """All that is known of a station that applies.

    Attributes
    ----------
    name : str
        Of the station.
    record : xarray.Dataset
        Layout of `stations.record`.
    dossier : mapping
        What the station states: ``standards, calibrations, responsible, ...``.
    targets : ndarray, optional
        Structured ``time, bias, sd`` of target-tank runs.
    comparison : xarray.Dataset, optional
        A second record of the same air (flasks beside the analyser, a travelling instrument).
    """

    name: str
    record: xr.Dataset
    dossier: Mapping[str, Any] = field(default_factory=dict)
    targets: np.ndarray | None = None
    comparison: xr.Dataset | None = None

    @property
    def species(self) -> str:
        """Formula."""
        return str(self.record.attrs["species"])

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return str(self.record.attrs["unit"])

    def valid(self) -> np.ndarray:
        """Return rows with a value that nobody rejected; background or not does not matter."""
        return ((self.record["quality"].values & VALID) == 0) & np.isfinite(self.record["value"].values)


@dataclass(frozen=True)
class Outcome:
    """What a criterion found.

    Attributes
    ----------
    verdict : str
        ``pass``, ``fail`` or ``not testable``.
    found, limit : str
        For people, with units.
    reason, reason_zh : str
        Why, in English and Chinese.
    rows : list of dict
        The rows behind it.
    """

    verdict: Verdict
    found: str
    limit: str
    reason: str
    reason_zh: str
    rows: list[dict[str, Any]] = field(default_factory=list)


def untestable(missing: str, missing_zh: str, limit: str = "") -> Outcome:
    """Return the outcome of a criterion that cannot be measured, with what is missing."""
    return Outcome("not testable", "", limit, f"cannot be judged: {missing}", f"无法判定:{missing_zh}")


def limit_of(applicant: Applicant, number: PerSpecies) -> float | None:
    """Return a limit for the applicant's species; None where the requirements have none."""
    return number.get(applicant.species) if isinstance(number, dict) else float(number)


def verdict_of(ok: bool) -> Verdict:
    """Return pass or fail."""
    return "pass" if ok else "fail"
