"""The column operator: real matrices to 1e-12, adjoint to 1e-13, the traps of order, unit and kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ObsnetError, RangeError, SchemaError
from obsnet.schema import observation_table
from retrieval.columns.column_operator import (
    ColumnOperator,
    column_kernel,
    exchange_prior,
    normalise_kernel,
)
from retrieval.columns.pressure_weights import layer_weights, level_weights

REAL = ["l2_20090827005603.h5", "out.expected.h5"]


def make(rows=5, n=20, vertical="level", seed=0):
    rng = np.random.default_rng(seed)
    surface = rng.uniform(700, 1030, (rows, 1))
    pressure = surface * np.linspace(1, 1e-4, n + (vertical == "layer"))
    weight = (level_weights if vertical == "level" else layer_weights)(pressure).weight
    kernel = rng.uniform(0.5, 1.3, (rows, n))
    prior = 400 + 5 * rng.normal(size=(rows, n))
    return ColumnOperator(pressure, weight, kernel, prior, np.sum(weight * prior, axis=1), vertical)


def retrieval(sample_data, name):
    import h5py

    with h5py.File(sample_data / "satellite/acos_full_retrieval" / name) as file:
        return {k: np.asarray(v)[0] for k, v in file["RetrievalResults"].items() if v.dtype.kind == "f"}


def lite(sample_data):
    import h5py

    with h5py.File(next((sample_data / "satellite/acos_lite").glob("*090901*"))) as file:
        names = ("pressure_levels", "pressure_weight", "xco2_averaging_kernel", "co2_profile_apriori")
        profiles = [file[name][:].astype(float)[:, ::-1] for name in names]
        return ColumnOperator(*profiles, file["xco2_apriori"][:].astype(float), "level"), file["xco2"][
            :
        ].astype(float)


@pytest.mark.parametrize("name", REAL)
def test_acos_matrices(sample_data, name):
    """Top first as in the file: these identities do not care about order."""
    r = retrieval(sample_data, name)
    h, x, xa = r["xco2_pressure_weighting_function"], r["co2_profile"], r["co2_profile_apriori"]
    response = column_kernel(h, r["co2_profile_averaging_kernel_matrix"])
    np.testing.assert_allclose(response, r["xco2_avg_kernel"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(normalise_kernel(response, h), r["xco2_avg_kernel_norm"], rtol=0, atol=1e-12)
    assert h @ x == pytest.approx(float(r["xco2"]), abs=1e-12)
    assert np.sqrt(h @ r["co2_profile_covariance_matrix"] @ h) == pytest.approx(
        float(r["xco2_uncert"]), abs=1e-12
    )
    # the linear operator on the retrieved profile's own smoothed truth: A (x - xa) has column h A (x - xa)
    smoothed = xa + r["co2_profile_averaging_kernel_matrix"] @ (x - xa)
    operator = ColumnOperator(
        r["vector_pressure_levels"][None, ::-1] / 100,
        h[None, ::-1],
        r["xco2_avg_kernel_norm"][None, ::-1],
        xa[None, ::-1],
        [h @ xa],
        "level",
    )
    assert operator.forward(x[None, ::-1])[0] == pytest.approx(h @ smoothed, abs=1e-12)


@given(st.integers(0, 10**6), st.sampled_from(["level", "layer"]))
def test_adjoint_dot_product(seed, vertical):
    op = make(seed=seed, vertical=vertical)
    rng = np.random.default_rng(seed + 1)
    x, s = rng.normal(size=op.weight.shape), rng.normal(size=len(op))
    linear = op.forward(x) - op.forward(np.zeros_like(x))
    scale = np.sum(np.abs(s) * op.forward(np.zeros_like(x)))
    assert abs(s @ linear - np.sum(op.adjoint(s) * x)) <= 1e-13 * abs(scale) + 1e-13


@given(st.integers(0, 10**6), st.sampled_from(["level", "layer"]), st.sampled_from(["scale", "clip"]))
def test_adjoint_on_the_model_grid(seed, vertical, surface):
    op = make(seed=seed, vertical=vertical)
    rng = np.random.default_rng(seed + 1)
    m = 37
    pressure = rng.uniform(990, 1010, (len(op), 1)) * np.linspace(1, 2e-4, m + 1) ** 1.3
    x, s = 400 + rng.normal(size=(len(op), m)), rng.normal(size=len(op))
    # with a zero prior the operator is linear, so both sides are exact sums
    zero = ColumnOperator(op.pressure, op.weight, op.kernel, 0 * op.kernel, 0 * op.prior_column, vertical)
    forward = zero.forward_model(x, pressure, surface=surface)
    backward = zero.adjoint_model(s, pressure, surface=surface)
    assert abs(s @ forward - np.sum(backward * x)) <= 1e-13 * np.sum(np.abs(s) * np.abs(forward))
    # and with one it is affine with the same derivative
    step = op.forward_model(x + 1, pressure, surface=surface) - op.forward_model(x, pressure, surface=surface)
    np.testing.assert_allclose(
        step, op.adjoint_model(np.ones(len(op)), pressure, surface=surface).sum(axis=1), atol=1e-11
    )


@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(-3, 3))
def test_operator_is_affine(seed, alpha, beta):
    op = make(seed=seed)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(400, 10, (2, *op.weight.shape))
    origin = op.forward(np.zeros_like(x))
    combined = op.forward(alpha * x + beta * y) - origin
    np.testing.assert_allclose(
        combined, alpha * (op.forward(x) - origin) + beta * (op.forward(y) - origin), atol=1e-9
    )


def test_prior_goes_in_prior_column_comes_out():
    op = make()
    np.testing.assert_allclose(op.forward(op.prior_profile), op.prior_column, rtol=0, atol=1e-12)


def test_perfect_kernel_gives_the_column_itself():
    op = make()
    perfect = ColumnOperator(
        op.pressure, op.weight, np.ones_like(op.kernel), op.prior_profile, op.prior_column, "level"
    )
    x = np.random.default_rng(3).normal(400, 9, op.weight.shape)
    np.testing.assert_allclose(perfect.forward(x), np.sum(op.weight * x, axis=1), atol=1e-11)


@given(st.integers(0, 10**6))
def test_prior_exchange_and_back(seed):
    op = make(seed=seed)
    rng = np.random.default_rng(seed)
    value, other = rng.normal(400, 2, len(op)), rng.normal(400, 5, op.weight.shape)
    op = ColumnOperator(op.pressure, op.weight, op.kernel, op.prior_profile, op.prior_column + 0.004, "level")
    there = exchange_prior(value, op, other)
    np.testing.assert_allclose(
        exchange_prior(there, op.with_prior(other), op.prior_profile), value, atol=1e-10
    )
    formula = value + np.sum(op.weight * (1 - op.kernel) * (other - op.prior_profile), axis=1)
    np.testing.assert_allclose(there, formula, atol=1e-10)


def test_retrieval_with_another_prior_is_what_the_exchange_predicts():
    """A linear retrieval of a known truth, made twice."""
    op = make(seed=4)
    truth = op.prior_profile + 3
    other = op.prior_profile + np.linspace(0, 8, op.weight.shape[1])
    np.testing.assert_allclose(
        exchange_prior(op.forward(truth), op, other), op.with_prior(other).forward(truth), atol=1e-11
    )


def test_lite_file_identities(sample_data):
    op, _ = lite(sample_data)
    assert np.abs(op.weight.sum(axis=1) - 1).max() < 2e-7
    assert np.abs(np.sum(op.weight * op.prior_profile, axis=1) - op.prior_column).max() < 4.2e-3


def test_reversed_profile_passes_a_casual_check_but_not_a_tilted_one(sample_data):
    """Weights turned upside down change h . x_a by 0.01 ppm on average; a boundary-layer plume tells."""
    op, _ = lite(sample_data)
    upside_down = ColumnOperator(
        op.pressure, op.weight[:, ::-1], op.kernel[:, ::-1], op.prior_profile, op.prior_column, "level"
    )
    casual = np.sum(upside_down.weight * op.prior_profile, axis=1) - op.prior_column
    assert np.abs(casual).mean() < 0.03
    plume = op.prior_profile.copy()
    plume[:, :3] += 20  # near the ground, where the kernel is near one
    right, wrong = op.forward(plume) - op.prior_column, upside_down.forward(plume) - op.prior_column
    assert np.abs(wrong - right).mean() > 0.5
    assert right.mean() == pytest.approx(2.5, abs=0.3)


def test_profile_top_first_is_refused():
    op = make()
    with pytest.raises(RangeError, match=r"row 0: pressure must decrease \(surface first\)"):
        ColumnOperator(op.pressure[:, ::-1], op.weight, op.kernel, op.prior_profile, op.prior_column, "level")


def test_kernel_with_weights_in_it_is_smaller_by_the_weights():
    """Trap: multiplying h twice. The response to a uniform +1 tells them apart."""
    op = make()
    twice = ColumnOperator(
        op.pressure, op.weight, op.kernel * op.weight, op.prior_profile, op.prior_column, "level"
    )
    assert (op.adjoint(np.ones(len(op))).sum(axis=1) > 0.7).all()
    assert (twice.adjoint(np.ones(len(op))).sum(axis=1) < 0.1).all()


def test_mean_of_products_is_not_product_of_means():
    """Averaging kernels and profiles apart from each other loses their covariance."""
    op = make(rows=200, seed=2)
    x = op.prior_profile + 10 * op.kernel  # correlated on purpose
    apart = np.mean(op.prior_column) + np.sum(
        op.weight.mean(axis=0) * op.kernel.mean(axis=0) * (x - op.prior_profile).mean(axis=0)
    )
    assert op.forward(x).mean() - apart == pytest.approx(10 * op.kernel.var(), rel=0.1)


@pytest.mark.parametrize("surface_pressure", [1000.0, 950.0])
@pytest.mark.parametrize("given", ["edges", "middles"])
def test_levels_conserve_a_plume_thinner_than_their_layers(surface_pressure, given):
    """+20 ppm in the lowest 15 of 1000 hPa are 0.3 ppm, whatever the levels and the product's ground."""
    levels = surface_pressure * np.append(np.arange(19, 0, -1) / 19, 1e-4)[None]
    weight = level_weights(levels).weight
    op = ColumnOperator(levels, weight, np.ones((1, 20)), np.full((1, 20), 400.0), [400.0], "level")
    edges = np.concatenate([[1000.0, 985, 970, 955, 940], np.arange(920.0, 0, -20), [0.1]])
    model = np.full((1, len(edges) - 1), 400.0)
    model[0, 0] += 20
    pressure = edges if given == "edges" else 0.5 * (edges[1:] + edges[:-1])
    assert op.forward_model(model, pressure)[0] == pytest.approx(400.3, abs=2e-4)
    # pressures that stay as they are: the plume lies under a ground 50 hPa higher
    clipped = 400.3 if surface_pressure == 1000.0 else 400.0
    assert op.forward_model(model, pressure, surface="clip")[0] == pytest.approx(clipped, abs=2e-4)


