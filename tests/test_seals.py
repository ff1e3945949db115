"""Own files whose bytes changed are never believed: one line names the file, or nothing was lost."""

from __future__ import annotations

import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr

from inversion.case.outputs.restart import kept_arrays, load_posterior, save_posterior
from inversion.jacobian.store import JacobianStore
from inversion.solvers.choose import solve
from inversion.transport.files.writers import write_cf
from inversion.transport.readers import open_footprints
from obsnet import schema
from obsnet.cf import read_flux, read_netcdf
from obsnet.errors import FormatError, ObsnetError, SchemaError
from obsnet.parquet import read_table, write_table
from obsnet.seal import check_file, check_parquet, read_json, seal_file, sealed_json
from obsnet.store import GranuleIndex, ObservationStore, read_part
from stations.record.file import read_record, write_record
from tests.cases import _footprints, _prior
from tests.inversion.world import make_world
from tests.obsnet.observations import table
from tests.stations.dialects import noaa_text, read_text, simple


def part(folder):
    store = ObservationStore(folder / "store")
    time = np.datetime64("2019-01-30T00:00", "us") + np.arange(40) * np.timedelta64(1, "m")
    (path,) = store.write(table(rows=40, levels=20, seed=3, time=time))
    return path, lambda: store.read("CO2")


def narrow_part(folder):
    """Columns that were not asked for may change unseen: nothing of them is read."""
    path, _ = part(folder)
    return path, lambda: read_part(path, ["time", "value"])


def sensitivity(folder):
    _footprints(folder / "footprints")
    store = JacobianStore(folder / "footprints")
    return store.path / "sensitivity" / "part.parquet", lambda: _arrays(store.read())


def background(folder):
    path, read = sensitivity(folder)
    return path.parents[1] / "background" / path.name, read


def meta(folder):
    path, read = sensitivity(folder)
    return path.parents[1] / "meta.json", read


def _arrays(jacobian):
    matrices = [m for m in (jacobian.matrix, jacobian.stderr, jacobian.boundary) if m is not None]
    arrays = [a for m in matrices for a in (m.data, m.indices, m.indptr)]
    edges = [jacobian.time_edges, jacobian.grid.lat_edges, jacobian.grid.lon_edges]
    return [a.tolist() for a in (*arrays, *edges, jacobian.obs_id)]


def index(folder):
    where = GranuleIndex(folder / "_index")
    row = {"path": "a.nc", "size": 3, "sha256": "0" * 64, "file_id": "0" * 16, "soundings": 5, "good": 2}
    where.write([row | {"status": "done", "species": "CO2"}], "w")
    return where.path / "w.parquet", where.read


def flux(folder):
    _prior(folder / "prior.nc")
    return folder / "prior.nc", lambda: read_flux(folder / "prior.nc").drop_attrs()


def own_netcdf(folder):
    _prior(folder / "prior.nc")
    return folder / "prior.nc", lambda: read_netcdf(folder / "prior.nc").load()


def record(folder):
    made = read_text(noaa_text(simple(30)))
    write_record(made, folder / "r.nc")
    return folder / "r.nc", lambda: read_record(folder / "r.nc")


def footprint_file(folder):
    _footprints(folder / "footprints")
    write_cf(folder / "f.nc", open_footprints(folder / "footprints"))
    return folder / "f.nc", lambda: open_footprints(folder / "f.nc").read().load()


def restart(folder):
    problem = make_world(n=20).assemble().problem
    posterior = solve(problem, method="dual")
    assert save_posterior(posterior, folder / "restart.npz")

    def read():
        found = load_posterior(folder / "restart.npz", problem)
        return posterior.mean.tolist() if found is None else found.mean.tolist()

    return folder / "restart.npz", read


def kept(folder):
    posterior = solve(make_world(n=20).assemble().problem, method="cg")
    keep, made = kept_arrays(folder / "kept", posterior), np.linspace(0.0, 1.0, 60)
    keep("gain", lambda: made)
    (path,) = (folder / "kept").iterdir()
    return path, lambda: keep("gain", lambda: made).tolist()


