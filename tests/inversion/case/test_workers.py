"""A case solved on workers: the posterior, totals and ensemble of one process; a killed run goes on anywhere."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from inversion.case.options import InvertOptions
from inversion.case.run import run_invert
from obsnet.cf import read_netcdf
from obsnet.errors import ConfigError
from obsnet.work.cluster import session
from obsnet.work.work import Work
from tests.inversion.case.files import CASE, write_case
from tests.inversion.case.inputs.test_evaluation import MORE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_case(tmp_path_factory.mktemp("workers"))


@pytest.fixture(scope="module")
def alone(folder):
    lines = []
    run_invert(options(), folder, folder / "alone", lines.append)
    return read_netcdf(folder / "alone" / "posterior.nc"), lines


@pytest.fixture(scope="module")
def two():
    with session():
        yield Work(scheduler="dask", workers=2)


def options(**change):
    return InvertOptions.model_validate(tomllib.loads(CASE + MORE)["invert"] | {"page": False} | change)


def same(found, wanted, rtol):
    """Compare all numbers of two posteriors."""
    assert set(found.data_vars) == set(wanted.data_vars)
    for name, values in wanted.data_vars.items():
        if values.dtype.kind == "f":
            size = float(np.nanmax(np.abs(values.values), initial=0.0))
            np.testing.assert_allclose(
                found[name].values, values.values, rtol=rtol, atol=rtol * size, err_msg=str(name)
            )


def test_members_beside_each_other_are_the_same_bit_for_bit(folder, alone, tmp_path):
    lines = []
    run_invert(options(), folder, tmp_path, lines.append, Work(scheduler="processes", workers=2))
    data = read_netcdf(tmp_path / "posterior.nc")
    for name in alone[0].data_vars:
        np.testing.assert_array_equal(data[name].values, alone[0][name].values, err_msg=str(name))
    one, other = (read_netcdf(f / "ensemble.nc") for f in (tmp_path, folder / "alone"))
    for name in other.data_vars:
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=str(name))
    assert [x for x in lines if x.startswith("member ")] == [x for x in alone[1] if x.startswith("member ")]
    assert "members beside each other: 2" in lines


def test_members_beside_each_other_fit_into_memory(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("inversion.case.workers.available_memory", lambda: 1)
    lines = []
    run_invert(options(), folder, tmp_path, lines.append, Work(scheduler="processes", workers=2))
    assert "members beside each other: 1" in lines


@pytest.mark.slow
@pytest.mark.parametrize("method", ["auto", "primal", "cg"])
def test_a_jacobian_on_workers_gives_the_same_posterior(folder, two, tmp_path, method):
    asked = options(method=method, ensemble=None)
    run_invert(asked, folder, tmp_path / "here")
    lines = []
    run_invert(asked, folder, tmp_path / "there", lines.append, two)
    assert any("the Jacobian is on the workers, in 8 blocks of rows" in line for line in lines)
    here, there = (read_netcdf(tmp_path / f / "posterior.nc") for f in ("here", "there"))
    same(there, here, rtol=1e-6 if method == "cg" else 1e-8)
    assert not list((tmp_path / "there").glob(".blocks-*"))
    lines = []
    run_invert(asked, folder, tmp_path / "there", lines.append)  # in this process: it is the same problem
    assert any(line.startswith("solved before") for line in lines)


@pytest.mark.slow
def test_regions_of_a_basis_and_members_on_dask(folder, two, tmp_path):
    asked = options(basis={"kind": "quadtree", "count": 6})
    run_invert(asked, folder, tmp_path / "here")
    run_invert(asked, folder, tmp_path / "there", work=two)
    here, there = (read_netcdf(tmp_path / f / "posterior.nc") for f in ("here", "there"))
    same(there, here, rtol=1e-8)


def test_an_inversion_takes_no_shard(folder, tmp_path):
    with pytest.raises(ConfigError, match="an inversion is one: give it workers"):
        run_invert(options(), folder, tmp_path, work=Work(shard="1/2"))
