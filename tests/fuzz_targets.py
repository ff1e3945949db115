"""Every reader and every kind of own file, each with small good files to damage."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from obsnet.reading import reading
from tests import fuzz_science as science
from tests.fuzz_own import OWN, own, prepared, results, run_folder, same
from tests.fuzz_tables import inventories, inverted, settings, tables

__all__ = ["TARGETS", "Seed", "read_like", "same", "seeds"]


@dataclass(frozen=True)
class Seed:
    """A good file, and how it is read.

    Parameters
    ----------
    target : str
        Row of the table.
    file : str
        Name of the file within its target.
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
    file: str
    path: Path
    root: Path
    read: Callable[[Path, Path], Any]
    answer: Any = None


def granules(folder: Path) -> Iterator[tuple[Path, Any]]:
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.plan import Glance, glance
    from retrieval.products.read import read_granule
    from tests.retrieval import synthetic
    from tests.retrieval.readers.test_others import own_netcdf3

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
        "GWT3W_L2_GHG_20260101.h5": synthetic.nies_gosat2(6),
        "ESACCI-GHG-L2-CO2-OCO2-FOCAL-20180101-fv10.nc": synthetic.cci("co2", n=10, levels=6, layers=True),
        "S5P.nc": synthetic.s5p_v208(),
        "CO2M_L2.nc": (synthetic.co2m(), {"platform": "CO2M-A"}),
        "MethaneSAT_L2_post_20241205T011500_20241205T011530.nc": (synthetic.methanesat(), {}),
        "TanSat_L2SCI_02.nc": (synthetic.tansat()[0], {}),
    }
    for name, content in made.items():
        path = synthetic.write(folder / name, *content[:2])
        yield path, read
    yield own_netcdf3(folder / "own.nc"), lambda p, _: read_granule(p, species="CH4")
    wfmd = synthetic.write(folder / "wfmd.nc", *synthetic.wfmd(10)[:2])
    yield wfmd, lambda p, _: read_granule(p, sensor="wfmd")


def granule_text(folder: Path) -> Iterator[tuple[Path, Any]]:
    from retrieval.products.read import read_granule
    from retrieval.readers.source import open_source
    from tests.retrieval.readers.test_others import lidar_text

    path = folder / "columns.csv"
    path.write_text(
        "# unit xco2 = ppm\n# title = a\ntime,lat,lon,xco2,ak_1,ak_2\n0,1,2,400.0,1,1\n1,2,3,401,1,1\n"
    )

    def read(path: Path, _: Path) -> Any:
        with reading(path, "a granule"), open_source(path) as source:
            return [source.read(n) for n in source.names()]

    yield path, read
    yield lidar_text(folder / "acdl_20220501.csv"), lambda p, _: read_granule(p)


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
    from tests.stations.readers.test_openghg import columns, station_file

    nc.agage(folder / "agage.nc", replace(simple(4), value=np.full(4, 1900.0)))
    nc.obspack(folder / "co2_wlg_surface-flask_1.nc", simple(4))
    nc.ggg2014(folder / "tccon.nc")
    nc.ggg2020(folder / "tccon_2020.nc")
    station_file(folder / "openghg.nc")
    columns(folder / "openghg_columns.nc")
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


def _targets() -> dict[str, Callable[[Path], Iterator[tuple[Path, Any]]]]:
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
        "spectroscopy": science.spectroscopy,
        "spectra (level 1)": science.level1,
        "air of soundings": science.air,
        "preprocessor files": science.preprocessor,
        "plumes": science.plumes,
        "fields": science.fields,
        "maps of elements": science.elements,
        "tracer experiments": science.tracers,
        "other systems": science.systems,
        "indicators and histories": science.nowcasts,
        "results read back": results,
        "what a run notes": run_folder,
        "prepared meteorology": prepared,
    }
    return foreign | {f"own: {name}": own(*pair) for name, pair in OWN.items()}


TARGETS = _targets()


def _good(target: str, place: Path) -> Iterator[Seed]:
    """Write the good files of a target into an empty folder."""
    for path, read in TARGETS[target](place):
        root = place if target.startswith("own: ") or target == "what a run notes" else path.parent
        if path.parent.name == "raw_output_proffast":
            root = path.parents[1]
        yield Seed(target, path.relative_to(place).as_posix(), path, root, read)


def seeds(folder: Path, targets: Iterable[str] | None = None) -> list[Seed]:
    """Write the good files of targets, by default of all, below a folder and check that each is read."""
    found = []
    for number, target in enumerate(TARGETS if targets is None else targets):
        place = folder / f"{number:02d}"
        place.mkdir(parents=True)
        good = list(_good(target, place))
        assert len({s.file for s in good}) == len(good)
        for seed in good:
            with contextlib.redirect_stderr(io.StringIO()):
                found.append(replace(seed, answer=seed.read(seed.path, seed.root)))
    return found


def read_like(target: str, file: str, root: Path) -> None:
    """Read a file in a copy of its folder as a target reads its good one."""
    with tempfile.TemporaryDirectory() as folder:
        seed = next(s for s in _good(target, Path(folder)) if s.file == file)
    path = root / seed.path.relative_to(seed.root)
    with reading(path):
        seed.read(path, root)
