"""Small cases of every stage, and how to change each file that they read, for the tests of restart."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow.compute as pc
from shapely.geometry import box

from inversion.jacobian.store import JacobianStore
from obsnet.cf import flux_dataset, write_netcdf
from obsnet.pipeline import read_case, run_case
from obsnet.store import ObservationStore
from tests.inversion.world import EDGES, GRID, make_world
from tests.obsnet.met.worlds import era5
from tests.obsnet.observations import table as points
from tests.retrieval.granules import granule
from tests.retrieval.ground import make_ground, make_overpasses
from tests.stations.dialects import coccon, gcwerks_c, gcwerks_precisions, noaa_text, proffast_day, simple


@dataclass
class World:
    """A case in a folder.

    Attributes
    ----------
    data : dict
        Of the case file.
    changes : dict
        By stage: what the reason of its running again must name, and the function that changes that input.
    """

    folder: Path
    data: dict[str, Any]
    changes: dict[str, dict[str, Callable[[], object]]] = field(default_factory=dict)


def in_place(path: Path, make: Callable[[Path], object]) -> None:
    """Replace a file's content; name and time stay, and the size where `make` keeps it."""
    before = path.stat()
    make(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def text(path: Path, old: str, new: str) -> Callable[[], None]:
    """Return a change of some text of a file, which keeps its size and time."""
    assert len(old) == len(new)

    def edit(path: Path) -> None:
        content = path.read_text(encoding="utf-8")
        assert old in content
        path.write_text(content.replace(old, new), encoding="utf-8")

    return lambda: in_place(path, edit)


SCREEN = '[[filter]]\nname = "a"\nvariable = "uncertainty"\nat_most = 0.61\n'
CORRECTION = 'name = "mine"\nsensor = "oco2_lite"\n[[classes]]\nname = "all"\nformula = "raw + 0.10"\n'
TABLE = 'base = "_lite"\ntitle = "OCO-2 of our own"\nvariables.value = { path = "xco2", units = "1e-6" }\n'


def satellite(folder: Path) -> World:
    """[ingest], [superobs], [grid] of two synthetic granules, with a screen and a correction of the user's."""
    granules = folder / "granules"
    first = granule(granules, "180101", seed=1)
    granule(granules, "180102", seed=2)
    (folder / "screen.toml").write_text(SCREEN)
    (folder / "correction.toml").write_text(CORRECTION)
    (folder / "own").mkdir()
    shipped = Path("retrieval/readers/sensors/oco2_lite.toml").read_text(encoding="utf-8")
    (folder / "own" / "oco2_lite.toml").write_text(shipped + "\n# 1\n", encoding="utf-8")
    data = {
        "run": {"name": "t", "scheduler": "serial"},
        "ingest": {
            "files": ["granules"],
            "screen": "screen.toml",
            "correction": "correction.toml",
            "sensors": "own",
        },
        "superobs": {"species": "CO2", "errors": "baker2022_co2"},
        "grid": {
            "store": "superobs",
            "species": "CO2",
            "grid": "-60,60,-180,180,10",
            "start": "2018-01-01",
            "stop": "2018-01-03",
            "folds": 0,
        },
    }
    again = lambda path: granule(path.parent, "180101", seed=3)  # noqa: E731
    changes = {
        "ingest": {
            f"granules/{first.name} changed": lambda: in_place(first, again),
            "new.nc4 is new": lambda: shutil.copy(
                granule(folder / "later", "180103", seed=5), granules / "new.nc4"
            ),
            "new.nc4 is gone": (granules / "new.nc4").unlink,
            "screen.toml changed": text(folder / "screen.toml", "0.61", "0.55"),
            "correction.toml changed": text(folder / "correction.toml", "0.10", "0.90"),
            "own/oco2_lite.toml changed": text(folder / "own" / "oco2_lite.toml", "# 1", "# 2"),
        },
        "superobs": {"store/species=CO2": lambda: _other_part(folder / "run" / "store")},
        "grid": {"superobs/species=CO2": lambda: _other_part(folder / "run" / "superobs")},
    }
    return World(folder, data, changes)


def _other_part(store: Path) -> None:
    """Write one part of a store again with other values, as another program might."""
    from obsnet.parquet import write_table

    path = min(store.glob("species=*/source=*/year=*/month=*/*.parquet"))
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    at = table.schema.get_field_index("value")
    changed = table.set_column(at, "value", [table["value"].to_numpy() + 0.25])
    in_place(path, lambda p: write_table(changed.replace_schema_metadata(table.schema.metadata), p))


def validation(folder: Path) -> World:
    """[validate] of stores that lie in the run's folder already."""
    for name, table in (("sat", make_overpasses()), ("ground", make_ground())):
        for one in sorted(set(table["file_id"].to_pylist())):
            rows = table.filter(pc.equal(table["file_id"], one))
            ObservationStore(folder / "run" / name).write(rows)
    data = {
        "run": {"name": "t"},
        "validate": {"store": "sat", "reference": "ground", "species": "CO2", "source": "test_lite"},
    }
    changes = {
        "validate": {
            "run/sat/species=CO2": lambda: _other_part(folder / "run" / "sat"),
            "run/ground/species=CO2": lambda: _other_part(folder / "run" / "ground"),
            "output validation/pairs.csv was changed": text(
                folder / "run" / "validation" / "pairs.csv", "site", "size"
            ),
        }
    }
    return World(folder, data, changes)


OWN = """
[site]
code = "LAN"
latitude = 30.30
longitude = 119.73
altitude_m = 138.0
intake_height_m = 10.0
[time]
columns = ["time"]
stamp = "start"
interval = "1h"
[[series]]
species = "CO2"
unit = "ppm"
scale = "X2019"
value = "co2"
uncertainty = "co2"
"""
RULE = 'title = "mine"\n[[rule]]\nkind = "hours"\nname = "day"\nfirst = 12\nlast = 16\nclock = "solar"\n'
BUDGET = 'title = "b"\n[[term]]\nname = "producer"\nkind = "random"\nvalue = 0.10\n'


def stations(folder: Path) -> World:
    """[stations] of NOAA text with rules and a budget of the user's."""
    (folder / "data").mkdir()
    (folder / "data" / "co2_wlg.txt").write_text(noaa_text(simple(4, site="WLG")))
    (folder / "rules.toml").write_text(RULE)
    (folder / "budget.toml").write_text(BUDGET)
    data = {
        "run": {"name": "t"},
        "stations": {"files": ["data/*.txt"], "rules": ["rules.toml"], "budget": "budget.toml"},
    }
    changes = {
        "stations": {
            "data/co2_wlg.txt changed": lambda: in_place(
                folder / "data" / "co2_wlg.txt",
                lambda p: p.write_text(noaa_text(replace(simple(4, site="WLG"), value=np.full(4, 405.5)))),
            ),
            "data/co2_sdz.txt is new": lambda: (folder / "data" / "co2_sdz.txt").write_text(
                noaa_text(simple(4, site="SDZ"))
            ),
            "data/co2_sdz.txt is gone": (folder / "data" / "co2_sdz.txt").unlink,
            "rules.toml changed": text(folder / "rules.toml", "first = 12", "first = 11"),
            "budget.toml changed": text(folder / "budget.toml", "0.10", "0.70"),
        }
    }
    return World(folder, data, changes)


def own_tables(folder: Path) -> World:
    """[stations] of a table that a TOML of the user's describes."""
    (folder / "mine.csv").write_text("time,co2\n2020-01-01T00:00Z,400.0\n2020-01-01T01:00Z,401.0\n")
    (folder / "mine.toml").write_text(OWN)
    data = {"run": {"name": "t"}, "stations": {"files": ["mine.csv"], "config": "mine.toml"}}
    change = text(folder / "mine.toml", "119.73", "118.73")
    return World(folder, data, {"stations": {"mine.toml changed": change}})


def companions(folder: Path) -> World:
    """[stations] of files that are read with others beside them."""
    (folder / "x.18.C").write_text(gcwerks_c(replace(simple(3), value=np.full(3, 1.9e6)), gases=("CH4",)))
    day = gcwerks_precisions(["200101"], [0.31], gases=("CH4",))
    (folder / "x.18.precisions.C").write_text(day)
    (folder / "comb_invparms.csv").write_text(coccon(simple(3)))
    proffast_day(folder / "raw_output_proffast")
    data = {"run": {"name": "t"}, "stations": {"files": ["x.18.C", "comb_invparms.csv"], "site": "SDZ"}}
    data["stations"]["mixed_scales"] = True
    kernels = next((folder / "raw_output_proffast").glob("*colsens*"))
    changes = {
        "stations": {
            "x.18.precisions.C changed": text(folder / "x.18.precisions.C", "0.31", "0.62"),
            "raw_output_proffast": lambda: in_place(
                kernels, lambda p: proffast_day(p.parent, kernel=lambda z, a: 1.2 + 0.1 * a)
            ),
        }
    }
    return World(folder, data, changes)


def transport(folder: Path) -> World:
    """[footprints] of a store, with a baseline as the background."""
    weather = era5(folder / "a.nc", hours=range(25))
    (folder / "base.csv").write_text("time,value\n2020-05-01,400\n2020-07-01,400\n")
    _observe(folder / "run" / "observations", seed=0)
    data = {
        "run": {"name": "t", "scheduler": "serial", "seed": 4},
        "footprints": {
            "met": ["a.nc"],
            "species": "CO2",
            "grid": {"south": 22, "north": 29, "west": 102, "east": 110, "dlat": 1, "dlon": 1},
            "step": "3h",
            "hours": 6,
            "particles": 20,
            "background": "base.csv",
        },
    }
    changes = {
        "footprints": {
            "a.nc changed": lambda: in_place(weather, _turn_winds),
            "base.csv changed": text(folder / "base.csv", "400", "410"),
            "run/observations": lambda: _observe(folder / "run" / "observations", seed=1),
            "output footprints/sensitivity/": lambda: next(
                (folder / "run" / "footprints" / "sensitivity").glob("*.parquet")
            ).unlink(),
        }
    }
    return World(folder, data, changes)


def _observe(store: Path, seed: int) -> None:
    time = np.datetime64("2020-06-01T08", "us") + np.arange(4) * np.timedelta64(1, "h")
    where = {"latitude": np.linspace(24, 27, 4), "longitude": np.linspace(104, 108, 4) + 0.1 * seed}
    ObservationStore(store).write(points(4, time=time, intake_height_m=np.full(4, 30.0), **where))


def _turn_winds(path: Path) -> None:
    import netCDF4

    with netCDF4.Dataset(path, "a") as nc:
        for name in ("u", "v"):
            nc[name][:] = -nc[name][:]


def receptors(folder: Path) -> World:
    """[footprints] of listed receptors."""
    era5(folder / "a.nc", hours=range(25))
    (folder / "places.csv").write_text(
        "obs_id,time,latitude,longitude,height_m\na,2020-06-01T10:00Z,25,105,30\nb,2020-06-01T11:00Z,26,106,30\n"
    )
    data = {
        "run": {"name": "t", "scheduler": "serial"},
        "footprints": {
            "met": ["a.nc"],
            "species": "CO2",
            "receptors": "places.csv",
            "grid": {"south": 22, "north": 29, "west": 102, "east": 110, "dlat": 1, "dlon": 1},
            "step": "3h",
            "hours": 6,
            "particles": 20,
        },
    }
    return World(
        folder, data, {"footprints": {"places.csv changed": text(folder / "places.csv", "26,106", "26,107")}}
    )


def _prior(path: Path, factor: float = 1.0) -> None:
    world = make_world()
    flux = np.stack([world.prior.flux[s].reshape(6, *GRID.shape) for s in ("fossil", "biosphere")], axis=1)
    data = flux_dataset(
        factor * flux,
        GRID,
        EDGES,
        substance="CO2",
        sectors=["fossil", "biosphere"],
        title="test prior",
        summary="s",
        source="s",
        license="CC0",
    )
    write_netcdf(data, path)


def _footprints(folder: Path, seed: int = 0) -> None:
    store = JacobianStore(folder).create(
        {"grid": GRID, "time_edges": EDGES, "kind": "computed", "model": "test", "species": None}
    )
    store.write("part", make_world(seed).jacobian)


INVERT = {
    "species": "CO2",
    "store": "store",
    "footprints": "footprints",
    "prior": "prior.nc",
    "step": "3D",
    "sector": {
        "fossil": {"relative": 0.3, "correlation_km": 100, "regional_relative": 0.3},
        "biosphere": {"sigma": 3e-7, "correlation_km": 300, "correlation_days": 5},
    },
    "boundary": {"background": 410.0, "sigma": 0.5, "step": "3D"},
    "error": {"point": 0.8, "column": 0.5},
    "page": False,
}


def inversion(folder: Path) -> World:
    """[invert] with an ensemble and regions of the user's, [crosscheck] and [report]."""
    ObservationStore(folder / "store").write(make_world().table)
    _footprints(folder / "footprints")
    _footprints(folder / "others")
    _prior(folder / "prior.nc")
    _prior(folder / "other.nc", 1.3)
    (folder / "inventory.csv").write_text(
        "region,period,gas,category,terminology,value,unit,uncertainty\n"
        "410000,2019,CO2,total,CRT2023,55,Mt,0.1\n420000,2019,CO2,total,CRT2023,66,Mt,0.1\n"
    )
    members = [
        {"name": "p", "axis": "prior", "set": ["prior=other.nc"]},
        {"name": "f", "axis": "met", "set": ["footprints=others"]},
    ]
    data = {
        "run": {"name": "t"},
        "invert": {**INVERT, "ensemble": {"member": members}},
        "crosscheck": {"inventory": "inventory.csv", "sector": "fossil"},
        "report": {"store": "seen"},
    }
    posterior = folder / "run" / "posterior.nc"
    changes = {
        "invert": {
            "prior.nc changed": lambda: _prior(folder / "prior.nc", 1.1),
            "other.nc changed": lambda: _prior(folder / "other.nc", 1.4),
            "footprints/sensitivity/part.parquet changed": lambda: _footprints(folder / "footprints", 1),
            "others/sensitivity/part.parquet changed": lambda: _footprints(folder / "others", 1),
            "store/species=CO2": lambda: _other_part(folder / "store"),
            "footprints/meta.json changed": lambda: _remake(folder / "footprints" / "meta.json"),
            "output posterior.nc was changed": lambda: _more_flux(posterior),
        },
        "crosscheck": {"inventory.csv changed": text(folder / "inventory.csv", ",55,", ",95,")},
        "report": {"run/seen/species=CO2": lambda: ObservationStore(folder / "run" / "seen").write(points())},
    }
    return World(folder, data, changes)


def crosscheck_alone(folder: Path) -> World:
    """[crosscheck] of a posterior that nothing in the case has made."""
    made = _inverted(folder)
    changes = {
        "run/posterior.nc changed": lambda: _more_flux(folder / "run" / "posterior.nc"),
        "inventory.csv changed": text(folder / "inventory.csv", ",55,", ",95,"),
        "output provinces.csv was changed": text(folder / "run" / "provinces.csv", "410000", "420000"),
    }
    return World(folder, {n: made.data[n] for n in ("run", "crosscheck")}, {"crosscheck": changes})


def report_alone(folder: Path) -> World:
    """[report] of files that nothing in the case has made."""
    made = _inverted(folder)
    changes = {
        "run/posterior.nc changed": lambda: _more_flux(folder / "run" / "posterior.nc"),
        "run/provinces.csv changed": text(folder / "run" / "provinces.csv", "410000", "420000"),
        "run/seen/species=CO2": lambda: ObservationStore(folder / "run" / "seen").write(points()),
    }
    return World(folder, {n: made.data[n] for n in ("run", "report")}, {"report": changes})


def _inverted(folder: Path) -> World:
    made = inversion(folder)
    del made.data["invert"]["ensemble"]
    case, steps = read_case(made.data, folder / "case.toml")
    run_case(case, steps)
    return made


def _remake(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop("sha256", None)
    content["model"] = "another"
    from obsnet.atomic import write_text

    write_text(path, json.dumps(content))


def _more_flux(path: Path) -> None:
    import xarray as xr

    with xr.open_dataset(path, engine="netcdf4") as data:
        data.load()
    data["region_total"] += 1e-3 * abs(data["region_total"])
    data.to_netcdf(path.with_name("changed.nc"))
    path.with_name("changed.nc").replace(path)


def regions(folder: Path) -> World:
    """[invert] with polygons of the user's, a shapefile with its parts."""
    ObservationStore(folder / "store").write(make_world().table)
    _footprints(folder / "footprints")
    _prior(folder / "prior.nc")
    shapes = gpd.GeoDataFrame(
        {"code": ["a", "b"]}, geometry=[box(110, 30, 112.5, 34), box(112.5, 30, 114, 34)], crs=4326
    )
    shapes.to_file(folder / "regions.shp")
    data = {
        "run": {"name": "t"},
        "invert": {**INVERT, "regions": "regions.shp", "region_key": "code"},
    }
    changes = {
        "invert": {
            "regions.dbf changed": lambda: shapes.assign(code=["a", "c"]).to_file(folder / "regions.shp"),
        }
    }
    return World(folder, data, changes)


WORLDS = {
    f.__name__: f
    for f in (
        satellite,
        validation,
        stations,
        own_tables,
        companions,
        transport,
        receptors,
        inversion,
        crosscheck_alone,
        report_alone,
        regions,
    )
}
