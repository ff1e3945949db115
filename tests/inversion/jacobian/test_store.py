"""The sparse Jacobian: parts are the whole, coarsening conserves, mistakes are named."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from inversion.jacobian import parts as module
from inversion.jacobian.store import UNIT, Jacobian, JacobianStore
from obsnet.errors import FormatError, GridError, SchemaError, UnitError
from obsnet.grid import Grid
from obsnet.schema import SIDES
from obsnet.times import later

GRID = Grid.regular(30, 34, 110, 116, 1, 1)
EDGES = np.arange("2024-04-01T00", "2024-04-01T07", dtype="datetime64[h]").astype("datetime64[us]")
META = {"grid": GRID, "time_edges": EDGES, "kind": "computed", "model": "test"}
N_COL = GRID.size * 6


def make(seed: int, n: int, density: float = 0.1, *, stderr: bool = True, boundary: bool = True) -> Jacobian:
    rng = np.random.default_rng(seed)
    matrix = sparse.csr_array(sparse.random(n, N_COL, density, random_state=rng, dtype=np.float32))
    error = sparse.csr_array(
        (rng.random(matrix.nnz, np.float32), matrix.indices, matrix.indptr), matrix.shape
    )
    shares = rng.dirichlet(np.ones(6 * 6), n) if n else np.zeros((0, 36))
    return Jacobian(
        matrix=matrix,
        obs_id=np.array([f"s:{i:03d}" for i in rng.permutation(n)], dtype=np.str_),
        grid=GRID,
        time_edges=EDGES,
        stderr=error if stderr else None,
        boundary=sparse.csr_array(shares) if boundary else None,
        background=rng.normal(415, 1, n) if boundary else None,
        background_uncertainty=rng.random(n) if boundary else None,
    )


def assert_same(a: Jacobian, b: Jacobian) -> None:
    np.testing.assert_array_equal(a.obs_id, b.obs_id)
    assert a.grid == b.grid
    np.testing.assert_array_equal(a.time_edges, b.time_edges)
    for name in ("matrix", "stderr", "boundary"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            np.testing.assert_array_equal(x.toarray(), y.toarray(), err_msg=name)
    for name in ("background", "background_uncertainty"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            np.testing.assert_array_equal(x, y)


def test_column_is_bin_times_size_plus_cell(tmp_path):
    store = JacobianStore(tmp_path / "j").create(META)
    cell = int(GRID.index(31.5, 112.5))
    store.write_part("a", pa.table({"obs_id": ["x"], "time_bin": [2], "cell": [cell], "sensitivity": [0.5]}))
    read = store.read()
    assert read.matrix.dtype == np.float32
    assert read.matrix[0, 2 * GRID.size + 1 * 6 + 2] == np.float32(0.5)
    assert read.matrix.nnz == 1
    assert read.stderr is None
    assert read.boundary is None
    assert read.background is None


def test_boundary_columns_follow_the_order_of_sides(tmp_path):
    store = JacobianStore(tmp_path / "j").create(META)
    sens = pa.table({"obs_id": ["x"], "time_bin": [0], "cell": [0], "sensitivity": [1.0]})
    rows = [{"obs_id": "x", "side": s, "time_bin": i, "share": (i + 1) / 21} for i, s in enumerate(SIDES)]
    store.write_part("a", sens, pa.Table.from_pylist(rows))
    boundary = store.read().boundary.toarray()[0]
    for i in range(6):
        assert boundary[i * 6 + i] == pytest.approx((i + 1) / 21)
    assert boundary.sum() == pytest.approx(1.0)
    assert store.read().background is None


@given(st.integers(0, 10_000), st.integers(0, 25), st.integers(1, 6), st.tuples(st.booleans(), st.booleans()))
def test_parts_are_the_whole(tmp_path_factory, seed, n, parts, beside):
    whole = make(seed, n, stderr=beside[0], boundary=beside[1])
    store = JacobianStore(tmp_path_factory.mktemp("j")).create(META)
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, parts, n)
    for part in range(parts):
        if (owner == part).any():
            store.write(f"p{part}", whole.select(whole.obs_id[owner == part]))
    read = store.read()
    assert list(read.obs_id) == sorted(whole.obs_id)
    if n and whole.matrix.nnz:
        assert_same(read, whole.select(read.obs_id))
    order = rng.permutation(whole.obs_id)
    assert list(store.read(order).obs_id) == list(order)
    np.testing.assert_array_equal(store.read(order).matrix.toarray(), whole.select(order).matrix.toarray())


@given(st.integers(0, 10_000))
def test_the_order_of_rows_does_not_matter(tmp_path_factory, seed):
    sens, beside = make(seed, 8).tables()
    rng = np.random.default_rng(seed)
    a, b = (JacobianStore(tmp_path_factory.mktemp("j")).create(META) for _ in range(2))
    a.write_part("x", sens, beside)
    b.write_part(
        "x",
        sens.take(pa.array(rng.permutation(len(sens)))),
        beside.take(pa.array(rng.permutation(len(beside)))),
    )
    assert_same(a.read(), b.read())
    read = pq.read_table(b.path / "sensitivity" / "x.parquet")
    assert read["obs_id"].to_pylist() == sorted(read["obs_id"].to_pylist())


@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 3, 6]),
    st.sampled_from([1, 2, 3, 6]),
)
def test_coarsening_conserves_sums(seed, nlat, nlon, ntime):
    fine = make(seed, 5)
    grid = Grid(GRID.lat_edges[::nlat], GRID.lon_edges[::nlon])
    coarse = fine.coarsen(grid=grid, time_edges=EDGES[::ntime])
    np.testing.assert_allclose(coarse.matrix.sum(axis=1), fine.matrix.sum(axis=1), rtol=2e-6)
    np.testing.assert_allclose(coarse.boundary.sum(axis=1), fine.boundary.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(
        coarse.stderr.power(2).sum(axis=1), fine.stderr.power(2).sum(axis=1), rtol=1e-5
    )
    dense = fine.matrix.toarray().reshape(5, 6 // ntime, ntime, 4 // nlat, nlat, 6 // nlon, nlon)
    np.testing.assert_allclose(
        coarse.matrix.toarray().reshape(5, 6 // ntime, 4 // nlat, 6 // nlon), dense.sum((2, 4, 6)), rtol=1e-5
    )


def test_a_uniform_flux_gives_the_same_enhancement_on_any_grid():
    fine = make(3, 4, 0.5)
    coarse = fine.coarsen(grid=Grid(GRID.lat_edges[[0, 1, 4]], GRID.lon_edges[[0, 5, 6]]))
    np.testing.assert_allclose(coarse.matrix @ np.full(24, 2.5), fine.matrix @ np.full(N_COL, 2.5), rtol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"grid": Grid.regular(30, 34, 110, 116, 1, 1.5)}, "longitude edge 111.5 is none"),
        ({"grid": Grid.regular(30, 33, 110, 116, 1, 1)}, "latitude the outer edges differ"),
        ({"time_edges": EDGES[1:]}, "time the outer edges differ"),
    ],
)
def test_coarsening_refuses_to_cut_cells(kwargs, text):
    with pytest.raises(GridError, match=text):
        make(0, 2).coarsen(**kwargs)


def test_rows_that_span_row_groups_are_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROW_GROUP", 7)
    whole = make(5, 9, 0.2)
    store = JacobianStore(tmp_path / "j").create(META)
    store.write("a", whole)
    assert pq.ParquetFile(store.path / "sensitivity" / "a.parquet").num_row_groups > 20
    assert_same(store.read(), whole.select(sorted(whole.obs_id)))
    picked = [whole.obs_id[7], whole.obs_id[2]]
    assert_same(store.read(picked), whole.select(picked))


def test_batches_are_the_whole(tmp_path):
    whole = make(6, 11)
    store = JacobianStore(tmp_path / "j").create(META)
    store.write("a", whole.select(whole.obs_id[:4]))
    store.write("b", whole.select(whole.obs_id[4:]))
    batches = list(store.batches(3))
    assert [b.obs_id.size for b in batches] == [3, 3, 3, 2]
    np.testing.assert_array_equal(
        sparse.vstack([b.matrix for b in batches]).toarray(), store.read().matrix.toarray()
    )
    assert list(store.obs_ids()) == sorted(whole.obs_id)


def test_an_observation_nothing_touches_is_kept(tmp_path):
    whole = make(1, 3)
    bare = Jacobian(
        matrix=sparse.csr_array((3, N_COL), dtype=np.float32),
        obs_id=whole.obs_id,
        grid=GRID,
        time_edges=EDGES,
    )
    store = JacobianStore(tmp_path / "j").create(META)
    store.write("a", bare)
    assert list(store.read().obs_id) == sorted(whole.obs_id)
    assert store.read().matrix.sum() == 0.0


def test_an_empty_store_reads_as_no_rows(tmp_path):
    read = JacobianStore(tmp_path / "j").create(META).read()
    assert read.matrix.shape == (0, N_COL)


def test_unknown_standard_errors_are_nan(tmp_path):
    store = JacobianStore(tmp_path / "j").create(META)
    store.write("a", make(1, 3).select(["s:000"]))
    store.write("b", make(1, 3, stderr=False).select(["s:001"]))
    stderr = store.read().stderr
    assert np.isfinite(stderr[[0]].data).all()
    assert np.isnan(stderr[[1]].data).all()


def test_a_part_replaces_itself_and_its_old_background(tmp_path):
    store = JacobianStore(tmp_path / "j").create(META)
    store.write("a", make(1, 3))
    store.write("a", make(2, 3, boundary=False))
    assert store.parts() == ["a"]
    assert store.read().boundary is None
    assert store.read().matrix.sum() == pytest.approx(make(2, 3).matrix.sum(), rel=1e-6)


def test_an_unfinished_part_is_not_there(tmp_path, monkeypatch):
    store = JacobianStore(tmp_path / "j").create(META)

    def killed(table, path, **_):
        path = str(path)
        if "sensitivity" in path:
            with open(path, "wb") as stream:
                stream.write(b"PAR1half")
            raise KeyboardInterrupt
        pq_write(table, path)

    pq_write = pq.write_table
    monkeypatch.setattr(pq, "write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        store.write("a", make(1, 3))
    monkeypatch.undo()
    assert store.parts() == []
    assert store.read().obs_id.size == 0
    assert [p.name for p in (store.path / "sensitivity").iterdir()] == []


def _write_some(args):
    path, number = args
    store = JacobianStore(path).create(META)
    for k in range(3):
        ids = pa.array([f"w{number}k{k}"] * 4)
        sens = np.float32(number) + np.arange(4, dtype=np.float32)
        store.write_part(
            f"w{number}-{k}",
            pa.table({"obs_id": ids, "time_bin": [0] * 4, "cell": range(4), "sensitivity": sens}),
        )


def test_several_processes_write_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_write_some, [(str(tmp_path / "j"), i) for i in range(4)])
    store = JacobianStore(tmp_path / "j")
    assert len(store.parts()) == 12
    assert store.read().matrix.sum() == pytest.approx(3 * sum(4 * i + 6 for i in range(4)))


def test_a_missing_observation_is_named(tmp_path):
    store = JacobianStore(tmp_path / "j").create(META)
    store.write("a", make(1, 3))
    with pytest.raises(
        SchemaError, match=r"no footprint of 1 of 2 observations, the first 's:0099'; nearest: 's:00"
    ):
        store.read(["s:001", "s:0099"])
    with pytest.raises(
        SchemaError, match="asked for: 1 observations occur more than once, the first 's:001'"
    ):
        store.read(["s:001", "s:001"])


def test_an_observation_in_two_parts_is_an_error(tmp_path):
    store = JacobianStore(tmp_path / "j").create(META)
    store.write("a", make(1, 3))
    store.write("b", make(1, 2))
    with pytest.raises(SchemaError, match=r"in two parts.*'s:000'"):
        store.read()


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"cell": [24]}, "cell must lie within 0 and 23, found 24"),
        ({"cell": [-1]}, "cell must lie within"),
        ({"time_bin": [6]}, "time_bin must lie within 0 and 5"),
        ({"sensitivity": [float("nan")]}, "must be finite"),
        ({"area": [1.0]}, "unknown column 'area'"),
    ],
)
def test_bad_sensitivities_are_refused(tmp_path, columns, text):
    store = JacobianStore(tmp_path / "j").create(META)
    good = {"obs_id": ["x"], "time_bin": [0], "cell": [0], "sensitivity": [1.0]}
    with pytest.raises(SchemaError, match=text):
        store.write_part("a", pa.table(good | columns))
    assert store.parts() == []


def test_a_position_twice_is_refused(tmp_path):
    store = JacobianStore(tmp_path / "j").create(META)
    table = pa.table(
        {"obs_id": ["x", "y", "x"], "time_bin": [1] * 3, "cell": [2] * 3, "sensitivity": [1.0] * 3}
    )
    with pytest.raises(SchemaError, match="'x' has two sensitivities in bin 1, cell 2"):
        store.write_part("a", table)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"side": ["up"]}, "unknown side 'up'"),
        ({"share": [-0.5]}, "not negative"),
        ({"time_bin": [9]}, "background time_bin"),
        ({"obs_id": ["other"]}, "background of 'other', which has no sensitivity rows"),
    ],
)
def test_bad_backgrounds_are_refused(tmp_path, columns, text):
    store = JacobianStore(tmp_path / "j").create(META)
    sens = pa.table({"obs_id": ["x"], "time_bin": [0], "cell": [0], "sensitivity": [1.0]})
    good = {"obs_id": ["x"], "side": ["top"], "time_bin": [0], "share": [1.0]}
    with pytest.raises(SchemaError, match=text):
        store.write_part("a", sens, pa.table(good | columns))


def test_two_background_values_are_refused(tmp_path):
    store = JacobianStore(tmp_path / "j").create(META)
    sens = pa.table({"obs_id": ["x"], "time_bin": [0], "cell": [0], "sensitivity": [1.0]})
    beside = {"obs_id": ["x", "x"], "side": ["top", "east"], "time_bin": [0, 0], "share": [0.5, 0.5]}
    with pytest.raises(SchemaError, match="two background values"):
        store.write_part("a", sens, pa.table(beside | {"background": [400.0, 401.0]}))


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a b", "x/y"])
def test_part_names_stay_in_the_folder(tmp_path, name):
    store = JacobianStore(tmp_path / "j").create(META)
    with pytest.raises(SchemaError, match="part's name"):
        store.write("" + name, make(1, 1))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"grid": Grid.regular(30, 34, 110, 116, 2, 2)}, "made with grid"),
        ({"time_edges": EDGES[::2]}, "made with time_edges"),
        ({"species": "CO2"}, 'made with species null, asked for "CO2"'),
        ({"model": "other"}, "made with model"),
    ],
)
def test_a_store_is_made_once(tmp_path, change, text):
    store = JacobianStore(tmp_path / "j").create(META)
    assert store.create(META).grid == GRID
    with pytest.raises(SchemaError, match=text):
        store.create(META | change)


@pytest.mark.parametrize(
    ("meta", "error", "text"),
    [
        ({"kind": "computed"}, SchemaError, "lacks grid, time_edges, model"),
        (META | {"kind": "guessed"}, SchemaError, "kind 'guessed' is not one of computed, read, emulated"),
        (META | {"unit": "ppb / (umol m-2 s-1)"}, UnitError, "0.001 times that"),
        (META | {"unit": "furlong"}, UnitError, "dimensions differ"),
        (META | {"time_edges": EDGES[:1]}, GridError, "two or more"),
        (META | {"time_edges": EDGES[::-1]}, GridError, "increasing"),
    ],
)
def test_bad_meta_is_refused(tmp_path, meta, error, text):
    with pytest.raises(error, match=text):
        JacobianStore(tmp_path / "j").create(meta)


@pytest.mark.parametrize("unit", [UNIT, "ppb / (nmol m-2 s-1)", "(mol/mol)/(mol/m2/s)", "ppm (umol-1 m2 s)"])
def test_spellings_of_the_unit_are_one(tmp_path, unit):
    assert JacobianStore(tmp_path / "j").create(META | {"unit": unit}).read().unit == unit


def test_a_folder_without_a_jacobian(tmp_path):
    with pytest.raises(FormatError, match=r"no Jacobian here \(meta.json is missing\)"):
        JacobianStore(tmp_path / "nowhere").read()
    (tmp_path / "meta.json").write_text("{half")
    with pytest.raises(FormatError, match="cannot be read"):
        JacobianStore(tmp_path).read()
    (tmp_path / "meta.json").write_text('{"version": "99"}')
    with pytest.raises(FormatError, match="not a Jacobian of version"):
        JacobianStore(tmp_path).read()


@settings(max_examples=15)
@given(st.integers(0, 1000), st.integers(20, 3000))
def test_a_damaged_part_is_an_error_that_names_it(tmp_path_factory, seed, cut):
    store = JacobianStore(tmp_path_factory.mktemp("j")).create(META)
    store.write("a", make(seed, 6))
    path = store.path / "sensitivity" / "a.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: min(cut, len(data) - 1)])
    with pytest.raises(FormatError, match=r"a\.parquet|cannot be read"):
        store.read()


def test_shapes_are_checked():
    good = make(1, 3)
    with pytest.raises(GridError, match=r"Jacobian.matrix must have shape \(2, 144\), found \(3, 144\)"):
        Jacobian(good.matrix, good.obs_id[:2], GRID, EDGES)
    with pytest.raises(SchemaError, match="more than once"):
        Jacobian(good.matrix, np.array(["a", "a", "b"]), GRID, EDGES)


def test_wide_columns_use_wide_indices(tmp_path):
    edges = np.arange(np.datetime64("2024-01-01", "h"), later(np.datetime64("2024-01-01", "h"), 2501)).astype(
        "datetime64[us]"
    )
    grid = Grid.regular(-90, 90, -180, 180, 0.2, 0.2)
    store = JacobianStore(tmp_path / "j").create(META | {"grid": grid, "time_edges": edges})
    store.write_part(
        "a", pa.table({"obs_id": ["x"], "time_bin": [2499], "cell": [grid.size - 1], "sensitivity": [1.0]})
    )
    matrix = store.read().matrix
    assert matrix.indices[0] == 2500 * grid.size - 1 > 2**31
