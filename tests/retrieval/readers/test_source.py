"""Containers: HDF5, netCDF-3, text; broken files; reading only what is wanted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import netcdf_file

from obsnet.errors import FormatError, MissingVariableError
from retrieval.readers.source import block_rows, open_source
from tests.retrieval import synthetic


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", r"empty file \(0 bytes\)"),
        (b"this is text\nand more", "not an HDF5 or netCDF file; it begins with 'this is text'"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "broken HDF5 file"),
        (b"CDF\x01" + b"\0" * 3, "broken netCDF-3 file"),
        (b"\x00\x01\x02\x03" * 20, "not an HDF5 or netCDF file"),
        (b"\x1f\x8b\x08" + b"0" * 20, r"is packed \(gzip\); unpack it first"),
    ],
)
def test_broken_files_say_why(tmp_path, content, why):
    path = tmp_path / "granule.nc4"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=why):
        open_source(path)


def test_absent_file(tmp_path):
    with pytest.raises(FormatError, match="cannot be opened"):
        open_source(tmp_path / "nothing.nc")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_truncated_granule(tmp_path, share):
    path = synthetic.write(tmp_path / "whole.nc4", *synthetic.lite(400))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError, match="broken HDF5 file"):
        open_source(path)


def test_damage_inside_a_variable(tmp_path):
    variables, attributes = synthetic.lite(400)
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes, chunk=400, compress=4)
    import h5py

    with h5py.File(path) as file:
        info = file["xco2"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[info.byte_offset : info.byte_offset + info.size] = b"\xff" * info.size
    path.write_bytes(bytes(content))
    with open_source(path) as source, pytest.raises(FormatError, match="xco2 cannot be read"):
        source.read("xco2")


def test_missing_variable_names_the_nearest(tmp_path):
    path = synthetic.write(tmp_path / "a.nc4", *synthetic.lite(5))
    with (
        open_source(path) as source,
        pytest.raises(MissingVariableError, match="no variable 'xco'; nearest: 'xco2'"),
    ):
        source.read("xco")


def test_group_is_no_variable(tmp_path):
    path = synthetic.write(tmp_path / "a.nc4", *synthetic.lite(5))
    with open_source(path) as source:
        assert "Retrieval" not in source
        assert "Retrieval/psurf" in source


def test_netcdf3(tmp_path):
    path = tmp_path / "a.nc"
    with netcdf_file(path, "w") as file:
        file.createDimension("n", 4)
        file.title = "SYNTHETIC"
        variable = file.createVariable("xco2", "f4", ("n",))
        variable.units = "ppm"
        variable[:] = [400, 401, 402, 403]
    with open_source(path) as source:
        assert source.names() == ["xco2"]
        assert source.attributes() == {"title": "SYNTHETIC"}
        assert source.attributes("xco2") == {"units": "ppm"}
        assert source.read("xco2", (slice(1, 3),)).tolist() == [401, 402]


def test_text_table_with_units_attributes_and_profiles(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "# platform = DQ-1\n# unit xco2 = ppm\ntime,xco2,w_1,w_2,w_10\n2022-05-01T00:00:00,410.5,0.1,0.2,0.7\n"
        "2022-05-01T00:00:07,411.5,0.2,0.2,0.6\n"
    )
    with open_source(path) as source:
        assert source.attributes()["platform"] == "DQ-1"
        assert source.attributes("xco2") == {"units": "ppm"}
        assert source.read("w").tolist() == [[0.1, 0.2, 0.7], [0.2, 0.2, 0.6]]
        assert source.shape("w") == (2, 3)


def test_text_that_is_no_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(FormatError, match="not a delimited text table"):
        open_source(path)


@given(
    st.integers(1, 300).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(1, 64), st.lists(st.integers(0, n - 1), unique=True))
    )
)
def test_block_rows_equals_plain_indexing_and_reads_only_what_it_must(case):
    length, chunk, wanted = case
    rows = np.array(sorted(wanted), dtype=int)
    data = np.arange(length * 3).reshape(length, 3)
    touched = []

    def read(part):
        touched.extend(range(part.start, part.stop))
        return data[part]

    np.testing.assert_array_equal(block_rows(read, rows, length, chunk), data[rows])
    allowed = set(np.unique(rows // chunk).tolist())
    assert {t // chunk for t in touched} <= allowed
    assert len(touched) == len(set(touched))
