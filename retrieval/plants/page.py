"""The card as one self-contained HTML page."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from obsnet.atomic import write_text
from obsnet.language import Language, Words
from obsnet.places import place_words
from obsnet.regions import PROVINCES, region_name
from retrieval.plants.card import PlantCard, totals_e_n
from retrieval.plants.compare.match import Overpass
from retrieval.plants.figures import card_png
from retrieval.plants.words import BY, say
from retrieval.plume.rates.reasons import words_of

__all__ = ["render", "summary_lines", "write_page"]

_TEMPLATES = Path(__file__).parent / "templates"
Row = list[str]


def write_page(path: Path, card: PlantCard, language: Language) -> Path:
    """Write the page: no script, no reference to anything outside, every text escaped."""
    return render(
        path,
        language,
        title=say("title", language, name=card.identity["source"]),
        sub=say("sub", language, method=card.method, n=len(card.overpasses)),
        caption=say("caption", language),
        facts=_facts(card, language),
        summary=summary_lines(card, language),
        picture=card_png(card, language),
        tables=[t for t in _tables(card, language) if t["rows"]],
        notes=card.notes,
    )


def render(path: Path, language: Language, *, picture: bytes, notes: Iterable[Words], **parts: Any) -> Path:
    """Write a page of a plant: facts, summary, picture, tables, notes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    html = environment.get_template("card.html.j2").render(
        lang="zh-Hans" if language == "zh" else "en",
        say=lambda key, **values: say(key, language, **values),
        picture=base64.b64encode(picture).decode("ascii"),
        notes=[(n.said(language), language == "zh" and not n.zh) for n in notes],
        **parts,
    )
    write_text(path, html)
    return path


def summary_lines(card: PlantCard, language: Language) -> list[str]:
    """Return what the card says first."""
    n = [sum(o.status == s for o in card.overpasses) for s in ("rate", "below", "rejected")]
    lines = [say("sum_rates", language, used=n[0], all=len(card.overpasses), below=n[1], rest=n[2])]
    for name, value, _, low, high in card.totals:
        values = {"value": f"{value:.3g}", "low": f"{low:.3g}", "high": f"{high:.3g}"}
        lines.append(say("sum_total", language, by=BY[name].said(language), year=card.year, **values))
        if name == "satellite" and card.annual is not None:
            a = card.annual
            parts = {k: f"{getattr(a, k):.2g}" for k in ("random", "sampling", "common")}
            lines.append(say("sum_parts", language, n=a.overpasses, **parts))
    if card.agreement is not None:
        d, within = card.agreement["difference"], card.agreement["e_n_within"]
        low, high = d["bias_interval"]
        lines.append(
            say(
                "sum_agree",
                language,
                bias=f"{d['bias']:+.0f}",
                low=f"{low:+.0f}",
                high=f"{high:+.0f}",
                inside=within["inside"],
                n=within["n"],
            )
        )
    return lines


def _facts(card: PlantCard, language: Language) -> list[tuple[str, str]]:
    i = card.identity
    found = [
        ("place", place_words(i["latitude"], i["longitude"]).said(language)),
        ("region", region_name(i["region"], language) if i["region"] in PROVINCES else i["region"]),
        ("capacity", "" if i["capacity_mw"] is None else f"{i['capacity_mw']:g}"),
        ("stack_name", i["stack_name"]),
        ("units", ", ".join(i["units"])),
    ]
    return [(say(k, language), v) for k, v in found if v]


def _tables(card: PlantCard, language: Language) -> list[dict[str, Any]]:
    def heads(*keys: str) -> list[str]:
        return [say(k, language) for k in keys]

    over = heads(
        "time", "rate", "interval", "errors", "limit", "wind", "window", "stack", "substituted", "e_n", "why"
    )
    return [
        {
            "title": say("overpasses", language),
            "text": "",
            "heads": over,
            "rows": [_overpass(o, language) for o in card.overpasses],
        },
        {
            "title": say("agreement", language),
            "text": "",
            "heads": heads("what", "value", "interval"),
            "rows": [] if card.agreement is None else _agreement(card.agreement, language),
        },
        {
            "title": say("totals", language, year=card.year),
            "text": "",
            "heads": heads("by", "mt", "error", "interval", "against"),
            "rows": _totals(card, language),
        },
        {
            "title": say("fuel", language),
            "text": "",
            "heads": heads("fuel_item", "amount", "factor", "tier", "emission", "error", "source"),
            "rows": [] if card.fuel is None else [_fuel(line) for line in card.fuel.lines],
        },
        {
            "title": say("methods", language),
            "text": say("methods_text", language),
            "heads": heads("time", "scene", "method", "rate", "interval"),
            "rows": [
                [str(b["time"])[:16], b["scene"], b["method"], _number(b["rate"]), _span(b["low"], b["high"])]
                if b["status"] == "rate"
                else [str(b["time"])[:16], b["scene"], b["method"], say("rejected", language), ""]
                for b in card.beside
            ],
        },
    ]


