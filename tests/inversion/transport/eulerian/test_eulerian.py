"""The Eulerian reference model: exact adjoint, conservation, order of accuracy, known solutions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.jacobian.store import SIDES, JacobianStore
from inversion.transport.eulerian.air_flow import Atmosphere, balanced, from_winds
from inversion.transport.eulerian.model import EulerianModel, Observation
from obsnet.errors import GridError, RangeError
from obsnet.grid import Grid

HOUR = np.timedelta64(1, "h")


def edges(n: int, step=HOUR) -> np.ndarray:
    return (np.datetime64("2024-04-01T00", "us") + step * np.arange(n + 1)).astype("datetime64[us]")


def world(seed: int = 0, n_time: int = 3, nz: int = 4, ny: int = 6, nx: int = 7) -> Atmosphere:
    """Winds with shear, gusts and mixing over a 6 x 7 degree domain."""
    rng = np.random.default_rng(seed)
    grid = Grid.regular(30, 30 + ny, 110, 110 + nx, 1, 1)
    shape = (n_time, nz, ny, nx)
    u = 6.0 + 3.0 * rng.standard_normal(shape)
    v = 4.0 * rng.standard_normal(shape)
    kz = rng.uniform(0.0, 40.0, (n_time, nz - 1, ny, nx))
    return from_winds(grid, edges(n_time), np.linspace(1000, 700, nz + 1), u, v, kz)


def inputs(model: EulerianModel, seed: int = 1):
    rng = np.random.default_rng(seed)
    ny, nx = model.shape[1:]
    return (
        rng.standard_normal((model.n_time, ny, nx)),
        rng.standard_normal((model.n_time, model.n_boundary)),
        rng.standard_normal(model.shape),
    )


def some_observations(model: EulerianModel, n: int = 5, seed: int = 2) -> list[Observation]:
    rng = np.random.default_rng(seed)
    return [
        Observation(f"o{i}", int(rng.integers(1, model.n_time + 1)), rng.random(model.shape))
        for i in range(n)
    ]


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from(["fromm", "upwind"]))
def test_the_adjoint_is_exact(seed, scheme):
    """<H z, y> = <z, H' y> for random inputs and random weights, to rounding."""
    model = EulerianModel(world(seed), scheme=scheme)
    observations = some_observations(model, seed=seed)
    z = inputs(model, seed + 1)
    y = np.random.default_rng(seed + 2).standard_normal(len(observations))
    left = float(model.observe(observations, *z) @ y)
    gradient = model.adjoint(observations)
    right = sum(float(np.vdot(a, g @ y)) for a, g in zip(z, gradient, strict=True))
    scale = sum(float(np.abs(a * (g @ y)).sum()) for a, g in zip(z, gradient, strict=True))
    assert abs(left - right) / scale < 1e-12


@pytest.mark.parametrize("scheme", ["fromm", "upwind"])
def test_a_uniform_world_stays_uniform(scheme):
    model = EulerianModel(world(3), scheme=scheme)
    still = np.zeros((model.n_time, *model.shape[1:]))
    for _, x in model.forward(
        still, np.full((model.n_time, model.n_boundary), 400.0), np.full(model.shape, 400.0)
    ):
        np.testing.assert_allclose(x, 400.0, rtol=1e-12)


@pytest.mark.parametrize("scheme", ["fromm", "upwind"])
def test_shares_of_an_observation_sum_to_one(scheme):
    model = EulerianModel(world(4), scheme=scheme)
    weight = np.zeros(model.shape)
    weight[0, 3, 3] = 1.0
    gradient = model.adjoint([Observation("o", 3, weight)])
    assert gradient.inflow.sum() + gradient.initial.sum() == pytest.approx(1.0, abs=1e-12)


def closed(n_time: int = 2, nz: int = 4, n: int = 8) -> Atmosphere:
    """A domain with walls: rotating flow of a stream function, overturning in the vertical."""
    grid = Grid.regular(-4, 4, 100, 108, 1, 1)
    psi = np.sin(np.linspace(0, np.pi, n + 1))[:, None] * np.sin(np.linspace(0, np.pi, n + 1))[None, :]
    strength = np.linspace(1.0, -1.0, nz)[:, None, None] * 2e12
    east, north = -np.diff(psi, axis=0)[None] * strength, np.diff(psi, axis=1)[None] * strength
    air = np.full((nz, n, n), 6e16) * np.linspace(1.0, 0.5, nz)[:, None, None]
    rng = np.random.default_rng(0)
    # Divergent in each layer, balanced over the column: this drives the vertical flow.
    push = np.zeros((nz, n, n + 1))
    push[0, :, 1:-1], push[-1, :, 1:-1] = 1e12, -1e12
    exchange = rng.uniform(0, 5e12, (n_time, nz - 1, n, n))
    return Atmosphere(
        grid, edges(n_time), air, np.stack([east + push] * n_time), np.stack([north] * n_time), exchange
    )


