"""The chapters of an annex, in the order of those of national inventories; made of the report's own sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obsnet.crosscheck.words import NOTHING, Words
from obsnet.report.annex.results import detectability, fit_table, sums, verdict_table
from obsnet.report.annex.texts import text
from obsnet.report.headings import VALUES
from obsnet.report.sections.section import Section, percent

__all__ = ["Annex", "Chapter", "by_part", "chapters"]

# Where a section of the report belongs, by its English heading; what is not named here goes with the trends.
_PARTS = {
    "Definitions": "bridge",
    "Beside the verdict": "beside",
    "What is told apart": "told_apart",
    "Reconciliation": "reconciled",
    "Sectors": "attribution",
    "Trends": "trends",
    "Other systems": "systems",
    "Fit and calibration": "fit",
    "Methods and inputs": "inputs",
}
_NOT_MADE = {
    "bridge": "no bridge",
    "attribution": "no sectors",
    "trends": "no trends",
    "reconciled": "no reconciliation",
}


@dataclass(frozen=True)
class Chapter:
    """A heading and what stands below it."""

    title: Words
    sections: Sequence[Section]


@dataclass(frozen=True)
class Annex:
    """What an annex is made of: the report's tables, sections and pictures.

    Parameters
    ----------
    title : Words
    table : pandas.DataFrame
        Of verdicts, see `obsnet.crosscheck.table`.
    posterior : xarray.Dataset
        Its attributes and its table of sources are read.
    pictures : mapping of str to bytes
        ``verdicts``, ``totals``, ``flux``.
    sections : sequence of Section
        Of the report, in any order; each goes to its chapter by its heading, see `by_part`.
    notes : sequence of str
        What a reader must know first.
    remarks : sequence of Words
        What all rows have in common, and what all regions together say.
    facts : sequence of (Words, Words)
        What the estimate rests on.
    files : sequence of (str, str, Words)
        Name, sha256 and content of the files behind this annex.
    period : str
        Of the map of the flux.
    """

    title: Words
    table: Any
    posterior: Any
    pictures: Mapping[str, bytes]
    sections: Sequence[Section]
    notes: Sequence[str] = ()
    remarks: Sequence[Words] = ()
    facts: Sequence[tuple[Words, Words]] = ()
    files: Sequence[tuple[str, str, Words]] = field(default=())
    period: str = ""


def by_part(sections: Sequence[Section]) -> dict[str, list[Section]]:
    """Return sections by the part of an annex that they belong to; ``more`` has those of other headings."""
    found: dict[str, list[Section]] = {}
    for section in sections:
        found.setdefault(_PARTS.get(section.title.en, "more"), []).append(section)
    return found


def chapters(annex: Annex) -> list[Chapter]:
    """Return the chapters of an annex."""
    made = annex.table.iloc[0]
    names = {
        "gas": made["gas"],
        "sector": made["sector"],
        "period": made["period"],
        "inventory_period": made["inventory_period"],
        "category": _category(made),
        "source": made["inventory_source"] or Words("no source given", "未注明来源"),
    }
    rule = {
        "alpha": _share(made["alpha"]),
        "power": _share(made["power"]),
        "detectable": _share(made["detectable"]),
        "margin": _share(made["margin_share"]),
        "adjustment": made["adjustment"],
    }

    parts = by_part(annex.sections)

    def part(what: str) -> list[Section]:
        found = parts.get(what, [])
        return found or ([Section(NOTHING, [text(_NOT_MADE[what])])] if what in _NOT_MADE else [])

    facts = Section(text("rests on"), [], (text("what"), text("which")), [(k, v) for k, v in annex.facts])
    files = Section(
        text("files"),
        [text("hashes")],
        (text("file"), text("content"), Words("sha256", "sha256")),
        [(n, w, h) for n, h, w in annex.files],
    )
    meanings = [(Words(v, VALUES["verdict"][v]), text(f"means {v}", **rule)) for v in VALUES["verdict"]]
    return [
        Chapter(
            text("purpose"),
            [
                Section(NOTHING, [text("scope", **names), *(Words(n, n) for n in annex.notes)]),
                Section(text("results in short"), [*_counts(annex.table), *map(_sentence, annex.remarks)]),
                Section(text("what verdicts say"), [], (text("verdict"), text("says")), meanings),
            ],
        ),
        Chapter(
            text("methods"),
            [Section(NOTHING, [text("method"), text("rule", **rule)]), facts, *part("inputs")],
        ),
        Chapter(text("definitions"), part("bridge")),
        Chapter(
            text("by province"),
            [
                detectability(annex.table, annex.pictures.get("totals")),
                verdict_table(annex.table, annex.pictures.get("verdicts")),
                Section(
                    text("where"),
                    [],
                    picture=annex.pictures.get("flux"),
                    caption=text("flux map", sector=made["sector"], period=annex.period),
                ),
            ],
        ),
        Chapter(text("national"), [*sums(annex.table), *part("reconciled")]),
        Chapter(text("sectors and trends"), [*part("attribution"), *part("trends"), *part("more")]),
        Chapter(
            text("uncertainty"),
            [
                Section(NOTHING, [text("uncertainty text")]),
                *(part("fit") or fit_table(annex.posterior, made)),
                *part("told_apart"),
                *part("beside"),
                *part("systems"),
            ],
        ),
        Chapter(text("limits"), [Section(NOTHING, [text(f"limit {k}") for k in range(1, 7)])]),
        Chapter(text("references"), [files, Section(text("literature"), [text("literature list")])]),
    ]


def _category(made: Any) -> Words:
    code = str(made["category"])
    of = f" ({made['terminology']})" if made["terminology"] else ""
    return Words(f"{code}{of}", f"{VALUES['category'].get(code, code)}{of}")


def _share(value: float) -> str:
    return f"{round(100 * value, 6):g}%"


def _sentence(said: Words) -> Words:
    """Return a remark as a sentence of its own."""
    return Words(f"{said.en[:1].upper()}{said.en[1:]}.", f"{said.zh}。")


def _counts(table: Any) -> list[Words]:
    """Say in words how many regions came to which verdict, and name those whose inventory was shown to differ."""
    single = table[table["kind"] == "region"]
    number = single["verdict"].value_counts()
    said = [
        text(
            "counts",
            all=len(single),
            tested=int((single["verdict"] != "not testable").sum()),
            **{v.replace(" ", "_"): int(number.get(v, 0)) for v in VALUES["verdict"]},
        )
    ]
    for r in table[table["verdict"] == "inconsistent"].to_dict("records"):
        size = abs(r["inventory"])
        said.append(
            text(
                "differs",
                name=Words(r["name_en"], r["name_zh"]),
                inventory=f"{r['inventory']:,.0f} ± {r['inventory_sd']:,.0f}",
                posterior=f"{r['posterior']:,.0f} ± {r['posterior_sd']:,.0f}",
                higher=text("higher" if r["difference"] > 0 else "lower"),
                unit=r["unit"],
                least=percent(r["minimum_detectable"] / size) if size else "–",
                p=f"{r['p_adjusted']:.2g}",
            )
        )
    return said
