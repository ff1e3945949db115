"""Files of spectroscopy, plumes, fields, tracer experiments and other systems, see `tests.fuzz_targets`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

__all__ = [
    "air",
    "elements",
    "fields",
    "level1",
    "nowcasts",
    "plumes",
    "preprocessor",
    "spectroscopy",
    "systems",
    "tracers",
]


def spectroscopy(folder: Path) -> Iterator[tuple[Path, Any]]:
    """OPUS spectra and run logs, line lists of HITRAN and how their lines mix, lines of the Sun."""
    from retrieval.forward.hitran import read_lines
    from retrieval.forward.mixing import read_mixing
    from retrieval.forward.relaxation import read_band, read_relaxation
    from retrieval.forward.sun import read_solar_lines
    from retrieval.spectra.opus import read_opus, read_run_log
    from tests.retrieval.forward.test_mixing import write_band, write_relaxation
    from tests.retrieval.forward.worlds import record
    from tests.retrieval.spectra.test_opus import opus, run_log

    yield opus(folder / "a.0", np.linspace(0.1, 0.9, 301), 6000.0, 6003.0), lambda p, _: read_opus(p)
    yield run_log(folder / "a.grl", "a.0"), lambda p, _: read_run_log(p, "a.0")
    molecules = [record(wavenumber=6225.0 + k) for k in range(4)] + [record(molecule=1)]
    (folder / "lines.par").write_text("\n".join(molecules) + "\n")
    yield folder / "lines.par", lambda p, _: read_lines(p, "CO2")
    mixing = "".join(f"{6225.0 + k} 100 0.01 0.8\n" for k in range(4))
    (folder / "mix.txt").write_text(f"wavenumber lower_energy mixing exponent\n{mixing}")
    yield folder / "mix.txt", lambda p, _: read_mixing(p)
    yield write_band(folder / "S.dat"), lambda p, _: read_band(p)
    for path in write_relaxation(folder):
        yield path, lambda _, root: read_relaxation(root / "SDF.dat", root / "RMF.dat").mixing()
    sun = [f"  1{6220.5 + k:12.6f}{0.3:10.3E}{0.03:10.5f}{0.05:5.3f} Fe" for k in range(4)]
    (folder / "solar.108").write_text("\n".join(sun) + "\n", encoding="latin-1")
    yield folder / "solar.108", lambda p, _: read_solar_lines(p)


def level1(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Spectra of GOSAT and OCO."""
    from retrieval.spectra.files import open_spectra, read_soundings
    from tests.retrieval.spectra.made import gosat_file, oco_file

    def read(path: Path, _: Path) -> Any:
        file = open_spectra(path)
        return [s.spectra[1].good for s in read_soundings(file, range(len(file.identities)))]

    yield gosat_file(folder / "gosat.h5"), read
    yield oco_file(folder / "oco.h5"), read
    yield oco_file(folder / "old.h5", old=True), read


