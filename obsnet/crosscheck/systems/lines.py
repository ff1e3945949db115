"""A comparison of systems as lines of text, and its files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from obsnet.atomic import atomic_path, write_text
from obsnet.crosscheck.systems.run import ComparedSystems
from obsnet.crosscheck.systems.words import heading, sentence
from obsnet.language import Language
from obsnet.output import plain

__all__ = ["compared_data", "compared_lines", "write_compared"]


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"


def compared_lines(found: ComparedSystems, language: Language = "en") -> Iterator[str]:
    """Return the totals of each region and both spreads."""
    groups = found.systems.groupby(["gas", "quantity", "region", "period"])

    def said(key: str, **values: object) -> str:
        return sentence(key, language, **values)

    for r in found.spread.to_dict("records"):
        kind = {k: r[k] for k in ("gas", "quantity", "period")}
        yield said("head", name=r[f"name_{language}"], **kind)
        for s in groups.get_group((r["gas"], r["quantity"], r["region"], r["period"])).to_dict("records"):
            tail = [said("parts")] if s["how"] else []
            if s["resolved"] is False:
                tail.append(said("unresolved", cell=s["cell"], sd=_number(s["split_sd"])))
            yield f"    {s['system']:<24}{_number(s['total']):>10} ± {_number(s['sd'])}  {'; '.join(tail)}".rstrip()
        spreads = {k: _number(r[f"{k}_sd"]) for k in ("within", "between", "total")}
        gap = said("gap", gap=_number(r["gap_in_sd"])) if math.isfinite(r["gap_in_sd"]) else ""
        yield f"    {said('both', stated=r['stated'], systems=r['systems'], **spreads)}{gap}"
    if (found.spread["systems"] > 1).any():
        yield said("not one")


def compared_data(found: ComparedSystems) -> dict[str, Any]:
    """Return a comparison for machines."""
    return {
        "unit": "Tg a-1",
        "systems": found.systems.to_dict("records"),
        "spread": found.spread.to_dict("records"),
        "notes": list(found.notes),
    }


def write_compared(found: ComparedSystems, folder: Path, language: Language = "en") -> list[Path]:
    """Write systems.csv and spread.csv, with the mark that Excel looks for, and compare.json."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in (("systems", found.systems), ("spread", found.spread)):
        target = folder / f"{name}.csv"
        named = table.rename(columns={c: heading(c, language) for c in table.columns})
        with atomic_path(target) as temporary:
            named.to_csv(temporary, index=False, encoding="utf-8-sig", lineterminator="\n")
        written.append(target)
    target = folder / "compare.json"
    write_text(target, json.dumps(plain(compared_data(found)), indent=1, ensure_ascii=False) + "\n")
    return [*written, target]