KINDS = (
    part,
    narrow_part,
    sensitivity,
    background,
    meta,
    index,
    flux,
    own_netcdf,
    record,
    footprint_file,
    restart,
    kept,
)


def outcome(read):
    """Return what was read, or what was said instead."""
    try:
        return read(), ""
    except ObsnetError as error:
        return None, str(error)


def same(one, other):
    return one.identical(other) if isinstance(one, xr.Dataset) else one == other


@pytest.mark.parametrize("kind", KINDS, ids=lambda f: f.__name__)
def test_a_flipped_bit_is_noticed_or_harmless(kind, tmp_path):
    path, read = kind(tmp_path)
    whole, before = path.read_bytes(), read()
    assert same(read(), before)
    rng = np.random.default_rng(len(whole))
    ends = np.arange(min(len(whole), 120))  # marks, seal, footer
    places = np.unique(np.concatenate([ends, len(whole) - 1 - ends, rng.integers(0, len(whole), 120)]))
    noticed = 0
    for place in places.tolist():
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(changed)
        after, said = outcome(read)
        if said:
            noticed += 1
            assert "\n" not in said
            # a folder that has nothing readable left names the folder
            assert str(path) in said or str(path.parents[1]) in said
        else:
            assert same(after, before), f"bit of byte {place} of {len(whole)} changed the answer unseen"
    path.write_bytes(whole)
    assert same(read(), before)
    if kind not in (
        narrow_part,
        restart,
        kept,
        meta,
    ):  # what is kept of an answer is computed anew; meta.json has layout and names
        assert noticed > 0.85 * places.size


@pytest.mark.parametrize("kind", [part, own_netcdf, restart], ids=lambda f: f.__name__)
def test_a_seal_that_was_damaged_is_told_from_none(kind, tmp_path):
    """Along with the content, which nothing would hold then."""
    path, _ = kind(tmp_path)
    whole = path.read_bytes()
    mark = max(whole.rfind(b"OBSNETs1"), whole.rfind(b"OBSNETp1"))
    path.write_bytes(whole[:mark] + b"OBSNEXX1" + whole[mark + 8 :])
    with pytest.raises(FormatError, match="its seal changed"):
        check_parquet(path) if kind is part else check_file(path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda f: f.__name__)
def test_a_file_cut_short_is_noticed(kind, tmp_path):
    path, read = kind(tmp_path)
    whole, before = path.read_bytes(), read()
    for share in (0.0, 0.2, 0.6, 0.97):
        path.write_bytes(whole[: int(share * len(whole))])
        after, said = outcome(read)
        assert path.name in said or str(path.parents[1]) in said or same(after, before)


def changed_part(folder, change):
    path, read = part(folder)
    stored = pq.ParquetFile(path).read()
    write_table(change(stored), path)
    return path, read


def without(name):
    return lambda t: t.drop_columns([name])


def says(**new):
    def change(stored):
        said = stored.schema.metadata | {f"obsnet:{k}".encode(): v for k, v in new.items() if v is not None}
        for k, v in new.items():
            if v is None:
                del said[f"obsnet:{k}".encode()]
        return stored.replace_schema_metadata(said)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (without("quality"), "observations table lacks quality"),
        (without("value"), "observations table lacks value"),
        (says(unit=b"1e-9"), "values in 1e-9, must be in 1e-6"),
        (says(unit=None), "values in None, must be in 1e-6"),
        (says(version=b"7"), "version 7 of observations, this program reads"),
        (says(contract=b"sensitivity"), "holds sensitivity, not observations"),
        (lambda t: t.append_column("more", t["value"]), "unknown column 'more'"),
        (
            lambda t: t.set_column(t.schema.get_field_index("value"), "value", t["value"].cast("float32")),
            "value is float, not double",
        ),
    ],
)
def test_a_part_that_breaks_its_contract_is_refused(tmp_path, change, text):
    path, read = changed_part(tmp_path, change)
    for call in (read, lambda: read_part(path, ["time", "value"])):
        with pytest.raises(SchemaError, match=text) as caught:
            call()
        assert str(path) in str(caught.value)


