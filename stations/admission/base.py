"""What an admission criterion is given and what it gives back.

Nothing that cannot be measured passes: it is ``not testable``, with what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from obsnet.schema import Quality

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["VALID", "Applicant", "NotTestable", "Outcome", "PerSpecies", "number_of", "verdict_of"]

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
        Layout of `stations.record.record`.
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

    @property
    def last(self) -> np.datetime64:
        """End of the data; NaT where no row has a time."""
        end = self.record["time_end"].values
        end = end[~np.isnat(end)]
        return end.max() if end.size else np.datetime64("NaT", "ns")

    def runs(self) -> tuple[np.ndarray, int]:
        """Return the target runs on the days of the data, each once, and how many others are listed."""
        if self.targets is None:
            return np.empty(0, dtype=[("time", "datetime64[ns]"), ("bias", "f8"), ("sd", "f8")]), 0
        start, day = self.record["time_start"].values, self.targets["time"].astype("datetime64[D]")
        start = start[~np.isnat(start)]
        inside = np.zeros(day.size, dtype=bool)
        if start.size:
            first, last = (t.astype("datetime64[D]") for t in (start.min(), self.last))
            inside = (day >= first) & (day <= last)
        kept = self.targets[inside]
        kept = kept[np.unique(kept["time"], return_index=True)[1]]
        return kept, self.targets.size - kept.size

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
    found_zh, limit_zh : str
        In Chinese, where the English has words in it.
    """

    verdict: Verdict
    found: str
    limit: str
    reason: str
    reason_zh: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    found_zh: str = ""
    limit_zh: str = ""


class NotTestable(Exception):
    """A criterion that cannot be measured; `outcome` says what is missing."""

    def __init__(self, missing: str, missing_zh: str, limit: str = "", limit_zh: str = "") -> None:
        text, text_zh = f"cannot be judged: {missing}", f"无法判定:{missing_zh}"
        super().__init__(text)
        self.outcome = Outcome("not testable", "", limit, text, text_zh, limit_zh=limit_zh)


def number_of(applicant: Applicant, setting: PerSpecies) -> float:
    """Return a number of the requirements for the applicant's species.

    Raises
    ------
    NotTestable
        The requirements have none.
    """
    gas = applicant.species
    if not isinstance(setting, dict):
        return float(setting)
    if gas not in setting:
        raise NotTestable(f"the requirements have no number for {gas}", f"要求中没有{gas}的指标")
    return setting[gas]


def verdict_of(ok: bool) -> Verdict:
    """Return pass or fail."""
    return "pass" if ok else "fail"
