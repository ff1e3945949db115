"""A field's periods: the same map wherever they are mapped; a killed run goes on with those it had mapped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from obsnet.errors import ConfigError
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from retrieval.mapping.mappers import KrigingMapper
from retrieval.mapping.maps import make_map, run_grid
from retrieval.mapping.settings import GridTable, MapSettings
from tests.retrieval.mapping.fields import MODEL, draw, places
from tests.retrieval.soundings import make_table
from tests.waiting import wait_for

GRID = "28,36,104,112,2"
ASKED = {"species": "CO2", "grid": GRID, "start": "2020-06-03", "stop": "2020-06-07", "window_days": 2.0}
ASKED |= {"neighbours": 16, "folds": 2, "spacing_km": (1500.0,)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """200 columns of a known field over ten days."""
    made = ObservationStore(tmp_path_factory.mktemp("periods") / "store")
    points = places(200, 0)
    samples, _ = draw(MODEL, points, 0)
    made.write(
        make_table(
            200,
            profiles=False,
            corners=False,
            latitude=points[0],
            longitude=points[1],
            time=points[2],
            value=412.0 + samples.value,
            uncertainty=samples.uncertainty,
        )
    )
    return made


def asked(**change):
    return MapSettings(**ASKED | change)


@pytest.fixture(scope="module")
def alone(store):
    return {m: make_map(store, asked(method=m), Work(scheduler="serial")) for m in ("kriging", "frk")}


@pytest.mark.parametrize("scheduler", ["processes", pytest.param("dask", marks=pytest.mark.slow)])
def test_a_kriged_map_is_the_same_bit_for_bit(store, alone, scheduler):
    made = make_map(store, asked(method="kriging"), Work(scheduler=scheduler, workers=2))
    xr.testing.assert_identical(made.data, alone["kriging"].data)
    assert made.report == alone["kriging"].report


@pytest.mark.slow
def test_a_map_of_fixed_rank_is_the_same_to_rounding(store, alone):
    made = make_map(store, asked(method="frk"), Work(scheduler="dask", workers=2))
    for name in ("xco2", "xco2_uncertainty"):
        np.testing.assert_allclose(made.data[name], alone["frk"].data[name], rtol=1e-9)
    assert made.report["functions"] == alone["frk"].report["functions"]
    assert made.report["fine_variance"] == pytest.approx(alone["frk"].report["fine_variance"], rel=1e-6)


def test_kept_periods_are_taken_and_go_when_the_file_is_written(store, alone, tmp_path, monkeypatch):
    table = GridTable(**ASKED, method="kriging", store=str(store.path), out="maps/map.nc")
    work, mapped, period = Work(scheduler="serial"), [], KrigingMapper.period

    def second_is_too_many(self, columns, start, stop, where):
        mapped.append(start)
        if len(mapped) == 2:
            raise KeyboardInterrupt
        return period(self, columns, start, stop, where)

    monkeypatch.setattr(KrigingMapper, "period", second_is_too_many)
    with pytest.raises(KeyboardInterrupt):
        run_grid(table, tmp_path, work)
    assert not (tmp_path / "maps" / "map.nc").exists()
    run_grid(table, tmp_path, work)
    assert len(mapped) == 5  # the first period once
    assert [p.name for p in (tmp_path / "maps").iterdir()] == ["map.nc"]
    with xr.open_dataset(tmp_path / "maps" / "map.nc", engine="netcdf4") as data:
        for name in ("xco2", "xco2_uncertainty"):
            np.testing.assert_array_equal(data[name], alone["kriging"].data[name])


@pytest.mark.slow
def test_a_killed_run_goes_on(store, alone, tmp_path):
    days = {"method": "kriging", "folds": 0, "start": "2020-06-01", "stop": "2020-06-11", "step": "1h"}
    text = [sys.executable, "-m", "obsnet", "grid", str(store.path), "--species", "CO2", "--grid", GRID]
    text += ["--start", "2020-06-01", "--stop", "2020-06-11", "--step", "1h", "--method", "kriging"]
    text += ["--folds", "0", "--window-days", "2", "--neighbours", "16", "--out", "map.nc"]
    call = [*text, "--scheduler", "processes", "--workers", "2"]
    work = subprocess.Popen(call, cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.getcwd()})
    parts = tmp_path / ".map.nc.periods"
    wait_for(lambda: work.poll() is not None or len(list(parts.glob("*.npz"))) >= 3, "three periods")
    work.send_signal(signal.SIGKILL)
    assert work.wait(60) == -signal.SIGKILL
    before = {p.name: p.stat().st_mtime_ns for p in parts.glob("*.npz")}
    assert 3 <= len(before) < 240
    done = subprocess.run(text, cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.getcwd()}, check=False)
    assert done.returncode == 0
    assert not parts.exists()
    undisturbed = make_map(store, asked(**days), Work(scheduler="serial"))
    with xr.open_dataset(tmp_path / "map.nc", engine="netcdf4") as data:
        np.testing.assert_array_equal(data["xco2"], undisturbed.data["xco2"])
        np.testing.assert_array_equal(data["xco2_uncertainty"], undisturbed.data["xco2_uncertainty"])


def test_a_map_takes_no_shard(store, tmp_path):
    table = GridTable(**ASKED, method="kriging", store=str(store.path))
    with pytest.raises(ConfigError, match="a map is of all its periods: give it workers"):
        run_grid(table, tmp_path, Work(shard="1/2"))