def test_a_jacobian_of_another_version_is_refused(tmp_path):
    path, read = sensitivity(tmp_path)
    write_table(says(version=b"0")(pq.ParquetFile(path).read()), path)
    with pytest.raises(SchemaError, match="version 0 of sensitivity"):
        read()


def test_what_another_program_wrote_is_held_to_the_contract_only(tmp_path):
    path, read = part(tmp_path)
    before = read()
    pq.write_table(pq.ParquetFile(path).read(), path)
    assert read() == before
    check_parquet(path)


def test_as_many_bytes_of_another_program_are_no_damaged_seal(tmp_path):
    """A zip's comment as long as a seal; filters between columns and footer, as DuckDB has them."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a", "text")
        file.comment = b"c" * 40
    assert not check_file(tmp_path / "a.zip")
    path, _ = part(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"parquet-cpp-arrow", b"parquet-cpp-other").replace(b"OBSNETp1", bytes(8)))
    check_parquet(path)


def test_texts_of_another_program_are_texts(tmp_path):
    """Arrow reads what is no UTF-8 without a word, and whoever looks at it fails."""
    path, read = part(tmp_path)
    pq.write_table(pq.ParquetFile(path).read(), path, compression="none", use_dictionary=False)
    text = pq.ParquetFile(path).read(["obs_id"])["obs_id"][0].as_py().encode()
    path.write_bytes(path.read_bytes().replace(text, b"\xf6" + text[1:]))
    with pytest.raises(FormatError, match="Parquet"):
        read()


def test_a_netcdf_file_that_another_program_changed_is_that_programs(tmp_path):
    import netCDF4

    path, read = own_netcdf(tmp_path)
    check_file(path)
    with netCDF4.Dataset(path, "a") as nc:
        nc["flux"][0, 0, 0, 0] = 1e-5
    assert float(read()["flux"][0, 0, 0, 0]) == 1e-5


def test_only_the_columns_asked_for_are_verified(tmp_path):
    path, read = part(tmp_path)
    footer = pq.read_metadata(path).row_group(0)
    kernel = next(c for c in map(footer.column, range(footer.num_columns)) if "averaging" in c.path_in_schema)
    content = bytearray(path.read_bytes())
    content[kernel.data_page_offset + 40] ^= 4
    path.write_bytes(content)
    assert len(read_part(path, ["value"])) == 40
    store = ObservationStore(tmp_path / "store")
    assert len(store.read("CO2", columns=["value"])) == 40
    for call in (read, lambda: read_part(path, ["averaging_kernel"])):
        with pytest.raises(FormatError, match="column 'averaging_kernel' changed since the file was written"):
            call()


def test_json_keeps_its_own_hash(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(sealed_json({"edges": [0.1, 0.2], "name": "排放"}))
    assert read_json(path) == {"edges": [0.1, 0.2], "name": "排放"}
    path.write_text(path.read_text().replace("0.2", "0.3"))
    with pytest.raises(FormatError, match="its content changed since"):
        read_json(path)
    path.write_text('{"edges": [0.1]}')  # by hand
    assert read_json(path) == {"edges": [0.1]}
    path.write_text("[1]")
    with pytest.raises(FormatError, match="no JSON object"):
        read_json(path)


def test_a_seal_of_an_empty_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"")
    check_file(path)
    seal_file(path)
    check_file(path)
    check_file(tmp_path / "none")


def test_an_index_part_of_another_contract_is_refused(tmp_path):
    path, _ = part(tmp_path)
    with pytest.raises(SchemaError, match="granule_index table lacks path"):
        read_table(path, schema.GRANULE_INDEX)
