"""netCDF and HDF5 are opened where a crash costs nothing first, and only once."""

from __future__ import annotations

import os
import signal

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

from obsnet import opening
from obsnet.errors import FormatError
from obsnet.opening import open_h5py, open_netcdf4, open_xarray
from obsnet.seal import seal_file
from obsnet.work.isolated import Worker


@pytest.fixture
def good(tmp_path):
    data = xr.Dataset({"co2": ("time", np.arange(3.0), {"units": "ppm"})}, {"time": np.arange(3)})
    data["place"] = ("time", np.array(["a", "b", "c"], dtype=object))
    data.to_netcdf(tmp_path / "good.nc", engine="netcdf4")
    return tmp_path / "good.nc"


def shown(path):
    with open_netcdf4(path) as one, open_xarray(path) as two, open_h5py(path) as three:
        return one["co2"][:].tolist(), two["co2"].values.tolist(), three["co2"][()].tolist()


def crash(path, *_):
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_good_file_is_opened(good):
    assert shown(good) == ([0.0, 1.0, 2.0],) * 3
    with open_netcdf4("inside.nc", good.read_bytes()) as packed:
        assert packed["place"][:].tolist() == ["a", "b", "c"]


def test_netcdf_3_is_opened(tmp_path):
    with netCDF4.Dataset(tmp_path / "old.nc", "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("x", 2)
        file.createVariable("v", "f4", ("x",))[:] = [1, 2]
    with open_netcdf4(tmp_path / "old.nc") as file:
        assert file["v"][:].tolist() == [1, 2]


def test_what_crashes_the_library_is_one_line(good, monkeypatch):
    monkeypatch.setattr(opening, "_look_netcdf", crash)
    monkeypatch.setattr(opening, "_look_hdf5", crash)
    for open_it in (open_netcdf4, open_xarray, open_h5py):
        with pytest.raises(FormatError, match=r"good\.nc: the process at work on it was killed by SIGSEGV"):
            open_it(good)
    with pytest.raises(FormatError, match=r"inside\.nc: the process at work on it was killed by SIGSEGV"):
        open_netcdf4("inside.nc", good.read_bytes())


def test_what_lies_before_a_damaged_group_is_looked_through(tmp_path):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "made"
        file.create_group("a").create_dataset("v", data=[1.0])
        file.create_group("z").create_dataset("w", data=[1.0])
    data = bytearray(path.read_bytes())
    at = data.rfind(b"TREE")
    data[at : at + 4] = b"EERT"
    path.write_bytes(data)
    with h5py.File(path, "r") as file:
        with pytest.raises(RuntimeError):
            file.visititems(lambda *_: None)
        assert [n.name for n in opening._nodes(file)] == ["/", "/a", "/a/v"]


def test_what_keeps_the_library_busy_is_one_line(tmp_path, monkeypatch):
    """A blanked global heap holds an object of no length, which HDF5 steps over for ever."""
    path = tmp_path / "bad.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 2)
        file.createVariable("x", "f4", ("x",))
        file.createVariable("v", "f4", ("x",))[:] = [1, 2]
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL")
    data[heap + 16 : heap + 4096] = bytes(4080)
    path.write_bytes(data)
    monkeypatch.setattr(opening, "_SECONDS", 2)
    for open_it in (open_netcdf4, open_h5py):
        with pytest.raises(FormatError, match=r"bad\.nc: it took more than 2 s of processor time"):
            open_it(path)


WILD = {
    "half is of half precision": lambda file: file.create_dataset("half", (3,), "f2"),
    "co2:scale is of half precision": lambda file: file["co2"].attrs.create("scale", np.float16(1)),
    "the dimensions of co2 are lost": lambda file: file["co2"].attrs.create("DIMENSION_LIST", "furlong"),
}


@pytest.mark.parametrize("said", WILD)
def test_what_the_library_takes_for_an_address_is_named(good, said):
    """It crashes on these now and then, as memory happens to lie."""
    with h5py.File(good, "r+") as file:
        WILD[said](file)
    text = rf"\.nc: {said}"
    for open_it in (open_netcdf4, open_xarray):
        with pytest.raises(FormatError, match=text):
            open_it(good)
    with pytest.raises(FormatError, match=text):
        open_netcdf4("in.nc", good.read_bytes())
    with Worker() as worker, pytest.raises(FormatError, match=text):  # which looks at nothing first
        worker.call(shown, good)


def test_a_file_is_looked_through_once(good, monkeypatch):
    seen = []
    monkeypatch.setattr(opening, "tried", lambda look, path, *_, **__: seen.append((look.__name__, path)))
    opening._once.cache_clear()
    for _ in range(3):
        shown(good)
    assert seen == [("_look_netcdf", str(good)), ("_look_hdf5", str(good))]
    xr.Dataset({"co2": ("time", np.zeros(5))}).to_netcdf(good, engine="netcdf4")
    shown(good)
    assert len(seen) == 4
    seal_file(good)  # ours, and as it was written
    shown(good)
    assert len(seen) == 4


def test_a_worker_looks_at_nothing(good, monkeypatch):
    monkeypatch.setattr(opening, "_look_netcdf", crash)
    with Worker() as worker:
        assert worker.call(shown, good) == ([0.0, 1.0, 2.0],) * 3
    monkeypatch.setenv("OBSNET_DEBUG", "1")
    assert shown(good) == ([0.0, 1.0, 2.0],) * 3


def test_a_missing_file_is_the_readers_to_name(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_netcdf4(tmp_path / "none.nc")
