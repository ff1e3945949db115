"""The two-minute summary: what was compared, what was found, what nobody can tell, and what is not in the errors."""

from __future__ import annotations

from typing import Any

from obsnet.language import Language, decimals
from obsnet.report.sections.fit import fit_words
from obsnet.report.sections.section import named, number, percent, signed
from obsnet.report.words import VERDICTS, say, sector_name, span, term

__all__ = ["rule_values", "summary"]

_NAMED = 6  # regions that are named with their numbers; the table has all


def share(value: float) -> str:
    """Return a share of the rule, exact as given."""
    return f"{round(100 * value, 6):g}%"


def rule_values(table: Any) -> dict[str, str]:
    """Return what the texts say of the rule."""
    made = table.iloc[0]
    tested = int((table[table["kind"] == "region"]["verdict"] != "not testable").sum())
    values = {k: share(made[k]) for k in ("alpha", "power", "detectable")}
    return values | {
        "margin": share(made["margin_share"]),
        "adjustment": str(made["adjustment"]),
        "tested": str(tested),
    }


def summary(table: Any, language: Language) -> list[str]:
    """Return the sentences of the summary.

    Parameters
    ----------
    table : pandas.DataFrame
        Of verdicts.
    language : {"en", "zh"}
    """
    made = table.iloc[0]
    single = table[table["kind"] == "region"]
    count = {v: int((single["verdict"] == v).sum()) for v in VERDICTS}
    unit = term("a year", unit=made["unit"]).said(language)
    category = term("total").said(language) if made["category"] == "total" else str(made["category"])
    if made["terminology"]:
        category += say("in brackets", language, text=made["terminology"])
    lines = [
        say(
            "compared",
            language,
            sector=sector_name(made["sector"], language),
            gas=made["gas"],
            period=span(made["period"], language),
            category=category,
            inventory_period=span(made["inventory_period"], language),
        ),
        say(
            "counts",
            language,
            all=len(single),
            inconsistent=count["inconsistent"],
            consistent=count["consistent"],
            undecided=count["not decided"],
            untestable=count["not testable"],
        ),
    ]
    differ = single[single["verdict"] == "inconsistent"].assign(size=lambda t: t["difference"].abs())
    for row in differ.sort_values("size", ascending=False).head(_NAMED).to_dict("records"):
        digits = decimals(row["posterior_sd"])
        names = ("inventory", "inventory_sd", "posterior", "posterior_sd", "difference_sd")
        numbers = {k: number(row[k], digits) for k in names}
        numbers |= {"difference": signed(row["difference"], digits)}
        lines.append(say("differs", language, name=named(row, language), unit=unit, **numbers))
    if differ.empty:
        lines.append(say("no single", language))
    agree = single[single["verdict"] == "consistent"]
    between = "、" if language == "zh" else ", "
    if len(agree):
        lines.append(
            say("agree", language, names=between.join(named(r, language) for r in agree.to_dict("records")))
        )
    near = single[single["verdict"] == "not testable"].assign(
        share=lambda t: t["minimum_detectable"] / t["inventory"].abs()
    )
    near = near[near["share"] > made["detectable"]].sort_values("share")
    if len(near):
        first = near.iloc[0].to_dict()
        limit = share(made["detectable"])
        name = named(first, language)
        lines.append(say("nearest", language, name=name, share=percent(first["share"]), limit=limit))
    return [*lines, fit_words(table).said(language), say("not in errors", language)]
