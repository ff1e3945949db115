"""Files that crash the libraries which read them: each is bad with its reason, and the rest goes on."""

from __future__ import annotations

import errno
import re
import sys

import h5py
import numpy as np
import pytest

from inversion.case.inputs.reading import read_prior
from inversion.jacobian.store import JacobianStore
from inversion.transport.conversion.convert import convert_files
from inversion.transport.run.run import Air, run_footprints
from obsnet.cli import main
from obsnet.constants import species
from obsnet.errors import FormatError, StorageError
from obsnet.met import build
from obsnet.met.build import build_met_apart
from obsnet.reading import read_csv, reading, refuse_claim, refuse_long_lines
from obsnet.store import ObservationStore
from obsnet.work import isolated
from obsnet.work.work import Work
from retrieval.spectra.hdf5 import Level1
from tests.cases import _prior
from tests.inversion.transport import formats
from tests.inversion.transport.run.test_run import GRID, SETTINGS, table
from tests.inversion.world import make_world
from tests.obsnet.met.test_met_readers import hybrid
from tests.obsnet.met.worlds import era5
from tests.retrieval import synthetic
from tests.retrieval.granules import granule
from tests.stations.dialects import noaa_text, simple
from tests.stations.dialects_netcdf import obspack

DIE = """
import os, signal
import obsnet.opening
from obsnet.errors import FormatError
refuse = obsnet.opening._refuse_wild
def die(*arguments):
    try:
        refuse(*arguments)
    except FormatError:
        os.kill(os.getpid(), signal.SIGSEGV)
obsnet.opening._refuse_wild = die
"""


@pytest.fixture(autouse=True, scope="module")
def what_crashes_is_let_through(tmp_path_factory):
    """Workers die of what `obsnet.opening` would refuse.

    The library follows such a pointer into memory that is not its own and dies, or finds any bytes there and goes on:
    which of the two is chance, what a worker that dies costs is not.
    """
    folder = tmp_path_factory.mktemp("path")
    (folder / "sitecustomize.py").write_text(DIE, encoding="utf-8")
    sys.path.insert(0, str(folder))
    _forget_workers()
    yield
    sys.path.remove(str(folder))
    _forget_workers()


def _forget_workers():
    """End the processes that are kept: what they have imported stays in them."""
    for worker, _ in isolated._kept.values():
        worker.stop()


def crashing(path, name):
    """Make a variable of a netCDF-4 file one of half precision: netCDF-C follows a pointer to nothing."""
    with h5py.File(path, "r+") as file:
        shape = file[name].shape
        del file[name]
        file.create_dataset(name, shape, "f2")
    return path


@pytest.fixture(scope="module")
def crash(tmp_path_factory):
    """A station file that crashes the library."""
    return crashing(obspack(tmp_path_factory.mktemp("crash") / "crash.nc", simple(4)), "qcflag")


