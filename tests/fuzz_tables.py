"""Tables that people write, each with small good files to damage; see `tests.fuzz_targets`."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["inventories", "inverted", "settings", "tables"]


@functools.cache
def inverted() -> tuple[bytes, str]:
    """Return the posterior and the table of verdicts of a small case."""
    from tests.cases import _inverted

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        run = _inverted(Path(folder)).folder / "run"
        return (run / "posterior.nc").read_bytes(), (run / "provinces.csv").read_text(encoding="utf-8")


def inventories(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Every reader of tables of inventories."""
    from obsnet.inventory.sources.ceads import read_ceads
    from obsnet.inventory.sources.daily import read_daily
    from tests.obsnet.inventory import test_sources as books
    from tests.obsnet.inventory.test_doors import READERS

    for name, (write, read) in READERS.items():
        place = folder / name.replace(" ", "_")
        place.mkdir()
        yield write(place / "good"), lambda p, _, read=read: read(p)
    (folder / "ceads").mkdir()
    sheets = {"InnerMongolia2019": books.ceads_sheet(books.values())}
    yield books.workbook(folder / "ceads" / "a.xlsx", sheets), lambda p, _: read_ceads(p)
    (folder / "daily").mkdir()
    yield books.daily_book(folder / "daily" / "a.xlsx"), lambda p, _: read_daily(p)


def tables(folder: Path) -> Iterator[tuple[Path, Any]]:
    """CSV and polygons of the user's."""
    import geopandas as gpd
    from shapely.geometry import box

    from inversion.transport.background.particle_ends import open_background
    from inversion.transport.receptors.listed import read_places
    from obsnet.crosscheck.bridge.lines import read_lines
    from obsnet.crosscheck.compared.groups import read_groups
    from obsnet.crosscheck.trend.run import read_series, trends
    from obsnet.crosscheck.verdicts.table import read_table
    from obsnet.inventory.table import read_inventory
    from obsnet.regions import read_regions
    from retrieval.products.bias_fit import read_truth
    from stations.admission.judge import load_applicant
    from stations.quality.met_join import join_met
    from stations.record.file import write_record
    from tests.stations.dialects import noaa_text, read_text, simple

    record = read_text(noaa_text(simple(4)))
    write_record(record, folder / "station.nc")
    dossier = 'name = "a"\nfiles = ["station.nc"]\ntargets = "targets.csv"\n'
    (folder / "dossier.toml").write_text(dossier)

    def targets(_: Path, root: Path) -> Any:
        return load_applicant(root / "dossier.toml")

    files = {
        "inventory.csv": (
            "region,period,gas,category,terminology,value,unit,uncertainty\n410000,2019,CO2,total,CRT2023,5,Mt,0.1\n",
            lambda p, _: read_inventory(p),
        ),
        "groups.csv": ("group,region\nx,110000\nx,120000\n", lambda p, _: read_groups(p)),
        "lines.csv": (
            "component,region,value,unit,uncertainty,source\nbunkers,110000,4,Mt,0.5,a\nscope2,Tianjin,6,Mt,,b\n",
            lambda p, _: read_lines(p),
        ),
        "series.csv": (
            "region,source,year,value,sd\na,x,2010,5,1\na,x,2011,6,1\na,x,2012,8,1\na,x,2013,9,1\n",
            lambda p, _: trends(read_series(p)),
        ),
        "places.csv": (
            "obs_id,time,latitude,longitude,height_m\na,2020-06-01T10:00Z,25,105,30\nb,2020-06-01T11:00Z,26,106,30\n",
            lambda p, _: read_places(p, "CO2"),
        ),
        "base.csv": (
            "time,value\n2020-05-01,400\n2020-07-01,400\n",
            lambda p, _: open_background(str(p), "CO2"),
        ),
        "truth.csv": (
            "sounding_id,truth\na,400.1\nb,401.2\n",
            lambda p, _: read_truth(str(p), np.array(["a", "b", "c"])),
        ),
        "targets.csv": ("# runs\ntime,measured,assigned,sd\n2020-01-01T06:00Z,405.1,405.0,0.03\n", targets),
        "wind.csv": (
            "time,wind_direction,wind_speed\n2020-01-01T00:00Z,90,3\n2020-01-01T01:00Z,100,4\n",
            lambda p, _: join_met(record, p),
        ),
    }
    for name, (text, read) in files.items():
        (folder / name).write_text(text)
        yield folder / name, read
    (folder / "verdicts.csv").write_text(inverted()[1], encoding="utf-8")
    yield folder / "verdicts.csv", lambda p, _: read_table(p)
    shapes = gpd.GeoDataFrame({"code": ["a", "b"]}, geometry=[box(0, 0, 1, 1), box(1, 0, 2, 1)], crs=4326)
    (folder / "shape").mkdir()
    for name in ("r.geojson", "r.shp", "r.gpkg"):
        shapes.to_file(folder / "shape" / name)
        yield folder / "shape" / name, lambda p, _: read_regions(p, "code")
    yield folder / "shape" / "r.dbf", lambda _, root: read_regions(root / "r.shp", "code")


def settings(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Every TOML file that a user may bring."""
    from importlib import resources

    from inversion.study.worlds.network import read_network
    from obsnet.config import read_toml
    from obsnet.pipeline import read_case
    from retrieval.products.bias import read_correction
    from retrieval.products.screening import find_screen
    from retrieval.readers.sensors import load_sensors
    from stations.admission.judge import FOLDER as REQUIREMENTS
    from stations.admission.judge import load_requirements
    from stations.calibration.plan import load_plan
    from stations.calibration.scales import TABLE, conversions
    from stations.quality.budget import load_budget
    from stations.quality.rules import load_rules
    from tests.cases import BUDGET, CORRECTION, RULE, SCREEN
    from tests.stations.analyser import PLAN

    sensors = resources.files("retrieval.readers") / "sensors"
    networks = resources.files("inversion.study.worlds") / "networks"
    case = '[run]\nname = "a"\n[ingest]\nfiles = ["x"]\n[stations]\nfiles = ["y"]\n'
    files = {
        "case": (case, lambda p, _: read_case(read_toml(p), p)),
        "screen": (SCREEN, lambda p, _: find_screen(str(p))),
        "correction": (CORRECTION, lambda p, _: read_correction(p)),
        "rules": (RULE, lambda p, _: load_rules(p)),
        "budget": (BUDGET, lambda p, _: load_budget(p)),
        "plan": (PLAN, lambda p, _: load_plan(p)),
        "requirements": (
            (REQUIREMENTS / "example_network.toml").read_text(encoding="utf-8"),
            lambda p, _: load_requirements(p),
        ),
        "scales": (TABLE.read_text(encoding="utf-8"), lambda p, _: conversions("CO2", p)),
        "network": (
            (networks / "co2m_1.toml").read_text(encoding="utf-8"),
            lambda p, _: read_network(str(p)),
        ),
        "oco2_lite": (
            (sensors / "oco2_lite.toml").read_text(encoding="utf-8"),
            lambda _, root: load_sensors([root]),
        ),
    }
    for name, (text, read) in files.items():
        (folder / name).mkdir()
        (folder / name / f"{name}.toml").write_text(text, encoding="utf-8")
        yield folder / name / f"{name}.toml", read
