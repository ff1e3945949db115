"""Every reader and every kind of own file, each with small good files to damage."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from obsnet.reading import reading
from tests.fuzz_tables import inventories, inverted, settings, tables

__all__ = ["TARGETS", "Seed", "read_like", "same", "seeds"]


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
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.plan import Glance, glance
    from retrieval.products.read import read_granule
    from tests.retrieval import synthetic

    options = IngestOptions()

    def read(path: Path, _: Path) -> Any:
        glance(Glance(str(path), options, hashed=False))  # as planning does: it answers, whatever the file
        return read_granule(path)

    made = {
        "oco2_LtCO2_180102_B9003r_180929105747s.nc4": synthetic.lite(20),
        "ESACCI-GHG-L2-CH4-GOSAT-OCPR-20141205-fv7.2.nc": synthetic.cci(n=10),
        "s5p.nc": synthetic.s5p(3, 3),
        "S5P_BLND_L2__CH4____20180501T032352_20180501T050523_02834_03_020400_20230614T000922.nc": synthetic.blended(
            8
        ),
        "nies.h5": synthetic.nies_gosat(n=6),
        "GOSAT2TFTS220211029_02SWFPV0220000018.h5": synthetic.nies_gosat2(6),
    }
    for name, content in made.items():
        path = synthetic.write(folder / name, *content[:2])
        yield path, read
    wfmd = synthetic.write(folder / "wfmd.nc", *synthetic.wfmd(10)[:2])
    yield wfmd, lambda p, _: read_granule(p, sensor="wfmd")


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


def packed_stations(folder: Path) -> Iterator[tuple[Path, Any]]:
    from stations.readers import read_all
    from tests.stations.dialects import noaa_text, simple

    name, text = "co2_wlg_surface-flask_1_ccgg_event.txt", noaa_text(simple()).encode()
    with gzip.open(folder / f"{name}.gz", "wb") as stream:
        stream.write(text)
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        about = tarfile.TarInfo(name)
        about.size = len(text)
        archive.addfile(about, io.BytesIO(text))
    for path in sorted(folder.iterdir()):
        yield path, lambda p, _: read_all(p)


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
    (folder / "book").mkdir()
    (folder / "book" / "mine.toml").write_text(OWN)
    pd.read_csv(folder / "mine.csv").to_excel(folder / "book" / "mine.xlsx", index=False)
    yield folder / "book" / "mine.xlsx", lambda p, root: read_all(p, config=root / "mine.toml")


def radiances(folder: Path) -> Iterator[tuple[Path, Any]]:
    from retrieval.matched_filter.cube import open_cube, read_columns, read_places
    from retrieval.matched_filter.target import read_unit_absorption
    from tests.retrieval.matched_filter import files

    def read(path: Path, _: Path) -> Any:
        cube = open_cube(path)
        return read_columns(cube, 0, 2, np.arange(3)), read_places(cube)

    values = np.arange(1.0, 601.0, dtype=np.float32).reshape(6, 5, 20)
    (folder / "n").mkdir()
    yield files.write_netcdf_cube(folder / "n" / "a.nc", values, files.bands()), read
    (folder / "e").mkdir()
    header = files.write_envi(folder / "e" / "a.hdr", values, files.bands())
    yield header, read
    yield header.with_suffix(".img"), lambda p, _: read(p.with_suffix(".hdr"), p.parent)
    (folder / "t").mkdir()
    yield files.write_target(folder / "t" / "k.csv"), lambda p, _: read_unit_absorption(p)


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
    from tests.inversion.transport.readers import test_particles as particles

    (folder / "q").mkdir()
    where = ReaderOptions(receptor=particles.RECEPTOR)
    yield (
        particles.write(folder / "q" / "particles.parquet"),
        lambda p, _: summary(open_footprints(p, where)),
    )
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
        path = next(p for p in (folder / name).iterdir()) if found is None else Path(found)
        yield path, read
        if name == "era5":
            (folder / "zip").mkdir()
            with zipfile.ZipFile(folder / "zip" / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(path, "a.nc")
            yield folder / "zip" / "a.zip", read
    if importlib.util.find_spec("eccodes"):
        from tests.obsnet.met import grib

        for name, edition in (("gfs", 2), ("ecmwf", 1)):
            (folder / name).mkdir()
            yield grib.write(folder / name / "a.grib", 0, gfs=name == "gfs", edition=edition), read


def fluxes(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Fluxes of another's making: ours without its seal."""
    from obsnet.cf import read_flux
    from tests.cases import _prior
    from tests.obsnet import test_flux_reader as others

    _prior(folder / "prior.nc")
    _unseal(folder / "prior.nc")
    others.edgar(folder / "edgar.nc")
    others.model(folder / "model.nc")
    yield folder / "prior.nc", lambda p, _: read_flux(p)
    yield folder / "edgar.nc", lambda p, _: read_flux(p, period=others.YEAR)
    yield folder / "model.nc", lambda p, _: read_flux(p, variable=["fossil", "fire"], time_is="start")


