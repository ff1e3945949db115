"""Totals of ready-made Jacobians: a map of their columns, the textbook's answer, IMI's result file, refusals.

No such files of other systems are at hand: those of the Integrated Methane Inversion are made here in the layout that
its `invert.py` and `make_state_vector_file.py` write.
"""

import numpy as np
import pytest
import xarray as xr

from inversion.case.inputs.elements import read_elements, with_boundary
from inversion.case.look import look
from inversion.case.options import InvertOptions
from inversion.case.run import run_invert
from inversion.jacobian.foreign import read_foreign
from obsnet.cf import read_netcdf
from obsnet.config import validate
from obsnet.errors import ConfigError, FormatError, SchemaError, UnitError
from tests.inversion.case.files import write_case, write_prior
from tests.inversion.case.solving.test_members import verdicts
from tests.inversion.world import GRID, make_world

LABEL = (np.arange(4)[:, None] // 2) * 3 + np.arange(6)[None, :] // 2 + 1  # six elements of 2 x 2 cells
LABEL = np.where(
    (np.arange(4)[:, None] == 3) & (np.arange(6)[None, :] == 5), 0, LABEL
)  # a corner that nobody scales
GAMMA = 0.5


def options(**changes):
    plain = {
        "foreign": {
            "files": ["hm.nc"],
            "elements": "StateVector.nc",
            "model_error": 0.0,
            "prior_relative": 0.4,
        },
        "prior": "one.nc",
        "start": "2019-01-01",
        "stop": "2019-01-07",
        "regions": "regions.geojson",
        "region_key": "code",
    }
    return validate(InvertOptions, plain | changes, "[invert]")


def write_map(path):
    state = np.where(LABEL > 0, LABEL, -9999).astype(float)
    field = (("lat", "lon"), state, {"units": "none", "_FillValue": -9999.0})
    xr.Dataset({"StateVector": field}, {"lat": GRID.lat, "lon": GRID.lon}).to_netcdf(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A case with a Jacobian of six factors in EnKF_CH4's layout, the same as an IMI result, and the map."""
    folder = write_case(tmp_path_factory.mktemp("foreign"))
    world = make_world()
    flux = {"fossil": world.prior.flux["fossil"] + 1e-7}
    write_prior(folder / "one.nc", flux)
    cells, label = flux["fossil"][0], LABEL.ravel() - 1
    member = np.zeros((GRID.size, 6))
    scaled = label >= 0
    member[np.flatnonzero(scaled), label[scaled]] = 1e6 * cells[scaled]
    h = world.jacobian.matrix.toarray().astype(float).reshape(60, 6, -1).sum(axis=1) @ member
    rng = np.random.default_rng(2)
    truth = 1.0 + 0.4 * rng.standard_normal(6)
    error = np.full(60, 0.5)
    simulated = 400.0 + h.sum(axis=1)
    y = 400.0 + h @ truth + 0.5 * rng.standard_normal(60)
    unit = {"units": "1e-6"}
    xr.Dataset(
        {
            "obs": ("n", y, unit),
            "oerr": ("n", error, unit),
            "hm": (("n", "m"), h, unit),
            "hm0": ("n", simulated, unit),
        }
    ).to_netcdf(folder / "hm.nc")
    write_map(folder / "StateVector.nc")
    information, right = h.T @ h / 0.25, h.T @ (y - simulated) / 0.25
    post = np.linalg.inv(GAMMA * information + np.eye(6) / 0.16)
    ratio = post @ (GAMMA * right)
    imi = {
        "KTinvSoK": (("nvar1", "nvar2"), information),
        "KTinvSoyKxA": ("nvar1", right),
        "ratio": ("nvar1", ratio),
        "xhat": ("nvar1", 1.0 + ratio),
        "S_post": (("nvar1", "nvar2"), post),
        "gamma": ((), GAMMA),
    }
    xr.Dataset(imi).to_netcdf(folder / "inversion_result.nc")
    xr.Dataset(imi | {"ratio": ("nvar1", 1.3 * ratio)}).to_netcdf(folder / "mean.nc")
    wide = {
        k: ((*d, "ensemble") if d else ("ensemble",), np.stack([v, v], axis=-1))
        for k, (d, v) in imi.items()
        if not isinstance(d, str)
    }
    wide |= {
        k: ((d, "ensemble"), np.stack([v, v], axis=-1)) for k, (d, v) in imi.items() if isinstance(d, str)
    }
    xr.Dataset(wide).to_netcdf(folder / "inversion_result_ensemble.nc")
    return folder, h, y - simulated, cells


def textbook(h, d, weight):
    """Return factors and their covariance for errors of 0.5 and 0.4, with observations of a weight."""
    post = np.linalg.inv(weight * h.T @ h / 0.25 + np.eye(h.shape[1]) / 0.16)
    return 1.0 + post @ (weight * h.T @ d / 0.25), post


def by_hand(cells):
    """Return mol s-1 of each factor in a, b and outside, and of what is not scaled."""
    column = np.arange(GRID.size) % 6
    a = np.where(column < 2, 1.0, np.where(column == 2, 0.5, 0.0))
    b = np.where(column == 3, 1.0, np.where(column == 2, 0.5, 0.0))
    mol = np.stack([a, b, 1 - a - b]) * GRID.cell_area.ravel() * cells
    label = LABEL.ravel()
    return np.stack([mol[:, label == k + 1].sum(axis=1) for k in range(6)], axis=1), mol[:, label == 0].sum(
        axis=1
    )


@pytest.mark.parametrize(("name", "weight"), [("hm.nc", 1.0), ("inversion_result.nc", GAMMA)])
def test_totals_are_the_textbooks_and_crosscheck_reads_them(folder, tmp_path, name, weight):
    place, h, d, cells = folder
    lines = []
    own = {"model_error": 0.0} if name == "hm.nc" else {}
    foreign = {"files": [name], "elements": "StateVector.nc", "prior_relative": 0.4} | own
    written, summary = run_invert(options(foreign=foreign), place, tmp_path, lines.append)
    data = read_netcdf(written[0])
    factors, post = textbook(h, d, weight)
    g, fixed = by_hand(cells)
    np.testing.assert_allclose(data["region_total"].values.ravel(), g @ factors + fixed, rtol=1e-6)
    np.testing.assert_allclose(data["region_total_prior"].values.ravel(), g.sum(axis=1) + fixed, rtol=1e-6)
    np.testing.assert_allclose(
        data["total_covariance"].values, g @ post @ g.T, rtol=1e-6, atol=1e-6 * (g @ post @ g.T).max()
    )
    np.testing.assert_allclose(data["total_prior_covariance"].values, 0.16 * g @ g.T, rtol=1e-6)
    field = data["flux"].values[0, 0].ravel()
    np.testing.assert_allclose(field, cells * np.append(factors, 1.0)[LABEL.ravel() - 1], rtol=1e-6)
    # what a change of the flux in region a, spread as the prior, does to the factors is seen through the kernel
    kernel = data["total_averaging_kernel"].values
    assert kernel.shape == (3, 3)
    assert 0.0 < kernel[0, 0] < 1.1
    assert summary["system"] == ("EnKF_CH4" if name == "hm.nc" else "IMI")
    assert data.attrs["jacobian_system"] == summary["system"]
    table = verdicts(written[0])
    assert list(table["region"]) == ["a", "b"]
    assert table["response"].notna().all()
    assert table["remark"].str.contains("factors keep the prior's pattern inside their elements").all()


def test_an_information_matrix_says_all_that_the_observations_say(folder):
    place, h, d, _ = folder
    data = read_foreign([place / "inversion_result.nc"])
    assert data.whitened
    assert data.bad == ()
    np.testing.assert_allclose(data.matrix.T @ data.matrix, GAMMA * h.T @ h / 0.25, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        data.matrix.T @ (data.value - data.simulated), GAMMA * h.T @ d / 0.25, rtol=1e-7, atol=1e-7
    )
    assert "4 combinations of the observations" in data.notes[0]


def test_means_and_ensembles_of_inversions_are_refused(folder):
    place = folder[0]
    with pytest.raises(SchemaError, match="this is the mean of several inversions; take one member"):
        read_foreign([place / "mean.nc"])
    with pytest.raises(SchemaError, match="several inversions; take one member"):
        read_foreign([place / "inversion_result_ensemble.nc"])
    with pytest.raises(SchemaError, match="stand for themselves; give one file"):
        read_foreign([place / "inversion_result.nc", place / "inversion_result.nc"])


def test_columns_beyond_the_map_are_boundary_where_that_is_known(folder):
    data = read_foreign([folder[0] / "inversion_result.nc"])
    part = with_boundary(data, 4, "map.nc")
    assert part.matrix.shape[1] == 4
    assert part.boundary.shape[1] == 2
    assert "boundary_relative is their standard deviation" in part.notes[-1]
    with pytest.raises(ConfigError, match=r"map.nc: labels 7 elements, the Jacobian has 6 flux columns"):
        with_boundary(data, 7, "map.nc")
    with pytest.raises(ConfigError, match="labels 4 elements"):
        with_boundary(read_foreign([folder[0] / "hm.nc"]), 4, "map.nc")


def test_labels_from_zero_are_columns_where_they_are_as_many(tmp_path):
    label = np.arange(24).reshape(4, 6) // 6
    xr.Dataset({"label": (("lat", "lon"), label)}, {"lat": GRID.lat, "lon": GRID.lon}).to_netcdf(
        tmp_path / "map.nc"
    )
    np.testing.assert_array_equal(read_elements(tmp_path / "map.nc", 4)[1], label.ravel())
    np.testing.assert_array_equal(read_elements(tmp_path / "map.nc", 3)[1], label.ravel() - 1)


def test_the_real_map_of_rhime(sample_data):
    """Its four basis functions are numbered from 0."""
    path = sample_data / "inversion" / "eastasia_rhime" / "standard_rhime_outs_EASTASIA.nc"
    data = read_foreign([path])
    grid, column = read_elements(path, data.matrix.shape[1])
    assert grid.shape == (340, 391)
    np.testing.assert_array_equal(np.bincount(column), [33150, 33150, 33320, 33320])


def test_what_cannot_be_put_on_a_map_is_one_line(folder, tmp_path):
    place = folder[0]
    with pytest.raises(ConfigError, match="totals of a ready-made Jacobian need start, stop: the flux"):
        options(start=None, stop=None)
    with pytest.raises(ConfigError, match=r"are of one flux, this prior has fossil, biosphere"):
        run_invert(options(prior="prior.nc"), place, tmp_path)
    with pytest.raises(ConfigError, match=r"are of one flux, this prior has fossil, biosphere"):
        list(look(options(prior="prior.nc"), place, tmp_path, ()))
    foreign = {"files": ["inversion_result.nc"], "elements": "StateVector.nc", "model_error": 1.0}
    with pytest.raises(UnitError, match="take out model_error and mean_offset"):
        run_invert(options(foreign=foreign), place, tmp_path)
    gap = xr.Dataset(
        {"label": (("lat", "lon"), np.where(LABEL == 3, 9, LABEL))}, {"lat": GRID.lat, "lon": GRID.lon}
    )
    gap.to_netcdf(tmp_path / "gap.nc")
    with pytest.raises(FormatError, match="must be 1 to their number, without gaps"):
        read_elements(tmp_path / "gap.nc", 6)
    gap.assign(other=gap["label"]).to_netcdf(tmp_path / "two.nc")
    with pytest.raises(
        FormatError, match="needs one variable on lat and lon with labels, found label, other"
    ):
        read_elements(tmp_path / "two.nc", 6)