def _overpass(o: Overpass, language: Language) -> Row:
    if o.status == "rate":
        rate, span = _number(o.rate), _span(o.low, o.high)
        errors = ", ".join(
            _number(o.parts[n]) for n in ("wind", "background", "noise", "method", "conversion")
        )
    else:
        rate = (
            say("below", language, limit=_number(o.limit))
            if o.status == "below"
            else say("rejected", language)
        )
        span = errors = ""
    window = "" if o.window is None else f"{str(o.window[0])[11:16]}–{str(o.window[1])[11:16]}"
    stack = f"{o.stack:.0f} ± {o.stack_error:.0f}" if math.isfinite(o.stack) else ""
    return [
        str(o.time)[:16].replace("T", " "),
        rate,
        span,
        errors,
        _number(o.limit),
        f"{o.wind:.1f} ± {o.wind_error:.1f}",
        window,
        stack,
        f"{o.substituted:.0%}" if math.isfinite(o.substituted) else "",
        f"{o.e_n:+.2f}" if math.isfinite(o.e_n) else "",
        words_of(o.quality, language),
    ]


def _agreement(a: dict[str, Any], language: Language) -> list[Row]:
    rows: list[Row] = []
    if a["york"] is None:
        rows.append([say("no_line", language), "", a["no_line"]])
    else:
        y, d = a["york"], a["deming"]
        rows += [
            [
                say("york", language),
                f"{y['slope']:.2f}",
                _span(y["slope_interval"][0], y["slope_interval"][1], 2),
            ],
            [say("york_intercept", language), f"{y['intercept']:+.0f}", _span(*y["intercept_interval"])],
            [say("chi", language), f"{y['chi_square']:.2f}", ""],
            [
                say("deming", language, ratio=f"{a['ratio']:.3g}"),
                f"{d['slope']:.2f}",
                _span(d["slope_interval"][0], d["slope_interval"][1], 2),
            ],
        ]
    b = a["difference"]
    rows.append([say("bias", language), f"{b['bias']:+.0f}", _span(*b["bias_interval"])])
    limits = f"{_span(*b['low_interval'])}; {_span(*b['high_interval'])}"
    rows.append([say("loa", language), _span(b["low"], b["high"]), limits])
    if math.isfinite(a["median_ratio"]):
        rows.append([say("median", language), f"{a['median_ratio']:.2f}", ""])
    for key, name in (("within", "e_n_within"), ("hold", "intervals_hold")):
        c = a[name]
        low, high = c["interval"]
        rows.append([say(key, language), f"{c['inside']} / {c['n']}", f"{low:.0%} … {high:.0%}"])
    return rows


def _totals(card: PlantCard, language: Language) -> list[Row]:
    rows = []
    for total in card.totals:
        name, value, error, low, high = total
        others = [t for t in card.totals if t[0] != name]
        said = ", ".join(f"{BY[t[0]].said(language)} {totals_e_n(t, total):+.2f}" for t in others)
        rows.append(
            [BY[name].said(language), f"{value:.3f}", f"{error:.3f}", f"{low:.3f} … {high:.3f}", said]
        )
    return rows


def _fuel(line: dict[str, Any]) -> Row:
    return [
        str(line["item"]),
        f"{line['amount']:{',.0f' if line['amount'] >= 1000 else '.4g'}} {line['unit']}",
        f"{line['factor']:.4g} {line['factor_unit']}",
        str(line["tier"]),
        f"{line['emission_t']:,.0f}",
        f"{line['sd']:.1%}",
        str(line["source"]),
    ]


def _number(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "–"


def _span(low: float, high: float, digits: int = 0) -> str:
    return (
        f"{low:.{digits}f} … {f'{high:.{digits}f}' if math.isfinite(high) else '∞'}"
        if math.isfinite(low)
        else "–"
    )
