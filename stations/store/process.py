"""The steps between a station file and the store, as a pipeline takes them: scale, rules, budget, one scale."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from obsnet.content import sha256
from obsnet.errors import ScaleError
from obsnet.work.agreement import agreed
from stations.record.scale_names import UNKNOWN
from stations.store import VERSION
from stations.store.options import Delivery, ProcessOptions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MixedScalesError", "OneScale", "fingerprint", "process_record"]

MIXED = "mixed"


class MixedScalesError(ScaleError):
    """Records of one species on several scales in one run."""


def process_record(record: xr.Dataset, options: ProcessOptions) -> xr.Dataset:
    """Convert a record's scale, judge it by rules and give it its uncertainty, as far as asked.

    Columns stay as they are; where something was asked of them, their warnings say so.

    Raises
    ------
    ScaleError
        The record cannot be converted.
    """
    species = str(record.attrs["species"])
    if record.attrs.get("kind") == "column":
        asked = {"to_scale": species in options.to_scale, "rules": options.rules, "budget": options.budget}
        left = ", ".join(name for name, given in asked.items() if given)
        if left:
            text = f"{species}: of columns; {left} are for samples at a point and were not applied"
            record = record.assign_attrs(warnings=[*record.attrs.get("warnings", []), text])
        return record
    if species in options.to_scale:
        from stations.calibration.scales import convert_scale

        record = convert_scale(
            record,
            options.to_scale[species],
            accept_unverified=options.accept_unverified,
            table=options.scales,
        )
    if options.rules:
        from stations.quality.rules import apply_rules, load_rules

        for name in options.rules:
            record, _ = apply_rules(record, load_rules(name))
    if options.budget:
        from stations.quality.budget import apply_budget, load_budget

        record, _ = apply_budget(record, load_budget(options.budget))
    return record


def fingerprint(options: Delivery) -> str:
    """Return a hash of how files are read and what is done to them, the tables' content included.

    Raises
    ------
    ConfigError
        A table that is named is not there, or faulty.
    """
    from stations.calibration.scales import conversions
    from stations.quality.budget import load_budget
    from stations.quality.rules import load_rules

    what = {
        "version": VERSION,
        "options": options.model_dump(mode="json", exclude={"files", "store", "mixed_scales"}),
        "rules": [repr(load_rules(name)) for name in options.rules],
        "budget": repr(load_budget(options.budget)) if options.budget else "",
        "scales": repr(conversions(table=options.scales)) if options.to_scale else "",
        "files": [sha256(p) for p in options.tables if p.is_file()],
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class OneScale:
    """Sees to it that a run keeps to one scale a species, and stops it at the first record that differs.

    Parameters
    ----------
    mixed : bool
        Several scales are allowed.
    plan : Path, optional
        Folder of the run's plan (`obsnet.work.shards`): all shards, wherever they run, and runs before it whose plan
        stands, then keep to the scale that the first of them found.
    """

    mixed: bool = False
    plan: Path | None = None
    _seen: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    def check(self, species: str, scale: str, path: str) -> None:
        """Take note of a record's scale.

        Raises
        ------
        MixedScalesError
            It is another one than before, or the record's rows are on several.
        """
        scale = scale or UNKNOWN
        if self.mixed:
            return
        if scale == MIXED:
            raise MixedScalesError(f"{path}: its rows are on several scales; select those of one first")
        first, where = self._seen.setdefault(species, (scale, path))
        if scale == first and self.plan is not None:
            first, where = agreed(self.plan, f"scale-{species}", scale, path)
        if scale != first:
            raise MixedScalesError(
                f"{species} is on {first!r} in {where} and on {scale!r} in {path}; a store keeps to one scale: convert "
                f'with to_scale = {{ {species} = "…" }} (obsnet station scale), or allow it with mixed_scales = true '
                "(--mixed-scales)"
            )