def air(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Meteorology of soundings; line shapes and priors of the user's."""
    from retrieval.fits.inputs import read_prior, read_shape
    from retrieval.forward.air_files import layers_of, open_air, read_air
    from tests.retrieval.forward import test_air_files as made

    def read(path: Path, _: Path) -> Any:
        file = open_air(path)
        return [
            layers_of(a, 5, latitude=30.0, altitude=100.0) for a in read_air(file, range(max(file.count, 1)))
        ]

    for make, name in ((made.acos, "a.h5"), (made.oco, "o.h5"), (made.own, "n.nc"), (made.table, "t.csv")):
        yield make(folder / name), read
    (folder / "shape.csv").write_text("offset_cm1,response\n-0.2,0\n-0.1,0.5\n0,1\n0.1,0.5\n0.2,0\n")
    yield folder / "shape.csv", lambda p, _: read_shape(p)
    (folder / "prior.csv").write_text("pressure_hpa,mole_fraction\n1000,400\n500,395\n10,390\n")
    yield folder / "prior.csv", lambda p, _: read_prior(p)


def preprocessor(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Files by which spectra are screened."""
    from retrieval.estimation.clear_sky import clear_sky, read_preprocessor
    from tests.retrieval.estimation.test_clear_sky import a_band, doas

    for path in (a_band(folder / "a.h5"), doas(folder / "d.h5")):
        yield path, lambda _, root: clear_sky(read_preprocessor(root / "a.h5", root / "d.h5"))


def plumes(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Images, sources and winds."""
    from retrieval.plume.images.scene_files import read_scene
    from retrieval.plume.sources import read_sources
    from retrieval.plume.winds import MetWinds, read_wind_table
    from tests.retrieval.plume.files import write_scene
    from tests.retrieval.plume.scenes import make_scene
    from tests.retrieval.plume.test_winds import at, write_met

    scene = make_scene(noise=0.3, seed=1, no2=True)
    yield write_scene(folder / "scene.nc", scene), lambda p, _: read_scene(p, where={"cloud": (0, 0.2)})
    tables = {
        "sources.csv": ("source,latitude,longitude,radius_km\na,35,110,0\nb,36,111,5\n", read_sources),
        "winds.csv": ("source,u,v,error\na,3,1,1\nb,2,-1,1\n", lambda p: read_wind_table(p, 1.0)),
    }
    for name, (text, read) in tables.items():
        (folder / name).write_text(text)
        yield folder / name, lambda p, _, read=read: read(p)

    def winds(path: Path, _: Path) -> Any:
        found = MetWinds([path], None, 0.3)
        try:
            return at(found)
        finally:
            found.close()

    yield write_met(folder / "met.nc"), winds


def fields(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Fields that a bias follows."""
    from inversion.study.osse.pattern import read_field
    from obsnet.geotiff import write_geotiff
    from tests.inversion.study.osse.test_pattern import DAYS, GRID, PLANE, write

    write(folder, PLANE[None] + np.zeros((3, 1, 1)), time=DAYS)
    write_geotiff(PLANE, GRID, folder / "a.tif", units="1", description="albedo", dtype="float64")
    for path in (folder / "albedo.nc", folder / "a.tif"):
        yield path, lambda p, _: read_field(p)


def elements(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Maps of the columns of a ready-made Jacobian."""
    from inversion.case.inputs.elements import read_elements
    from tests.inversion.case.inputs.test_elements import write_map

    yield write_map(folder / "StateVector.nc"), lambda p, _: read_elements(p, 6)


def tracers(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Samples and releases of tracer experiments."""
    from inversion.transport.evaluation.datem import read_releases, read_samples
    from tests.inversion.transport.evaluation.test_evaluation import release_file, sample_file

    rows = [(f"2020-06-01T{h:02d}:00", "0300", 25.5, 105.0 + h, 3.0 * h, f"s{h}") for h in (6, 9, 12)]
    yield sample_file(folder / "samples.txt", rows), lambda p, _: read_samples(p)
    yield release_file(folder / "RELEASES"), lambda p, _: read_releases(p)


def systems(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Posteriors of other systems: tables of countries, budgets, gridded fluxes, factors of a prior."""
    from obsnet.crosscheck.systems.options import read_word
    from obsnet.crosscheck.systems.run import read_system
    from obsnet.report.exchange.paris import write_paris
    from tests.fuzz_tables import inverted
    from tests.obsnet.crosscheck.systems import made
    from tests.obsnet.crosscheck.systems.test_grids import LAT, LON, factor_files, field, regions
    from tests.obsnet.crosscheck.systems.test_tables import wave

    def system(word: str) -> Any:
        return lambda path, root: read_system(read_word(word.format(path=path, root=root)), regions)

    sd = np.full((12, 2), 0.1)
    for new in (False, True):
        path = made.country_file(folder / f"paris_{new}.nc", wave(), sd, new=new)
        yield path, system("a={path}")
    covariance = 0.01 * np.tile(np.eye(2), (12, 1, 1))
    path = made.country_file(folder / "covariance.nc", wave(), sd, covariance, levels=None, new=True)
    yield path, system("a={path}")
    (folder / "budgets.csv").write_text(
        "Alpha 3 Code,Year,IS NCE (TgCO2),IS NCE unc (TgCO2)\n"
        "CHN,2019,8310,1190\nCHN,2020,8400,1200\nCHN,mean,8350,900\n"
    )
    yield folder / "budgets.csv", system("a={path}")
    yield made.flux_file(folder / "grid.nc", field(), LAT, LON), system("a={path};time_is=middle;gas=CO2")
    (folder / "factors").mkdir()
    for path in factor_files(folder / "factors", field()):
        yield path, system("i=imi:{root}/sf.nc;prior={root}/hemco.nc;period=2023")
    (folder / "own").mkdir()
    (folder / "own" / "posterior.nc").write_bytes(inverted()[0])
    with xr.open_dataset(folder / "own" / "posterior.nc", engine="netcdf4") as data:
        write_paris(data.load(), folder / "own" / "paris.nc")
    # of another program again: without the seal
    (folder / "own" / "paris.nc").write_bytes((folder / "own" / "paris.nc").read_bytes()[:-40])
    yield folder / "own" / "paris.nc", system("a={path}")


def nowcasts(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Indicators and inventories of many years."""
    from obsnet.nowcast.inputs.history import read_history
    from obsnet.nowcast.inputs.indicator_file import read_indicators
    from tests.obsnet.nowcast.made import REGIONS, YEARS, indicator_frame, inventory_frame, world, write

    small = world(regions=REGIONS[:2], years=YEARS[-12:])
    for layout in ("months", "running", "year"):
        frame = indicator_frame(small, layout=layout).tail(60)
        yield write(frame, folder / f"{layout}.csv"), lambda p, _: read_indicators(p)
    frame.to_excel(folder / "year.xlsx", index=False)
    yield folder / "year.xlsx", lambda p, _: read_indicators(p)
    yield write(inventory_frame(small), folder / "inventory.csv"), lambda p, _: read_history([str(p)])
