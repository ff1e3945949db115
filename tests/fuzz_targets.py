"""Every reader and every kind of own file, each with small good files to damage."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["TARGETS", "Seed", "seeds"]


@dataclass(frozen=True)
class Seed:
    """A good file, and how it is read.

    Parameters
    ----------
    target : str
        Row of the table.
    path : Path
        The file that is damaged; all of its folder is copied with it.
    root : Path
        The folder.
    read : callable
        Takes the copy of the file and the copy of the folder.
    answer : Any
        What it reads of the good file.
    """

    target: str
    path: Path
    root: Path
    read: Callable[[Path, Path], Any]
    answer: Any = None


def granules(folder: Path) -> Iterator[tuple[Path, Any]]:
    from retrieval.products.read import read_granule
    from tests.retrieval import synthetic

    made = {
        "oco2_LtCO2_180102_B9003r_180929105747s.nc4": synthetic.lite(20),
        "cci.nc": synthetic.cci(n=10),
        "wfmd.nc": synthetic.wfmd(10),
        "s5p.nc": synthetic.s5p(3, 3),
        "blended.nc": synthetic.blended(8),
        "nies.h5": synthetic.nies_gosat(n=6),
        "nies2.h5": synthetic.nies_gosat2(6),
    }
    for name, content in made.items():
        path = synthetic.write(folder / name, *content[:2])
        with contextlib.suppress(Exception):  # those whose file names must be their product's
            read_granule(path)
            yield path, lambda p, _: read_granule(p)


def granule_text(folder: Path) -> Iterator[tuple[Path, Any]]:
    from retrieval.readers.source import open_source

    path = folder / "columns.csv"
    path.write_text(
        "# unit xco2 = ppm\n# title = a\ntime,lat,lon,xco2,ak_1,ak_2\n0,1,2,400.0,1,1\n1,2,3,401,1,1\n"
    )

    def read(path: Path, _: Path) -> Any:
        from obsnet.reading import reading

        with reading(path, "a granule"), open_source(path) as source:
            return [source.read(n) for n in source.names()]

    yield path, read


def station_texts(folder: Path) -> Iterator[tuple[Path, Any]]:
    from stations.readers import read_all
    from tests.stations.dialects import TEXTS, gcwerks_precisions, proffast_day

    for kind, (make, name) in TEXTS.items():
        (folder / kind).mkdir()
        path = folder / kind / name
        path.write_bytes(make().encode("utf-8"))
        yield path, lambda p, _: read_all(p)
    beside = folder / "coccon" / "raw_output_proffast"
    proffast_day(beside)
    yield next(beside.glob("*colsens*")), lambda _, root: read_all(root / "comb_invparms.csv")
    other = folder / "gcwerks_c" / "shangdianzi-medusa.18.precisions.C"
    other.write_text(gcwerks_precisions(["200101"], [0.3]))
    yield other, lambda _, root: read_all(root / "shangdianzi-medusa.18.C")


def station_netcdf(folder: Path) -> Iterator[tuple[Path, Any]]:
    from stations.readers import read_all
    from stations.record.file import write_record
    from tests.stations import dialects_netcdf as nc
    from tests.stations.dialects import noaa_text, read_text, simple

    nc.agage(folder / "agage.nc", replace(simple(4), value=np.full(4, 1900.0)))
    nc.obspack(folder / "co2_wlg_surface-flask_1.nc", simple(4))
    nc.ggg2014(folder / "tccon.nc")
    write_record(read_text(noaa_text(simple(6))), folder / "record.nc")
    for path in sorted(folder.glob("*.nc")):
        yield path, lambda p, _: read_all(p)


def station_tables(folder: Path) -> Iterator[tuple[Path, Any]]:
    from stations.readers import read_all
    from tests.cases import OWN

    (folder / "mine.csv").write_text("time,co2\n2020-01-01T00:00Z,400.0\n2020-01-01T01:00Z,401.0\n")
    (folder / "mine.toml").write_text(OWN)

    def read(_: Path, root: Path) -> Any:
        return read_all(root / "mine.csv", config=root / "mine.toml")

    yield folder / "mine.csv", read
    yield folder / "mine.toml", read


def footprints(folder: Path) -> Iterator[tuple[Path, Any]]:
    from inversion.transport.files.summary import summary
    from inversion.transport.readers import ReaderOptions, open_footprints
    from tests.inversion.transport import formats
    from tests.inversion.transport.readers.test_damage import MAKES, make

    options = ReaderOptions(source_density=1.1, receptor_density=1.1)

    def read(path: Path, _: Path) -> Any:
        return summary(open_footprints(path, options))

    for name in MAKES:
        (folder / name).mkdir()
        yield make(folder / name, name), read
    (folder / "p").mkdir()
    yield formats.pystilt_parquet(folder / "p" / "x.parquet", formats.field(1, 3)), read
    (folder / "c").mkdir()
    yield (
        formats.cdump(folder / "c" / "cdump", formats.field(1, 3)),
        lambda p, _: summary(
            open_footprints(p, ReaderOptions(source_density=1.1, receptor_density=1.1, released_mass=1.0))
        ),
    )


def meteorology(folder: Path) -> Iterator[tuple[Path, Any]]:
    from obsnet.met import open_met
    from tests.obsnet.met import test_met_readers as readers
    from tests.obsnet.met.worlds import era5

    def read(path: Path, _: Path) -> Any:
        return open_met([path], levels=8)

    for name, make in (
        ("era5", lambda f: era5(f / "a.nc", hours=range(3))),
        ("wrf", lambda f: readers.wrf_file(f / "wrfout.nc")),
        ("hybrid", lambda f: readers.hybrid(f / "h.nc")),
        ("arl", lambda f: readers.arl_file(f / "a.arl")),
    ):
        (folder / name).mkdir()
        found = make(folder / name)
        yield next(p for p in (folder / name).iterdir()) if found is None else Path(found), read


def fluxes(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Fluxes of another's making: ours without its seal."""
    from obsnet.cf import read_flux
    from tests.cases import _prior

    _prior(folder / "prior.nc")
    data = (folder / "prior.nc").read_bytes()
    (folder / "prior.nc").write_bytes(data[:-40])
    yield folder / "prior.nc", lambda p, _: read_flux(p)