def ended(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([*map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


# What a worker that dies costs otherwise is tested in obsnet/work/test_isolated.py.
KILLED = r"crash\.nc: the process at work on it was killed by SIGSEGV"


def test_station_read_goes_on(crash, tmp_path, capsys):
    good = tmp_path / "co2_wlg.txt"
    good.write_text(noaa_text(simple(4)))
    code, out, err = ended(capsys, "station", "read", crash, good, "--out", tmp_path / "store")
    assert code == 1
    assert f"{good}\n" in out
    assert re.search(KILLED, err)
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 4
    code, _, err = ended(capsys, "station", "read", crash)
    assert code == 2
    assert re.search(KILLED, err)


@pytest.mark.parametrize(
    "rest",
    [
        ("scale", "--to", "X2019"),
        ("qc", "--rules", "noaa_flask"),
        ("budget", "--budget", "record"),
        ("plot", "--out", "p.png"),
        ("fit",),
        ("admit", "--requirements", "example_network"),
    ],
    ids=lambda r: r[0],
)
def test_every_step_of_stations_ends_in_one_line(crash, tmp_path, capsys, monkeypatch, rest):
    monkeypatch.chdir(tmp_path)
    code, out, err = ended(capsys, "station", rest[0], crash, *rest[1:])
    assert code in (1, 2)
    assert re.search(KILLED, out + err)
    assert "Traceback" not in err


def test_the_stage_stations_goes_on(crash, tmp_path):
    from obsnet.pipeline import read_case, run_case

    (tmp_path / "co2_wlg.txt").write_text(noaa_text(simple(4)))
    (tmp_path / "crash.nc").write_bytes(crash.read_bytes())
    data = {"run": {"name": "t"}, "stations": {"files": ["co2_wlg.txt", "crash.nc"]}}
    done = run_case(*read_case(data, tmp_path / "case.toml"))["stations"]
    assert (done["failed"], done["rows"]) == (1, 4)
    status = {
        r["path"]: r["status"] for r in ObservationStore(tmp_path / "run" / "store").index.read().to_pylist()
    }
    assert status["co2_wlg.txt"] == "done"
    assert re.search(KILLED, status["crash.nc"])


def test_conversion_goes_on(tmp_path, capsys):
    crash = formats.flexpart(tmp_path / "crash.nc", formats.field(1, 3)[None])
    crash = crashing(crash, "RELZZ1")
    good = formats.stilt(tmp_path / "202404020600_113.3_33.4_25_foot.nc", formats.field(1, 3))
    report = convert_files([crash, good], tmp_path / "j", work=Work(scheduler="processes", workers=1))
    assert report["done"] == 1
    (bad,) = report["failed"]
    assert re.search(KILLED, bad["error"])
    assert JacobianStore(tmp_path / "j").obs_ids().size == 1
    code, _, err = ended(capsys, "footprints", "convert", crash, good, "--out", tmp_path / "k")
    assert code == 1
    assert re.search(KILLED, err)


def test_meteorology_and_background_are_named(tmp_path):
    hybrid(tmp_path / "crash.nc")
    crash = crashing(tmp_path / "crash.nc", "hyam")
    good = era5(tmp_path / "a.nc", hours=range(25))
    with pytest.raises(FormatError, match=KILLED):
        build_met_apart([crash], tmp_path / "met")
    assert not (tmp_path / "met").exists()
    (tmp_path / "curtains").mkdir()
    sides = {"n": formats.LON.size, "e": formats.LAT.size, "s": formats.LON.size, "w": formats.LAT.size}
    values = {side: np.full((2, n, 1), 4e-4) for side, n in sides.items()}
    curtains = crashing(
        formats.curtain(tmp_path / "curtains" / "crash.nc", values, unit="mol mol-1"), "vmr_n"
    )
    with pytest.raises(FormatError, match=KILLED):
        run_footprints(
            table(),
            [good],
            tmp_path / "fp",
            grid=GRID,
            step="3h",
            settings=SETTINGS,
            air=Air(str(curtains)),
        )
    met = build_met_apart([good], tmp_path / "met")
    assert met.times.size == 25


def prepare_within(seconds, file, folder):
    """Prepare meteorology with a shorter limit; in a worker."""
    build._SECONDS = seconds
    build.build_met([file], folder)


def test_a_file_that_keeps_the_library_busy_ends_too(tmp_path):
    """A blanked global heap holds an object of no length, which HDF5 steps over for ever."""
    bad = era5(tmp_path / "bad.nc")
    data = bytearray(bad.read_bytes())
    heap = data.find(b"GCOL")
    data[heap + 16 : heap + 4096] = bytes(4080)
    bad.write_bytes(data)
    with isolated.Worker(isolated.Limits()) as worker, pytest.raises(FormatError) as caught:
        worker.call(prepare_within, 5.0, bad, tmp_path / "met")
    assert str(caught.value).startswith(f"{bad}: ")
    if "SIGXCPU" not in str(caught.value):
        pytest.skip("this HDF5 library does not stay busy with the file")
    assert not (tmp_path / "met").exists()


def test_a_prior_is_named(tmp_path):
    _prior(tmp_path / "crash.nc")
    crash = crashing(tmp_path / "crash.nc", "flux")
    jacobian = make_world().jacobian
    with pytest.raises(FormatError, match=KILLED):
        read_prior(crash, jacobian.grid, jacobian.time_edges, species("CO2"))


def test_one_bad_granule_of_any_kind_is_one_row(crash, tmp_path, capsys):
    good = granule(tmp_path / "in")
    variables, attributes = synthetic.lite(20, seed=4)
    path = synthetic.write(tmp_path / "in" / synthetic.lite_name("180103"), variables, attributes)
    with h5py.File(path, "r+") as file:  # the main variable is a text now
        del file["xco2"]
        file.create_dataset("xco2", (20,), h5py.string_dtype())
    (tmp_path / "in" / "claims.nc4").write_bytes(claims(tmp_path / "c.h5", "xco2").read_bytes())
    (tmp_path / "in" / "crash.nc").write_bytes(crash.read_bytes())
    code, out, err = ended(capsys, "ingest", tmp_path / "in", "--out", tmp_path / "store")
    assert code == 1
    assert "Traceback" not in err
    assert "3 of 4 files bad" in out
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 40
    assert good.name in out


def claims(path, name, rows=5_000_000_000):
    """A file of a few hundred bytes that claims five thousand million rows."""
    with h5py.File(path, "w") as file:
        file.create_dataset(name, (rows,), "f4", chunks=(1 << 20,))
    assert path.stat().st_size < 5000
    return path


def test_what_a_file_claims_is_held_against_its_size(tmp_path):
    from obsnet.cf import read_flux
    from obsnet.met.readers import reader_for
    from retrieval.readers.source import open_source
    from stations.readers import read

    path = claims(tmp_path / "a.nc", "value")
    said = "claims 18.6 GiB, which a file of "
    with pytest.raises(FormatError, match=said), open_source(path) as source:
        source.read("value")
    with open_source(path) as source:
        assert source.read("value", (slice(0, 10),)).shape == (10,)
    for call in (lambda: read_flux(path), lambda: reader_for([path])):
        with pytest.raises(FormatError, match=said):
            call()
    with pytest.raises(FormatError, match="no reader knows this format"):
        read(path)
    with h5py.File(path, "r+") as file:
        file.create_dataset("gain", (2, 1_000_000_000), "S6", chunks=(1, 1 << 20))
        with pytest.raises(FormatError, match=said.replace("18.6", "11.2")):
            Level1(file, path).texts("gain", 0)
    refuse_claim(path, "a", 1 << 28)  # what any machine has


def test_a_prior_of_any_size_that_is_there_is_read(tmp_path):
    _prior(tmp_path / "prior.nc")
    refuse_claim(tmp_path / "prior.nc", "flux", 1 << 27)


def test_lines_that_no_table_has(tmp_path):
    from obsnet.inventory.table import read_inventory
    from retrieval.readers.source import open_source
    from stations.readers import read

    text = noaa_text(simple(4))
    lines = text.split("\n")
    lines[-3] += "x" * 1_000_000
    (tmp_path / "co2_wlg.txt").write_text("\n".join(lines))
    with pytest.raises(FormatError, match=rf"line {len(lines) - 2} is longer than 100,000 characters"):
        read(tmp_path / "co2_wlg.txt")
    wide = "region,period,gas,value,unit\n410000,2019,CO2,5,Mt" + ",1" * 300_000 + "\n"
    (tmp_path / "inventory.csv").write_text(wide)
    with pytest.raises(FormatError, match="line 2 is longer"):
        read_inventory(tmp_path / "inventory.csv")
    (tmp_path / "granule.csv").write_text("a,b\n1," + "2" * 1_000_000 + "\n")
    with pytest.raises(FormatError, match="line 2 is longer"):
        open_source(tmp_path / "granule.csv")
    refuse_long_lines("x", b"a" * 100_000)
    with pytest.raises(FormatError, match="x: line 3 is longer"):
        refuse_long_lines("x", b"a\nb\n" + b"c" * 100_001 + b"\nd")


def test_a_whole_number_that_no_float_holds(tmp_path):
    """pandas keeps it as an integer of Python, on which every later sum fails."""
    from obsnet.inventory.table import read_inventory
    from retrieval.readers.source import open_source

    path = tmp_path / "wind.csv"
    path.write_text("time,wind_speed\n2020-01-01T00:00Z,3\n2020-01-01T01:00Z," + "4" * 400 + "\n")
    with pytest.raises(FormatError, match=r"wind.csv: row 2: wind_speed is a number of some \d+ digits"):
        read_csv(path)
    vast = "region,period,gas,value,unit\n410000,2019,CO2,5,Mt\n410000,2020,CO2," + "4" * 400 + ",Mt\n"
    (tmp_path / "inventory.csv").write_text(vast)
    with pytest.raises(FormatError, match="row 2: value is a number of some"):
        read_inventory(tmp_path / "inventory.csv")
    (tmp_path / "granule.csv").write_text("a,b\n1,2\n1," + "4" * 400 + "\n")
    with pytest.raises(FormatError, match="row 2: b is a number of some"):
        open_source(tmp_path / "granule.csv")
    path.write_text("id,name\n123456789012345678901234,a\n2,\n")  # beyond 64 bits, and a float all the same
    assert read_csv(path)["id"].astype(float).tolist() == [123456789012345678901234.0, 2.0]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_line_ends_of_other_systems(end, tmp_path):
    from stations.readers import read

    (tmp_path / "co2_wlg.txt").write_bytes(noaa_text(simple(4)).replace("\n", end).encode())
    assert read(tmp_path / "co2_wlg.txt")["value"].values.tolist() == [400.0, 400.5, 401.0, 401.5]


def test_what_libraries_raise_is_one_line_and_debug_shows_it(tmp_path, monkeypatch):
    def fail(error):
        with reading(tmp_path / "a.nc", "a thing"):
            raise error

    for error in (KeyError("x"), AttributeError("no 'dimensions'"), OverflowError("date"), MemoryError()):
        with pytest.raises(FormatError, match=r"a.nc: cannot be read as a thing \(") as caught:
            fail(error)
        assert type(error).__name__ in str(caught.value)
        assert caught.value.__cause__ is error
    with pytest.raises(FormatError, match=r"\(two lines\)"):
        fail(OSError("two\n lines"))
    with pytest.raises(StorageError, match="the disk refused while it was read"):
        fail(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(FormatError, match="^ours$"):
        fail(FormatError("ours"))
    monkeypatch.setenv("OBSNET_DEBUG", "1")
    with pytest.raises(KeyError):
        fail(KeyError("x"))


def test_a_fault_in_our_own_source_is_told_where():
    from obsnet.reading import _said

    with pytest.raises(TypeError) as caught:
        refuse_long_lines("x", None)
    assert " at obsnet/reading.py:" in _said(caught.value)
