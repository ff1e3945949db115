"""CarbonTracker-Lagrange foot1 and HYSPLIT cdump."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion.transport.readers import ReaderOptions, Receptor, open_footprints, read
from inversion.transport.readers.ctlagrange import parse_name
from inversion.transport.readers.hysplit import read_dump
from obsnet.errors import FormatError, UnitError
from obsnet.grid import Grid
from tests.inversion.transport import formats
from tests.inversion.transport.formats import T0

HOUR = np.timedelta64(1, "h")
NAME = "foot2024x04x02x06x33.40Nx113.30Ex00025.nc"


@given(st.booleans(), st.sampled_from(["begin", "end"]), st.sampled_from(["f8", "f4"]))
def test_both_orders_of_dimensions_and_both_labels(tmp_path_factory, swap, label, kind):
    values = formats.field(1, 5)
    path = formats.foot1(tmp_path_factory.mktemp("c") / NAME, values, swap=swap, label=label, kind=kind)
    data = read(path)
    np.testing.assert_array_equal(data.sensitivity.values[0], values)
    assert data.step_end.values[0, -1] == T0
    assert data.step_start.values[0, 0] == T0 - 5 * HOUR
    assert (data.receptor_lat.item(), data.receptor_lon.item(), data.receptor_height.item()) == (
        33.4,
        113.3,
        25.0,
    )


def test_names_of_the_format():
    from pathlib import Path

    # the sample names of the producers' read-me
    wlef = parse_name(Path("foot2013x01x31x08x45.95Nx090.27Wx00011.nc"))
    assert (wlef.latitude, wlef.longitude, wlef.height_m) == (45.95, -90.27, 11.0)
    assert wlef.time == np.datetime64("2013-01-31T08")
    stilt = parse_name(Path("stilt2012x06x01x09x16x40.0500Nx105.0040Wx00300.nc"))
    assert stilt.time == np.datetime64("2012-06-01T09:16")
    south = parse_name(Path("hysplit2018x04x08x15x15x38.7459Sx077.5584Ex00594.nc"))
    assert (south.latitude, south.longitude) == (-38.7459, 77.5584)


def test_a_receptor_within_the_hour(tmp_path):
    when = np.datetime64("2024-04-02T06:45", "us")
    path = formats.foot1(
        tmp_path / "foot2024x04x02x06x45x33.40Nx113.30Ex00025.nc", formats.field(1, 3), receptor=when
    )
    data = read(path)
    assert data.step_end.values[0, -1] == when


def test_names_and_labels_that_do_not_fit(tmp_path):
    with pytest.raises(FormatError, match="stands only in its name"):
        read(formats.foot1(tmp_path / "a.nc", formats.field(1, 3)))
    with pytest.raises(FormatError, match=r"neither the beginning nor the end.*--label"):
        read(formats.foot1(tmp_path / "foot2024x04x02x12x33.40Nx113.30Ex00025.nc", formats.field(1, 3)))
    data = read(tmp_path / "foot2024x04x02x12x33.40Nx113.30Ex00025.nc", ReaderOptions(label="begin"))
    assert data.step_end.values[0, -1] == T0
    with pytest.raises(FormatError, match="in the name is no time"):
        read(formats.foot1(tmp_path / "foot2024x04x31x06x33.40Nx113.30Ex00025.nc", formats.field(1, 3)))


def test_foot1_without_a_unit_and_with_holes(tmp_path):
    path = formats.foot1(tmp_path / NAME, formats.field(1, 3), unit=None)
    with pytest.raises(UnitError, match="'foot1' has no unit"):
        read(path)
    values = formats.field(1, 3)
    values[0, 0, 0] = -1e34
    with pytest.raises(FormatError, match="1 of 504 sensitivities missing"):
        read(formats.foot1(tmp_path / NAME, values))


# --- HYSPLIT ---


def test_real_cdump(sample_data):
    one = read_dump(sample_data / "transport/hysplit/cdump_isoch.bin")
    assert one.values.shape == (12, 1, 1, 301, 601)
    assert (one.model, one.species, one.levels.tolist()) == ("GFSG", ["C137"], [500])
    assert one.start[0] == np.datetime64("2016-01-07T12")
    assert one.end[0] == np.datetime64("2016-01-07T18")
    # the first record holds 5 points, the second 38, the third 86 (counts in the file)
    assert [(v != 0).sum() for v in one.values[:3, 0, 0]] == [5, 38, 86]
    assert (one.lat[0], one.lon[0], one.lat[1] - one.lat[0]) == (0.0, -156.0, pytest.approx(0.3))
    assert [r["height_m"] for r in one.releases] == [10.0, 500.0]
    two = read_dump(sample_data / "transport/hysplit/cdump_two_pollutants")
    assert two.values.shape == (1, 2, 2, 601, 601)
    assert two.species == ["TEST", "MORE"]
    assert [(v != 0).sum() for v in two.values[0].reshape(4, -1)] == [854, 1067, 920, 1143]
    assert two.start[0] == np.datetime64("1983-09-25T17")
    # the plume starts at the release: 39.9 N, 84.22 W
    j, i = np.unravel_index(two.values[0, 0, 0].argmax(), (601, 601))
    assert two.lat[j] == pytest.approx(39.9, abs=0.5)
    assert two.lon[i] == pytest.approx(-84.2, abs=0.5)


@pytest.mark.parametrize("name", ["cdump_isoch.bin", "cdump_two_pollutants"])
def test_real_forward_runs_are_no_footprint(sample_data, name):
    with pytest.raises(FormatError, match="of a forward run are no footprint"):
        open_footprints(sample_data / "transport/hysplit" / name)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("levels", [(100,), (100, 500)])
def test_backward_dumps(tmp_path, packed, levels):
    values = formats.field(2, 4)
    path = formats.cdump(tmp_path / "cdump", values, packed=packed, levels=levels)
    data = read(path, ReaderOptions(unit="ppm / (umol m-2 s-1)"))
    np.testing.assert_array_equal(data.sensitivity.values[0], values)
    assert data.step_end.values[0, -1] == T0
    assert data.step_start.values[0, 0] == T0 - 4 * HOUR
    assert data.receptor_height.item() == 25.0


def test_mass_concentrations_become_a_footprint(tmp_path):
    """Air that stays in the lowest level over one cell has sensitivity M dt / (h rho), no more, no less."""
    grid = Grid.from_centres(formats.LAT, formats.LON)
    mass, rho, height = 2.0, 1.2, 100.0
    values = np.zeros((3, 12, 14), np.float32)
    values[:, 6, 7] = mass / (grid.cell_area[6, 7] * height)  # all of the released mass in that cell's level
    path = formats.cdump(tmp_path / "cdump", values)
    data = read(path, ReaderOptions(released_mass=mass, source_density=rho))
    np.testing.assert_allclose(
        data.sensitivity.values[0, :, 6, 7], 0.0289647 * 3600 / (height * rho), rtol=1e-5
    )


def test_a_dump_does_not_say_its_unit(tmp_path):
    path = formats.cdump(tmp_path / "cdump", formats.field(2, 2))
    with pytest.raises(UnitError, match="does not say its unit"):
        read(path)
    with pytest.raises(FormatError, match="forward"):
        read(
            formats.cdump(tmp_path / "c2", formats.field(2, 2), backward=False),
            ReaderOptions(unit="ppm m2 s umol-1"),
        )


@given(st.integers(4, 3000))
def test_cut_dumps_are_clear_errors(tmp_path_factory, cut):
    whole = formats.cdump(tmp_path_factory.mktemp("d") / "cdump", formats.field(2, 4))
    data = whole.read_bytes()
    whole.write_bytes(data[: min(cut, len(data) - 1)])
    with pytest.raises(FormatError, match=r"is the file cut off|no sampling interval|no footprint format"):
        read(whole, ReaderOptions(unit="ppm m2 s umol-1"))


def test_a_given_receptor_is_for_formats_that_need_one(tmp_path):
    path = formats.foot1(tmp_path / "a.nc", formats.field(1, 3))
    assert read(path, ReaderOptions(receptor=Receptor(T0, 33.0, 113.0, 7.0))).receptor_height.item() == 7.0