def tables(folder: Path) -> Iterator[tuple[Path, Any]]:
    """CSV, polygons and TOML of the user's."""
    import geopandas as gpd
    from shapely.geometry import box

    from inversion.transport.background.particle_ends import open_background
    from inversion.transport.receptors.listed import read_places
    from obsnet.config import read_toml
    from obsnet.inventory.table import read_inventory
    from obsnet.regions import read_regions
    from retrieval.products.screening import find_screen
    from tests.cases import SCREEN

    files = {
        "inventory.csv": (
            "region,period,gas,category,terminology,value,unit,uncertainty\n410000,2019,CO2,total,CRT2023,5,Mt,0.1\n",
            lambda p, _: read_inventory(p),
        ),
        "places.csv": (
            "obs_id,time,latitude,longitude,height_m\na,2020-06-01T10:00Z,25,105,30\nb,2020-06-01T11:00Z,26,106,30\n",
            lambda p, _: read_places(p, "CO2"),
        ),
        "base.csv": (
            "time,value\n2020-05-01,400\n2020-07-01,400\n",
            lambda p, _: open_background(str(p), "CO2"),
        ),
        "screen.toml": (SCREEN, lambda p, _: find_screen(str(p))),
        "case.toml": ('[run]\nname = "a"\n[ingest]\nfiles = ["x"]\n', lambda p, _: read_toml(p)),
    }
    for name, (text, read) in files.items():
        (folder / name).write_text(text)
        yield folder / name, read
    shapes = gpd.GeoDataFrame({"code": ["a", "b"]}, geometry=[box(0, 0, 1, 1), box(1, 0, 2, 1)], crs=4326)
    (folder / "shape").mkdir()
    for name in ("r.geojson", "r.shp", "r.gpkg"):
        shapes.to_file(folder / "shape" / name)
        yield folder / "shape" / name, lambda p, _: read_regions(p, "code")
    yield folder / "shape" / "r.dbf", lambda _, root: read_regions(root / "r.shp", "code")


def background_fields(folder: Path) -> Iterator[tuple[Path, Any]]:
    from inversion.transport.background.particle_ends import open_background
    from tests.inversion.transport import formats
    from tests.inversion.transport.run.test_background import fields

    sides = {"n": formats.LON.size, "e": formats.LAT.size, "s": formats.LON.size, "w": formats.LAT.size}
    (folder / "c").mkdir()
    values = {side: np.full((2, n, 1), 4e-4) for side, n in sides.items()}
    curtains = formats.curtain(folder / "c" / "curtain.nc", values, unit="mol mol-1")
    for path in (curtains, fields(folder / "field.nc", lambda t, p, y, x: 4e-4 + 0 * (t + p + y + x))):
        yield path, lambda p, _: open_background(str(p), "CO2")