@given(st.integers(0, 10**6))
def test_a_perfect_kernel_on_levels_sees_the_models_own_column(seed):
    op = make(seed=seed)
    rng = np.random.default_rng(seed)
    op = ColumnOperator(
        op.pressure, op.weight, np.ones_like(op.kernel), op.prior_profile, op.prior_column, "level"
    )
    edges = np.sort(rng.uniform(1, 1000, (len(op), 31)), axis=1)[:, ::-1]
    edges[:, -1] = op.pressure[:, -1]
    x = rng.normal(400, 20, (len(op), 30))
    own = np.sum(x * -np.diff(edges), axis=1) / (edges[:, 0] - edges[:, -1])
    np.testing.assert_allclose(op.forward_model(x, edges), own, rtol=1e-11)


def test_model_above_its_top_leaves_the_prior(sample_data):
    op, _ = lite(sample_data)
    model = np.full((len(op), 2), 1e4)
    low = op.forward_model(model, [1095.0, 1085.0])
    np.testing.assert_allclose(low, op.prior_column, atol=1e-12)


def test_uniform_model_gives_uniform_answer_on_both_kinds():
    for vertical, extra in (("level", 0), ("layer", 1)):
        op = make(vertical=vertical)
        uniform = ColumnOperator(
            op.pressure, op.weight, op.kernel, 0 * op.kernel + 400, 0 * op.prior_column + 400, vertical
        )
        pressure = np.linspace(1030, 0.01, 30 + extra)  # of levels the middles
        np.testing.assert_allclose(uniform.forward_model(np.full((5, 30), 400.0), pressure), 400, atol=1e-10)


