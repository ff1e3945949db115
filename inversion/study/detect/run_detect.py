"""The work behind `obsnet design detect`: systems to detectable discrepancies, table, JSON and map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from inversion.study.detect.detect import Fossil, detect, fossil_prior, networks_of, set_up
from inversion.study.options import DetectOptions
from inversion.study.words import NATIONAL, named, say, table_text, words
from inversion.study.worlds.network import read_network
from inversion.study.worlds.world import StudyWorld
from obsnet.atomic import atomic_path, write_text
from obsnet.crosscheck.compared.inventory_rows import Chosen, choose_rows
from obsnet.crosscheck.rules.rule import ADJUSTMENT
from obsnet.crosscheck.verdicts.options import RowOptions
from obsnet.errors import FormatError
from obsnet.inventory.period import read_period
from obsnet.inventory.table import BUILT_IN, read_inventory
from obsnet.language import Language, Words, padded
from obsnet.output import plain
from obsnet.seal import read_json, sealed_json

__all__ = ["VERSION", "detect_cell", "detect_lines", "run_detect", "setting_of"]

VERSION = 1  # of the numbers: kept results of another are made again
Report = Callable[[str], None]


def run_detect(
    options: DetectOptions,
    folder: Path,
    out: Path,
    language: Language = "en",
    report: Report = lambda _line: None,
) -> tuple[list[Path], dict[str, Any]]:
    """Say for each province and observing system which discrepancies of its inventory would be found.

    Parameters
    ----------
    options : DetectOptions
        The table ``[detect]``.
    folder, out : Path
        What files are relative to, and where outputs go.
    language : {"en", "zh"}
        Of names, headings and picture.
    report : callable
        Takes lines for people.

    Returns
    -------
    list of Path, dict
        What was written (``detect.csv``, ``detect.json``, ``detect.png``), and the contents of the JSON. What is known
        of each system is kept in ``detect_parts`` and not computed again.

    Raises
    ------
    ObsnetError
        Whatever is wrong with options or inputs.
    """
    world, fossil, chosen = setting_of(options, folder)
    rows, notes = [], []
    for number, system in enumerate(options.system, 1):
        part = out / "detect_parts" / f"{_key(options, world, system, fossil, folder)}.json"
        found = kept_system(part)
        if found is None:
            setting = set_up(world, system, fossil, options, folder)
            size = f"{setting.problem.n_obs} observations x {setting.problem.n_state} unknowns"
            report(f"{number} of {len(options.system)}, {system}: {size}")
            found = {
                "observations": setting.problem.n_obs,
                "notes": setting.notes,
                "rows": plain(detect(setting, world.shares.regions, options)),
            }
            part.parent.mkdir(parents=True, exist_ok=True)
            write_text(part, sealed_json(found))
        else:
            report(f"{number} of {len(options.system)}, {system}: known from an earlier run")
        title = system_title(system, folder)
        about = {"system": system, "title": title, "observations": found["observations"]}
        rows += [about | row for row in found["rows"]]
        notes += [n for n in found["notes"] if n not in notes]
    summary = {
        "systems": options.system,
        "discrepancies": options.discrepancy,
        "period": [str(world.start), str(world.stop)],
        "options": options.model_dump(),
        "assumed": [w._asdict() for w in _assumed(options, world, chosen)],
        "assumptions": notes,
        "rows": [r | {"title": r["title"]._asdict()} for r in rows],
    }
    from inversion.study.detect.detect_map import detect_picture

    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"detect.{ending}" for ending in ("csv", "json", "png")]
    write_text(paths[0], table_text([_line(r, options, language) for r in rows], language, mark=True))
    write_text(paths[1], json.dumps(plain(summary), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    with atomic_path(paths[2]) as temporary:
        temporary.write_bytes(detect_picture(summary, language))
    return paths, summary


def setting_of(options: DetectOptions, folder: Path) -> tuple[StudyWorld, Fossil, Chosen]:
    """Return the world, what is emitted in it and the rows of the inventory that say so."""
    source = options.inventory if options.inventory in BUILT_IN else folder / options.inventory
    inventory = read_inventory(source)
    time = None if options.period is None else read_period(options.period)
    world = StudyWorld(options.world)  # for its regions; its time is known with the inventory's
    chosen = choose_rows(inventory, world.gas.name, "fossil", world.shares.regions, options.rows())
    time = time or chosen.period
    world = world.over(time.start, time.stop)
    return world, fossil_prior(world, chosen), chosen


def system_title(system: str, folder: Path) -> Words:
    """Return the name of an observing system for people."""
    networks, no2 = networks_of(system)
    read = [read_network(name, folder) for name in networks]
    return Words(*(" + ".join([n.called(k) for n in read] + ["NO2"] * no2) for k in ("en", "zh")))


def _key(options: DetectOptions, world: StudyWorld, system: str, fossil: Fossil, folder: Path) -> str:
    """Return what the numbers of one system depend on, as a name."""
    networks = [read_network(name, folder).model_dump() for name in networks_of(system)[0]]
    about = options.model_dump(exclude={"system", "inventory", "period", "world", *RowOptions.model_fields})
    values = np.stack([fossil.total, fossil.sd]).tobytes()
    text = json.dumps([VERSION, system, networks, about, world.options.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode() + values).hexdigest()[:20]


def kept_system(path: Path) -> dict[str, Any] | None:
    """Return what an earlier run found of a system, None where there is none or it is damaged."""
    try:
        found = read_json(path, sealed=True)
    except (FileNotFoundError, FormatError):
        return None
    names = ("observations", "notes", "rows")
    return {name: found[name] for name in names} if set(names) <= set(found) else None


def _line(row: dict[str, Any], options: DetectOptions, language: Language) -> dict[str, Any]:
    """Return a row of the CSV."""
    return {
        "system": row["system"],
        "title": getattr(row["title"], language),
        "observations": row["observations"],
        "region": row["region"],
        "name": named(row["region"], language),
        "unit": "Mt CO2 a-1",
        **{k: row[k] for k in ("inventory", "inventory_sd", "prior_sd", "posterior_sd")},
        **{k: row[k] for k in ("response", "difference_sd", "minimum_detectable", "level", "testable")},
        **{f"power_{d:g}": p for d, p in zip(options.discrepancy, row["power"], strict=True)},
        "reached": row["reached"],
        "reason": row["reason_zh" if language == "zh" else "reason"],
    }


def _assumed(options: DetectOptions, world: StudyWorld, chosen: Chosen) -> Iterator[Words]:
    """Say what was chosen for the user or by him."""

    def who(*names: str) -> Words:
        return words("detect stated" if set(names) <= options.model_fields_set else "detect default")

    share = np.round(chosen.sd / np.abs(chosen.value), 4)
    low, high = np.nanmin(share), np.nanmax(share)
    yield words(
        "detect inventory",
        name=options.inventory,
        period=chosen.period,
        source=chosen.source,
        share=f"{low:.0%}" if low == high else f"{low:.0%} – {high:.0%}",
        chosen=who("uncertainty"),
    )
    yield words("detect rate", start=world.options.start[:10], stop=world.options.stop[:10])
    known, o = options.fossil, world.options
    yield words(
        "detect spread",
        relative=f"{known.relative or 0.0:.0%}",
        km=known.correlation_km,
        regional=f"{known.regional_relative:.0%}",
        days=known.correlation_days,
    )
    yield words(
        "detect biosphere", sd=world.setting("national_sd"), km=o.correlation_km, days=o.correlation_days
    )
    if any(networks_of(system)[1] for system in options.system):
        yield words(
            "detect no2",
            hours=options.no2_hours,
            error=options.no2_error,
            ratio=f"{options.no2_ratio:.0%}",
            chosen=who("no2_hours", "no2_error", "no2_ratio"),
        )
    yield words(
        "detect rule",
        alpha=options.alpha,
        adjustment=ADJUSTMENT,
        power=f"{options.power:.0%}",
        detectable=f"{options.detectable:.0%}",
    )


def detect_lines(summary: dict[str, Any], language: Language = "en") -> Iterator[str]:
    """Say what was assumed, the smallest detectable discrepancy by province and system, and how many reach each."""
    yield from (w[language] for w in summary["assumed"])
    systems, rows = summary["systems"], summary["rows"]
    titles = {r["system"]: r["title"][language] for r in rows}
    for number, system in enumerate(systems, 1):
        yield f"[{number}] {titles[system]}"
    yield f"{say('detect head', language)} (%)"
    yield " " * 27 + "".join(f"{f'[{number}]':>8}" for number in range(1, len(systems) + 1))
    table = {(r["region"], r["system"]): r for r in rows}
    for region in dict.fromkeys(r["region"] for r in rows):
        first = table[region, systems[0]]
        if first["inventory"] is not None:
            cells = [detect_cell(table[region, s]) for s in systems]
            yield (
                padded(named(region, language), 16)
                + f"{first['inventory']:8,.0f} Mt"
                + "".join(f"{c:>8}" for c in cells)
            )
    for system in systems:
        mine = [
            r
            for r in rows
            if r["system"] == system and r["inventory"] is not None and r["region"] != NATIONAL
        ]
        counts = [
            say(
                "detect count",
                language,
                count=sum(r["reached"] is not None and r["reached"] <= d for r in mine),
                all=len(mine),
                share=f"{d:.0%}",
            )
            for d in summary["discrepancies"]
        ]
        yield say(
            "detect counts", language, system=titles[system], counts=say("comma", language).join(counts)
        )


def detect_cell(row: dict[str, Any]) -> str:
    """Return a cell of the table: per cent, with an asterisk where that is within what is testable."""
    share = row["minimum_detectable"]
    if share is None:
        return "-"
    mark = "*" if row["reached"] is not None else ""
    return f"{100 * share:.0f}{mark}" if share < 10.0 else ">999"