def own(kind: Callable[[Path], tuple[Path, Any]]) -> Callable[[Path], Iterator[tuple[Path, Any]]]:
    """Take a kind of own file from the test of seals, read from a copy of its folder."""

    def make(folder: Path) -> Iterator[tuple[Path, Any]]:
        path, _ = kind(folder)

        def read(_: Path, root: Path) -> Any:
            return READ[kind.__name__](root)

        yield path, read

    return make


def _read_part(root: Path) -> Any:
    from obsnet.store import ObservationStore

    return ObservationStore(root / "store").read("CO2")


def _read_jacobian(root: Path) -> Any:
    from inversion.jacobian.store import JacobianStore

    return JacobianStore(root / "footprints").read()


def _read_index(root: Path) -> Any:
    from obsnet.store import GranuleIndex

    return GranuleIndex(root / "_index").read()


def _read_own_netcdf(root: Path) -> Any:
    from obsnet.cf import read_netcdf

    return read_netcdf(root / "prior.nc")


def _read_record(root: Path) -> Any:
    from stations.record.file import read_record

    return read_record(root / "r.nc")


def _read_footprint_file(root: Path) -> Any:
    from inversion.transport.readers import open_footprints

    return open_footprints(root / "f.nc").read()


def _read_restart(root: Path) -> Any:
    from inversion.case.restart import load_posterior
    from tests.inversion.world import make_world

    return load_posterior(root / "restart.npz", make_world(n=20).assemble().problem)


READ = {
    "part": _read_part,
    "sensitivity": _read_jacobian,
    "background": _read_jacobian,
    "meta": _read_jacobian,
    "index": _read_index,
    "own_netcdf": _read_own_netcdf,
    "record": _read_record,
    "footprint_file": _read_footprint_file,
    "restart": _read_restart,
}


def _targets() -> dict[str, Callable[[Path], Iterator[tuple[Path, Any]]]]:
    from tests import test_seals as seals

    foreign = {
        "granules (HDF5)": granules,
        "granules (text)": granule_text,
        "stations (text)": station_texts,
        "stations (netCDF)": station_netcdf,
        "stations (own tables)": station_tables,
        "footprints": footprints,
        "meteorology": meteorology,
        "fluxes": fluxes,
        "backgrounds": background_fields,
        "tables of the user's": tables,
    }
    kinds = (seals.part, seals.index, seals.sensitivity, seals.background, seals.meta)
    kinds += (seals.own_netcdf, seals.record, seals.footprint_file, seals.restart)
    return foreign | {f"own: {k.__name__.replace('_', ' ')}": own(k) for k in kinds}


TARGETS = _targets()


def seeds(folder: Path) -> list[Seed]:
    """Write the good files of all targets below a folder and check that each is read."""
    found = []
    for number, (target, make) in enumerate(TARGETS.items()):
        place = folder / f"{number:02d}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for path, read in make(place):
            root = place if target.startswith("own: ") else path.parent
            if path.parent.name == "raw_output_proffast":
                root = path.parents[1]
            with contextlib.redirect_stderr(io.StringIO()):
                answer = read(path, root)
            found.append(Seed(target, path, root, read, answer))
    return found


def same(one: Any, other: Any) -> bool:
    """Tell whether two answers of an own file hold the same; a restart that is given up counts as that."""
    return one is None or _plain(one) == _plain(other)


def _plain(answer: Any) -> Any:
    import xarray as xr

    from inversion.jacobian.store import Jacobian
    from tests.test_seals import _arrays

    if isinstance(answer, xr.Dataset):
        variables = {str(n): (v.dims, v.values.tolist()) for n, v in answer.variables.items()}
        return repr(variables) + repr(
            {k: v for k, v in answer.attrs.items() if k not in ("path", "source_file")}
        )
    if isinstance(answer, Jacobian):
        return repr(_arrays(answer))
    return repr(answer.mean.tolist()) if hasattr(answer, "mean") else repr(answer.to_pylist())