def test_from_table_and_back():
    op = make(rows=3)
    time = np.array(["2020-01-01"] * 3, dtype="datetime64[us]")
    table = observation_table(
        {
            "obs_id": ["a", "b", "c"],
            "platform": ["x"] * 3,
            "time": time,
            "latitude": [1.0, 2, 3],
            "longitude": [1.0, 2, 3],
            "value": op.prior_column,
            "uncertainty": [1.0] * 3,
            "pressure_levels": op.pressure,
            "pressure_weight": op.weight,
            "averaging_kernel": op.kernel,
            "prior_profile": op.prior_profile,
            "vertical": ["level"] * 3,
        },
        species="CO2",
        kind="column",
        source="t",
        file_id="0" * 16,
    )
    again = ColumnOperator.from_table(table)
    np.testing.assert_allclose(again.kernel, op.kernel, rtol=1e-6)
    np.testing.assert_allclose(again.prior_column, op.prior_column, rtol=1e-6)
    assert len(again.take(np.array([2, 0]))) == 2
    mixed = table.set_column(table.column_names.index("vertical"), "vertical", [["level", "layer", "level"]])
    with pytest.raises(SchemaError, match="one kind of vertical grid"):
        ColumnOperator.from_table(mixed)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"vertical": "both"}, SchemaError, "'level' or 'layer'"),
        ({"vertical": "layer"}, SchemaError, r"pressure must have shape \(5, 21\) for layers"),
        ({"weight": np.full((5, 20), 0.06)}, RangeError, "sum to 1.2, not 1"),
        ({"weight": np.full((5, 20), np.nan)}, RangeError, "sum to nan"),
        (
            {"pressure": 1e5 * np.tile(np.linspace(1, 1e-4, 20), (5, 1))},
            RangeError,
            "Pa must be divided by 100",
        ),
        ({"kernel": np.ones((5, 19))}, SchemaError, "kernel must have shape"),
        ({"prior_column": np.ones(4)}, SchemaError, "prior_column must have shape"),
        ({"weight": np.ones(5)}, SchemaError, r"weight must be \(rows, n\)"),
    ],
)
def test_refusals(change, error, text):
    op = make()
    parts = {
        k: getattr(op, k)
        for k in ("pressure", "weight", "kernel", "prior_profile", "prior_column", "vertical")
    }
    with pytest.raises(error, match=text) as caught:
        ColumnOperator(**(parts | change))
    assert isinstance(caught.value, ObsnetError)
