"""Fits of files and of many records."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from obsnet.errors import RangeError
from obsnet.output import plain
from obsnet.work.work import Work
from stations.curve.fit import fit_curve
from stations.curve.many import fit_file, fit_many, fit_record, summarise
from stations.curve.options import CurveOptions, FitTable
from tests.stations.references import reference

WEEKLY = 2000.0 + np.arange(0, 365 * 6, 7) / 365.0


def make(number: int) -> dict:
    """The numbers of a record of slope `number`; a negative one cannot be fitted."""
    if number < 0:
        raise RangeError("nothing here")
    fit = fit_curve(WEEKLY, 400 + number * (WEEKLY - 2000) + np.sin(2 * np.pi * WEEKLY))
    return summarise(fit, [2003.0])


def test_a_file_gives_noaas_numbers(sample_data):
    case = reference(sample_data, "noaa_curve_fit.json")["cases"][0]
    path = sample_data / "stations/noaa_flask" / case["file"]
    numbers = fit_file(path, FitTable(files=[path], dates=case["dates"]))
    np.testing.assert_allclose(numbers["coefficients"], case["params"], atol=1e-5)
    np.testing.assert_allclose(numbers["smooth"], case["smooth"], atol=1e-5)
    np.testing.assert_allclose(numbers["growth"], case["growth_rate"], atol=1e-4)
    assert numbers["n"] == case["n_used"]
    assert numbers["timezero"] == case["timezero"]
    json.dumps(plain(numbers), allow_nan=False)


def test_options_and_use_reach_the_fit(sample_data):
    import stations

    record = stations.read(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    assert fit_record(record, CurveOptions(harmonics=2)).options.harmonics == 2
    assert fit_record(record, use="valid").x.size == 1445
    assert fit_record(record, pairs=False).x.size == 2676


@pytest.mark.parametrize("scheduler", ["serial", "processes", pytest.param("dask", marks=pytest.mark.slow)])
def test_many_go_on_past_a_bad_one(scheduler):
    done = {s.name: s for s in fit_many([1, -1, 3], make, work=Work(scheduler=scheduler, workers=2))}
    assert done["-1"].error == "RangeError: nothing here"
    assert done["-1"].numbers == {}
    for number in (1, 3):
        assert done[str(number)].numbers["growth"][0] == pytest.approx(number, abs=1e-3)


def test_a_missing_file_is_an_error_of_its_own(tmp_path):
    path = tmp_path / "no.txt"
    numbers = partial(fit_file, options=FitTable(files=[path], species="CO2"))
    (summary,) = fit_many([str(path)], numbers, work=Work(scheduler="serial"))
    assert "no.txt" in summary.error


def test_an_unexpected_fault_is_not_hidden():
    def broken(item):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(fit_many([1], broken, work=Work(scheduler="serial")))