@pytest.mark.parametrize("scheme", ["fromm", "upwind"])
def test_a_closed_domain_keeps_its_tracer_and_gains_what_is_emitted(scheme):
    air = closed()
    model = EulerianModel(air, scheme=scheme)
    rng = np.random.default_rng(5)
    flux = rng.random((model.n_time, *model.shape[1:]))
    states = dict(model.forward(flux, np.zeros((model.n_time, model.n_boundary)), rng.random(model.shape)))
    content = [float((air.air * x).sum()) for x in states.values()]
    emitted = [float((f * air.grid.cell_area).sum()) * 3600.0 for f in flux]  # umol
    np.testing.assert_allclose(np.diff(content), emitted, rtol=1e-10)
    assert np.abs(air.up).max() > 0


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_upwind_is_positive(seed):
    model = EulerianModel(world(seed), scheme="upwind")
    flux, inflow, initial = (np.abs(a) for a in inputs(model, seed))
    for _, x in model.forward(flux, inflow, initial):
        assert x.min() >= 0.0


def test_tracer_that_leaves_is_what_is_lost():
    """Open domain, nothing comes in: the content falls by no more than the air that leaves carries."""
    air = world(6)
    model = EulerianModel(air, scheme="upwind")
    states = dict(
        model.forward(np.zeros((3, 6, 7)), np.zeros((3, model.n_boundary)), np.full(model.shape, 1.0))
    )
    content = [float((air.air * x).sum()) for x in states.values()]
    out = np.maximum(air.east[..., -1], 0).sum((1, 2)) + np.maximum(-air.east[..., 0], 0).sum((1, 2))
    out += np.maximum(air.north[:, :, -1], 0).sum((1, 2)) + np.maximum(-air.north[:, :, 0], 0).sum((1, 2))
    lost = -np.diff(content)
    assert (lost > 0).all()
    assert (lost <= 3600.0 * out * (1 + 1e-12)).all()


def channel(n: int) -> tuple[EulerianModel, dict]:
    """Uniform eastward flow along the equator, refined: 20 degrees in n cells, 4 cells across."""
    grid = Grid(np.linspace(-2, 2, 5), np.linspace(100, 120, n + 1))
    air = np.full((1, 4, n), 1e17 / n)
    speed = 5.0 / 86400.0  # degrees a second: 5 degrees a day
    flow = speed / (20.0 / n) * 1e17 / n
    atmosphere = Atmosphere(
        grid,
        edges(1, np.timedelta64(1, "D")),
        air,
        np.full((1, 1, 4, n + 1), flow),
        np.zeros((1, 1, 5, n)),
        np.zeros((1, 0, 4, n)),
    )
    return atmosphere


@pytest.mark.parametrize(("scheme", "order", "slack"), [("upwind", 1.0, 0.25), ("fromm", 2.0, 0.25)])
def test_order_of_accuracy_of_advection(scheme, order, slack):
    errors = []
    for n in (80, 160, 320):
        atmosphere = channel(n)
        model = EulerianModel(atmosphere, scheme=scheme, courant=0.5)

        def mean_of_gaussian(shift, grid=atmosphere.grid):
            from scipy.special import erf

            upper = erf((grid.lon_edges - 106.0 - shift) / 1.5)
            return np.diff(upper) / np.diff(grid.lon_edges)

        start = np.broadcast_to(mean_of_gaussian(0.0), (1, 4, n))
        *_, (_, end) = model.forward(np.zeros((1, 4, n)), np.zeros((1, model.n_boundary)), start)
        errors.append(np.abs(end[0, 1] - mean_of_gaussian(5.0)).mean() / np.abs(mean_of_gaussian(5.0)).mean())
    found = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert found[-1] == pytest.approx(order, abs=slack)
    assert errors[-1] < (0.3 if scheme == "upwind" else 0.005)


