"""Files with a part missing or damaged: whatever happens, the user gets a clear error and not a traceback."""

from __future__ import annotations

import shutil

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.transport.files.summary import summary
from inversion.transport.files.writers import write_cf
from inversion.transport.readers import ReaderOptions, open_footprints
from obsnet.errors import ObsnetError
from tests.inversion.transport import formats

STILT = "202404020600_113.3_33.4_25_foot.nc"
FOOT1 = "foot2024x04x02x06x33.40Nx113.30Ex00025.nc"
MAKES = ("stilt", "flexpart", "acrg", "paris", "foot1", "cf")
OPTIONS = ReaderOptions(source_density=1.1, receptor_density=1.1, unit=None)


def make(folder, name):
    """Write one synthetic file of a format."""
    parts = np.stack([formats.field(k, 3) for k in range(2)]), formats.field(9, 2)
    if name == "stilt":
        return formats.stilt(folder / STILT, formats.field(1, 3))
    if name == "flexpart":
        return formats.flexpart(folder / "grid_time.nc", formats.field(1, 3)[None])
    if name == "foot1":
        return formats.foot1(folder / FOOT1, formats.field(1, 3))
    if name == "cf":
        write_cf(folder / "cf.nc", open_footprints(formats.openghg(folder / "a.nc", *parts)))
        return folder / "cf.nc"
    return formats.openghg(folder / f"{name}.nc", *parts, style=name)


def copy_without(source, target, *, variable=None, attribute=None, values=None):
    """Copy a netCDF file, leaving out a variable or an attribute, or with a variable's values spoilt."""
    with netCDF4.Dataset(source) as old, netCDF4.Dataset(target, "w") as new:
        for name, dimension in old.dimensions.items():
            new.createDimension(name, None if dimension.isunlimited() else dimension.size)
        for name, var in old.variables.items():
            if name == variable and values is None:
                continue
            fill = getattr(var, "_FillValue", None)
            out = new.createVariable(name, var.dtype, var.dimensions, fill_value=fill)
            kept = {k: var.getncattr(k) for k in var.ncattrs() if k != "_FillValue"}
            out.setncatts({k: v for k, v in kept.items() if (name, k) != attribute})
            out[...] = values if name == variable else var[...]
        new.setncatts({k: old.getncattr(k) for k in old.ncattrs() if ("", k) != attribute})
    return target


def survives(path) -> str | None:
    """Read everything of a file; return the error text of a clean refusal, None when it could be read."""
    try:
        summary(open_footprints(path, OPTIONS))
    except ObsnetError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", MAKES)
def test_a_missing_variable_or_attribute_is_a_clear_error(tmp_path, name):
    source = make(tmp_path, name)
    (tmp_path / "x").mkdir()
    target = tmp_path / "x" / source.name
    assert survives(source) is None
    with netCDF4.Dataset(source) as nc:
        variables = list(nc.variables)
        attributes = [(v, a) for v in variables for a in nc[v].ncattrs() if a != "_FillValue"] + [
            ("", a) for a in nc.ncattrs()
        ]
    refused = 0
    for variable in variables:
        error = survives(copy_without(source, target, variable=variable))
        refused += error is not None
        if error:
            assert str(target) in error
    assert refused >= 3
    for attribute in attributes:
        survives(copy_without(source, target, attribute=attribute))


@pytest.mark.parametrize("name", MAKES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_spoilt_numbers_are_a_clear_error(tmp_path, name, value):
    source = make(tmp_path, name)
    (tmp_path / "x").mkdir()
    target = tmp_path / "x" / source.name
    with netCDF4.Dataset(source) as nc:
        numbers = [k for k, v in nc.variables.items() if v.dtype is not str and v.dtype.kind == "f"]
    for variable in numbers:
        survives(copy_without(source, target, variable=variable, values=value))


@settings(max_examples=30)
@given(st.sampled_from(MAKES), st.floats(0.0, 1.0), st.binary(min_size=1, max_size=64))
def test_damaged_bytes_are_a_clear_error(tmp_path_factory, name, place, junk):
    folder = tmp_path_factory.mktemp("d")
    source = make(folder, name)
    data = bytearray(source.read_bytes())
    at = int(place * (len(data) - 1))
    shutil.copy(source, folder / "good")
    source.write_bytes(data[:at])
    assert survives(source) is not None
    data[at : at + len(junk)] = junk
    source.write_bytes(data)
    survives(source)
