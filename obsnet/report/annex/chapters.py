"""The chapters of an annex, in the order of those of national inventories; made of the report's own sections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from obsnet.language import NOTHING, Language, Words, decimals
from obsnet.report.annex.results import detectability, sums, verdict_table
from obsnet.report.annex.texts import text
from obsnet.report.content import Content
from obsnet.report.sections.section import Section, number, percent
from obsnet.report.tables.headings import VALUES
from obsnet.report.words import sector_name, span

__all__ = ["Chapter", "chapters"]

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


def chapters(content: Content, files: Sequence[tuple[str, str, Words]]) -> list[Chapter]:
    """Return the chapters of an content.

    Parameters
    ----------
    content : Content
        What the report says.
    files : sequence of (str, str, Words)
        Name, sha256 and content of the files behind it.
    """
    made = content.table.iloc[0]
    names = {
        "gas": made["gas"],
        "sector": _in_both(sector_name, made["sector"]),
        "period": _in_both(span, made["period"]),
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

    def part(what: str) -> list[Section]:
        found = list(content.sections.get(what, ()))
        return found or ([Section(NOTHING, [text(_NOT_MADE[what])])] if what in _NOT_MADE else [])

    facts = Section(text("rests on"), [], (text("what"), text("which")), [(k, v) for k, v in content.facts])
    behind = Section(
        text("files"),
        [text("hashes")],
        (text("file"), text("content"), Words("sha256", "sha256")),
        [(n, w, h) for n, h, w in files],
    )
    meanings = [(Words(v, VALUES["verdict"][v]), text(f"means {v}", **rule)) for v in VALUES["verdict"]]
    return [
        Chapter(
            text("purpose"),
            [
                Section(NOTHING, [text("scope", **names), *content.notes]),
                Section(
                    text("results in short"), [*_counts(content.table), *map(_sentence, content.remarks)]
                ),
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
                detectability(content.table, content.pictures.get("totals")),
                verdict_table(content.table, content.pictures.get("verdicts")),
                Section(
                    text("where"),
                    [],
                    picture=content.pictures.get("flux"),
                    caption=text("flux map", sector=names["sector"], period=content.period),
                ),
            ],
        ),
        Chapter(text("national"), [*sums(content.table), *part("reconciled")]),
        Chapter(text("sectors and trends"), [*part("attribution"), *part("trends"), *part("nowcast")]),
        Chapter(
            text("uncertainty"),
            [
                Section(NOTHING, [text("uncertainty text")]),
                *part("fit"),
                *part("told_apart"),
                *part("beside"),
                *part("compare"),
            ],
        ),
        Chapter(text("limits"), [Section(NOTHING, [text(f"limit {k}") for k in range(1, 7)])]),
        Chapter(text("references"), [behind, Section(text("literature"), [text("literature list")])]),
    ]


def _in_both(word: Callable[[str, Language], str], text: Any) -> Words:
    return Words(word(str(text), "en"), word(str(text), "zh"))


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
    found = single["verdict"].value_counts()
    said = [
        text(
            "counts",
            all=len(single),
            tested=int((single["verdict"] != "not testable").sum()),
            **{v.replace(" ", "_"): int(found.get(v, 0)) for v in VALUES["verdict"]},
        )
    ]
    for r in table[table["verdict"] == "inconsistent"].to_dict("records"):
        size, digits = abs(r["inventory"]), decimals(r["posterior_sd"])
        said.append(
            text(
                "differs",
                name=Words(r["name_en"], r["name_zh"]),
                inventory=f"{number(r['inventory'], digits)} ± {number(r['inventory_sd'], digits)}",
                posterior=f"{number(r['posterior'], digits)} ± {number(r['posterior_sd'], digits)}",
                higher=text("higher" if r["difference"] > 0 else "lower"),
                unit=r["unit"],
                least=percent(r["minimum_detectable"] / size) if size else "–",
                p=f"{r['p_adjusted']:.2g}",
            )
        )
    return said