def test_rotation_returns_a_smooth_field():
    """One turn of solid rotation in a closed box, from a stream function: second order in space and time."""
    errors = []
    for n in (24, 48):
        size = 8.0
        grid = Grid(np.linspace(-4, 4, n + 1), np.linspace(100, 108, n + 1))
        y, x = np.meshgrid(grid.lat_edges, grid.lon_edges - 104.0, indexing="ij")
        content = 1e18 / n**2
        rate = 2 * np.pi / 86400.0
        # Rotation of the inner part; the stream function is flat at the walls.
        radius = np.hypot(x, y)
        psi = -0.5 * rate * np.minimum(radius, 3.5) ** 2 * content / (size / n) ** 2
        atmosphere = Atmosphere(
            grid, edges(1, np.timedelta64(1, "D")), np.full((1, n, n), content),
            -np.diff(psi, axis=0)[None, None], np.diff(psi, axis=1)[None, None], np.zeros((1, 0, n, n)),
        )  # fmt: skip
        yc, xc = np.meshgrid(grid.lat, grid.lon - 104.0, indexing="ij")
        blob = np.exp(-((xc - 1.2) ** 2 + yc**2) / 0.8**2)[None]
        model = EulerianModel(atmosphere, courant=0.5)
        *_, (_, end) = model.forward(np.zeros((1, n, n)), np.zeros((1, model.n_boundary)), blob)
        errors.append(np.sqrt(((end - blob) ** 2).sum() / (blob**2).sum()))
    assert errors[1] < 0.1
    assert errors[0] / errors[1] > 3.0


def decay(
    nz: int, dt: float, hours: float = 12.0, k: float = 20.0, height: float = 2000.0
) -> tuple[float, float]:
    """Return what is left of cos(pi z / H) after `hours`, and the exact exp(-K (pi / H)^2 t)."""
    n = round(hours * 3600 / dt)
    dz, content = height / nz, 1e15 / nz
    grid, steps = Grid.regular(0, 2, 100, 102, 1, 1), edges(n, np.timedelta64(round(dt), "s"))
    still = np.zeros((n, nz, 2, 3)), np.zeros((n, nz, 3, 2))
    exchange = np.full((n, nz - 1, 2, 2), content * k / dz**2)
    atmosphere = Atmosphere(grid, steps, np.full((nz, 2, 2), content), *still, exchange)
    model = EulerianModel(atmosphere)
    mode = np.cos(np.pi * (np.arange(nz) + 0.5) / nz)
    start = np.broadcast_to(mode[:, None, None], (nz, 2, 2))
    *_, (_, end) = model.forward(np.zeros((n, 2, 2)), np.zeros((n, model.n_boundary)), start)
    left = end[:, 0, 0] / mode
    assert np.ptp(left) < 1e-9  # the mode keeps its shape
    return float(left.mean()), float(np.exp(-k * (np.pi / height) ** 2 * hours * 3600.0))


def test_vertical_diffusion_is_the_implicit_scheme_exactly():
    nz, dt, k, dz = 12, 600.0, 20.0, 2000.0 / 12
    rate = 4 * k / dz**2 * np.sin(np.pi / (2 * nz)) ** 2  # eigenvalue of the discrete mode
    assert decay(nz, dt)[0] == pytest.approx((1 + rate * dt) ** -72, rel=1e-11)


def test_vertical_diffusion_converges_first_order_in_the_step_and_second_in_layers():
    by_step = [abs(np.subtract(*decay(60, dt))) for dt in (1200.0, 600.0, 300.0)]
    assert by_step[0] / by_step[1] == pytest.approx(2.0, abs=0.1)
    assert by_step[1] / by_step[2] == pytest.approx(2.0, abs=0.1)
    rate = [4 * nz**2 * np.sin(np.pi / (2 * nz)) ** 2 for nz in (8, 16)]
    assert (np.pi**2 - rate[0]) / (np.pi**2 - rate[1]) == pytest.approx(4.0, abs=0.05)
    coarse, fine = (decay(nz, 600.0)[0] for nz in (8, 16))
    assert coarse > fine  # the coarser mode decays more slowly


def test_strong_mixing_gives_the_well_mixed_column():
    """Uniform flux into a well-mixed, windless column: F t / (air per area), Σ foot = that."""
    grid = Grid.regular(30, 33, 110, 113, 1, 1)
    shape = (2, 5, 3, 3)
    atmosphere = from_winds(
        grid,
        edges(2),
        np.linspace(1000, 800, 6),
        np.zeros(shape),
        np.zeros(shape),
        np.full((2, 4, 3, 3), 1e6),
    )
    model = EulerianModel(atmosphere)
    *_, (_, x) = model.forward(
        np.full((2, 3, 3), 3.0), np.zeros((2, model.n_boundary)), np.zeros(model.shape)
    )
    column = 20000.0 / (9.80665 * 0.0289647)  # mol m-2
    np.testing.assert_allclose(x, 3.0 * 7200.0 / column, rtol=2e-3)
    weight = np.zeros(model.shape)
    weight[0, 1, 1] = 1.0
    assert model.adjoint([Observation("o", 2, weight)]).flux.sum() == pytest.approx(7200.0 / column, rel=2e-3)


