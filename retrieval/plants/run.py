"""Cards, planned plants and sums of plants, written."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from obsnet.atomic import write_text
from obsnet.config import Options, resolve_files
from obsnet.errors import ConfigError
from obsnet.output import plain
from obsnet.provenance import record
from obsnet.sheets import csv_text
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from retrieval.plants.card import PlantCard, build_card, card_data, overpass_rows
from retrieval.plants.footprints import station_views
from retrieval.plants.options import CardTable, PlannedTable, ProvincesTable
from retrieval.plants.page import write_page
from retrieval.plants.planned import visibility, visibility_rows
from retrieval.plants.planned_page import planned_lines, planned_notes, write_planned_page
from retrieval.plants.provinces import read_card, sum_provinces

__all__ = ["PlantFiles", "run_card", "run_planned", "run_provinces"]

_VERSION = "1"


@dataclass
class PlantFiles:
    """What was made.

    Parameters
    ----------
    data : dict
        All of it, for JSON.
    files : list of Path
        Written.
    card : PlantCard, optional
        Of `run_card`.
    """

    data: dict[str, Any]
    files: list[Path] = field(default_factory=list)
    card: PlantCard | None = None


def run_card(options: CardTable) -> PlantFiles:
    """Make a plant's card: ``<plant>.html``, ``<plant>.json``, ``<plant>_overpasses.csv``, ``<plant>_run.json``."""
    card = build_card(options)
    data = card_data(card, options.language)
    stem = _stem(card.identity["source"])
    page = write_page(options.out / f"{stem}.html", card, options.language)
    rows = options.out / f"{stem}_overpasses.csv"
    _table(rows, overpass_rows(card.overpasses, options.language))
    inputs = [*resolve_files(options.rates), *options.stack, *options.factors]
    inputs += [p for p in (options.fuel, options.daily) if p is not None]
    files = [page, rows, *_records(options, options.out / stem, data, "card", inputs)]
    return PlantFiles(data, files, card)


def run_planned(options: PlannedTable, work: Work | None = None) -> PlantFiles:
    """Tell what a planned plant would show: ``<plant>_planned.html``, ``.csv``, ``.json``, ``_stations.csv``."""
    network = station_views(options) if options.footprints is not None else None
    found = visibility(options, work)
    rows = visibility_rows(options, found)
    stations = [] if network is None else [asdict(v) for v in (*network.stations, network.together)]
    data = {
        "plant": options.name,
        "latitude": options.latitude,
        "longitude": options.longitude,
        "winds": rows,
        "stations": [{k: None if v == float("inf") else v for k, v in r.items()} for r in stations],
        "summary": planned_lines(options, found, network, options.language),
        "notes": [n.said(options.language) for n in planned_notes(network)],
    }
    stem = options.out / f"{_stem(options.name)}_planned"
    files = [write_planned_page(stem.with_suffix(".html"), options, found, network), stem.with_suffix(".csv")]
    _table(files[1], rows)
    if stations:
        files.append(stem.with_name(f"{stem.name}_stations.csv"))
        _table(files[2], stations)
    inputs = []
    if options.footprints is not None and options.store is not None:
        inputs = [
            options.footprints / "meta.json",
            *sorted((options.footprints / "sensitivity").glob("[!.]*.parquet")),
            *ObservationStore(options.store).files("CO2"),
        ]
    return PlantFiles(data, [*files, *_records(options, stem, data, "planned", inputs)])


def run_provinces(options: ProvincesTable) -> PlantFiles:
    """Add cards up by province: ``plants_by_province.csv``, ``.json``."""
    found = [Path(p) for p in resolve_files(options.cards)]
    paths = [
        p for p in found if p.suffix == ".json" and not p.stem.endswith(("_run", "_planned", "by_province"))
    ]
    if not paths:
        raise ConfigError(f"no cards among {len(found)} files; give the JSON files of obsnet plume card")
    rows, together, notes = sum_provinces([read_card(p) for p in paths], paths)
    data = {"provinces": rows, "agreement": together, "notes": notes}
    stem = options.out / "plants_by_province"
    table = stem.with_suffix(".csv")
    _table(table, rows)
    return PlantFiles(data, [table, *_records(options, stem, data, "provinces", paths)])


def _records(options: Options, stem: Path, data: dict[str, Any], name: str, inputs: list[Path]) -> list[Path]:
    run = record(
        command=f"obsnet plume {name}",
        config=plain(options.model_dump()),
        inputs=[Path(p) for p in inputs],
        algorithm=_VERSION,
    )
    files = [stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}_run.json")]
    for path, content in zip(files, (data, run), strict=True):
        write_text(path, json.dumps(plain(content), indent=1, ensure_ascii=False) + "\n")
    return files


def _table(path: Path, rows: list[dict[str, Any]]) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        [{k: v.astype(str) if hasattr(v, "astype") else v for k, v in r.items()} for r in rows]
    )
    write_text(path, csv_text(frame))


def _stem(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name) or "plant"