def _unseal(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def jacobians(folder: Path) -> Iterator[tuple[Path, Any]]:
    from inversion.jacobian.foreign import read_foreign
    from tests.inversion.jacobian.test_foreign import file

    yield file(folder), lambda p, _: read_foreign([p])


def posteriors(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Posteriors that another program has written again: ours without their seal."""
    from obsnet.crosscheck.compared.totals import read_totals

    (folder / "posterior.nc").write_bytes(inverted()[0][:-40])
    yield folder / "posterior.nc", lambda p, _: read_totals(p, "fossil")


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


def posterior(folder: Path) -> tuple[Path, Any]:
    (folder / "posterior.nc").write_bytes(inverted()[0])
    return folder / "posterior.nc", None


def weights(folder: Path) -> tuple[Path, Any]:
    _weights(folder)
    (path,) = folder.glob("*.npz")
    return path, None


def _weights(root: Path) -> Any:
    """Weights that are kept are computed anew where their file is damaged."""
    import geopandas as gpd
    from shapely.geometry import box

    from obsnet.grid import Grid
    from obsnet.zonal import zonal_weights

    two = [box(0, 0, 1.3, 1), box(1.3, 0, 3, 2)]
    shapes = gpd.GeoDataFrame({"code": ["a", "b"]}, geometry=two, crs=4326).set_index("code")
    made = zonal_weights(shapes, Grid.regular(0, 3, 0, 3, 1, 1), cache=root)
    return xr.Dataset(
        {"f": (("region", "cell"), made.fraction.toarray()), "o": ("cell", made.outside.ravel())}
    )


def _read_posterior(root: Path) -> Any:
    from obsnet.cf import read_netcdf

    return read_netcdf(root / "posterior.nc").load()


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
    "posterior": _read_posterior,
    "weights": _weights,
}


def _targets() -> dict[str, Callable[[Path], Iterator[tuple[Path, Any]]]]:
    from tests import test_seals as seals

    foreign = {
        "granules (HDF5)": granules,
        "granules (text)": granule_text,
        "stations (text)": station_texts,
        "stations (packed)": packed_stations,
        "stations (netCDF)": station_netcdf,
        "stations (own tables)": station_tables,
        "radiances": radiances,
        "footprints": footprints,
        "meteorology": meteorology,
        "fluxes": fluxes,
        "backgrounds": background_fields,
        "Jacobians": jacobians,
        "posteriors": posteriors,
        "inventories": inventories,
        "tables of the user's": tables,
        "settings (TOML)": settings,
    }
    kinds = (seals.part, seals.index, seals.sensitivity, seals.background, seals.meta)
    kinds += (seals.own_netcdf, seals.record, seals.footprint_file, seals.restart, posterior, weights)
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


def read_like(target: str, name: str, root: Path) -> None:
    """Read the file of a name in a folder as a target reads its good file of that name."""
    with tempfile.TemporaryDirectory() as folder:
        found = next(read for path, read in TARGETS[target](Path(folder)) if path.name == name)
    path = next(root.rglob(name))
    with reading(path):
        found(path, root)


def same(one: Any, other: Any) -> bool:
    """Tell whether two answers of an own file hold the same; a restart that is given up counts as that."""
    return one is None or _plain(one) == _plain(other)


def _plain(answer: Any) -> Any:
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