def test_the_jacobian_is_what_the_forward_model_does(tmp_path):
    model = EulerianModel(world(7))
    observations = some_observations(model, 6)
    jacobian = model.jacobian(observations, batch=4)
    flux, _, _ = inputs(model)
    none = np.zeros((model.n_time, model.n_boundary)), np.zeros(model.shape)
    np.testing.assert_allclose(
        jacobian.matrix @ flux.ravel(), model.observe(observations, flux, *none), rtol=1e-5, atol=1e-5
    )
    # A different mole fraction on each side, and in the initial state: the boundary matrix knows all five.
    sides = {"north": 1.0, "east": 2.0, "south": 3.0, "west": 4.0, "top": 9.0, "inside": 5.0}
    inflow = np.array([sides[s] for s in model.side_of_boundary()])
    values = np.repeat([sides[s] for s in SIDES], model.n_time)
    direct = model.observe(
        observations, 0 * flux, np.broadcast_to(inflow, none[0].shape), np.full(model.shape, sides["inside"])
    )
    np.testing.assert_allclose(jacobian.boundary @ values, direct, rtol=1e-10)
    store = JacobianStore(tmp_path).create(
        {"grid": jacobian.grid, "time_edges": jacobian.time_edges, "kind": "computed", "model": "eulerian"}
    )
    store.write("a", jacobian.select(jacobian.obs_id))
    np.testing.assert_array_equal(store.read(jacobian.obs_id).matrix.toarray(), jacobian.matrix.toarray())


def test_a_station_feels_upwind_first():
    grid = Grid.regular(30, 35, 110, 120, 1, 1)
    shape = (6, 3, 5, 10)
    atmosphere = from_winds(
        grid,
        edges(6),
        [1000, 950, 850, 700],
        np.full(shape, 8.0),
        np.zeros(shape),
        np.full((6, 2, 5, 10), 10.0),
    )
    model = EulerianModel(atmosphere, scheme="upwind")
    weight = np.zeros(model.shape)
    weight[0, 2, 8] = 1.0
    gradient = model.adjoint([Observation("o", 6, weight)])
    assert gradient.flux[:, :, 9].sum() == pytest.approx(0.0, abs=1e-9)
    assert gradient.flux[-1].argmax() == 2 * 10 + 8
    first, last = (np.average(grid.lon, weights=gradient.flux[t, :, :, 0].sum(axis=0)) for t in (0, 5))
    assert first < last - 0.5


@given(st.integers(0, 1000))
def test_balanced_flows_balance_and_change_little(seed):
    rng = np.random.default_rng(seed)
    air = rng.uniform(0.5, 1.5, (3, 5, 6))
    east, north = rng.standard_normal((2, 3, 5, 7)), rng.standard_normal((2, 3, 6, 6))
    e, n = balanced(air, east, north)
    assert np.abs(np.diff(e.sum(1), axis=-1) + np.diff(n.sum(1), axis=-2)).max() < 1e-12
    again = balanced(air, e, n)
    np.testing.assert_allclose(again[0], e, atol=1e-12)
    assert np.linalg.norm(e - east) < np.linalg.norm(east) + np.linalg.norm(north)


def test_mistakes_are_named():
    good = world(0)
    with pytest.raises(GridError, match=r"Atmosphere.east must have shape \(3, 4, 6, 8\), found"):
        Atmosphere(good.grid, good.time_edges, good.air, good.north, good.north, good.exchange)
    with pytest.raises(RangeError, match="pass them through `balanced`"):
        Atmosphere(
            good.grid, good.time_edges, good.air, good.east * np.linspace(1, 2, 8), good.north, good.exchange
        )
    with pytest.raises(RangeError, match="air must be positive"):
        Atmosphere(good.grid, good.time_edges, -good.air, good.east, good.north, good.exchange)
    with pytest.raises(RangeError, match="pressure_edges must fall"):
        from_winds(
            good.grid,
            good.time_edges,
            [700, 1000],
            np.zeros((3, 1, 6, 7)),
            np.zeros((3, 1, 6, 7)),
            np.zeros((3, 0, 6, 7)),
        )
    with pytest.raises(RangeError, match="'o' is at edge 9, not within 1 and 3"):
        EulerianModel(good).adjoint([Observation("o", 9, np.ones((4, 6, 7)))])
