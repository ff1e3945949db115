"""The steps between a station file and the store, as a pipeline takes them: scale, rules, budget, one scale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import xarray as xr

from obsnet.errors import ScaleError
from stations.record.scale_names import UNKNOWN

MIXED = "mixed"

__all__ = ["MixedScalesError", "Process"]


class MixedScalesError(ScaleError):
    """Records of one species on several scales in one run."""


@dataclass
class Process:
    """What is done to every record on its way to the store; column records pass as they are.

    Parameters
    ----------
    to_scale : mapping of str to str
        Scale to convert each species to; species not named keep theirs.
    rules : tuple of str
        Rule tables, in order, see `stations.quality.rules.load_rules`.
    budget : str, optional
        See `stations.quality.budget.load_budget`.
    accept_unverified : bool
        Use scale conversions whose source could not be checked.
    mixed_scales : bool
        Allow records of one species on several scales; otherwise the run stops at the first that differs.
    """

    to_scale: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    budget: str | None = None
    accept_unverified: bool = False
    mixed_scales: bool = False
    _seen: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    @property
    def fingerprint(self) -> str:
        """Name of what is done, tables included: a file is done again when it changes; empty for nothing."""
        if not (self.to_scale or self.rules or self.budget):
            return ""
        from stations.calibration.scales import conversions
        from stations.quality.budget import load_budget
        from stations.quality.rules import load_rules

        what = [
            sorted(self.to_scale.items()),
            [repr(load_rules(name)) for name in self.rules],
            repr(load_budget(self.budget)) if self.budget else "",
            self.accept_unverified,
            repr(conversions()) if self.to_scale else "",
        ]
        return "process-" + hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]

    def __call__(self, record: xr.Dataset) -> xr.Dataset:
        """Return a processed record.

        Raises
        ------
        ScaleError
            The record cannot be converted; `MixedScalesError` where it would mix scales.
        """
        if record.attrs.get("kind") == "column":
            return record
        species = str(record.attrs["species"])
        if species in self.to_scale:
            from stations.calibration.scales import convert_scale

            record = convert_scale(record, self.to_scale[species], accept_unverified=self.accept_unverified)
        self._check_scale(record, species)
        if self.rules:
            from stations.quality.rules import apply_rules, load_rules

            for name in self.rules:
                record, _ = apply_rules(record, load_rules(name))
        if self.budget:
            from stations.quality.budget import apply_budget, load_budget

            record, _ = apply_budget(record, load_budget(self.budget))
        return record

    def _check_scale(self, record: xr.Dataset, species: str) -> None:
        scale, path = str(record.attrs.get("scale", UNKNOWN)), str(record.attrs.get("path", ""))
        if scale == MIXED and not self.mixed_scales:
            raise MixedScalesError(f"{path}: its rows are on several scales; select those of one first")
        first, where = self._seen.setdefault(species, (scale, path))
        if scale != first and not self.mixed_scales:
            raise MixedScalesError(
                f"{species} is on {first!r} in {where} and on {scale!r} in {path}; a run keeps to one scale: convert "
                f'with to_scale = {{ {species} = "…" }} (obsnet station scale), or allow it with mixed_scales = true '
                "(--mixed-scales)"
            )
