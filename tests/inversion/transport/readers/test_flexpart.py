"""FLEXPART grid_time: what the switches make of the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from inversion.transport.readers import ReaderOptions, open_footprints, read
from inversion.transport.readers.flexpart import UNITS, standard_density
from obsnet.errors import ConfigError, FormatError, UnitError
from tests.inversion.transport import formats
from tests.inversion.transport.formats import T0

MOLAR_MASS = 0.0289647  # kg mol-1
HEIGHT = 150.0  # m, top of the synthetic file's lowest layer
HOUR = np.timedelta64(1, "h")
HALF = np.timedelta64(30, "m")


@pytest.mark.parametrize(("ctl", "total"), [("-5", 0.68), ("10", 1.14)])
def test_real_totals_and_the_ctl_warning(sample_data, ctl, total):
    # reference/transport.md 1.2: 1.14 with CTL = 10 against 0.68 with -5 on identical meteorology
    opened = open_footprints(sample_data / f"transport/flexpart11/grid_time_20240101120000_ctl{ctl}.nc")
    data = opened.read()
    assert float(data.sensitivity.sum()) == pytest.approx(total, abs=0.005)
    assert any("CTL was negative" in n for n in opened.notes) == (ctl == "-5")
    assert (data.receptor_lat.item(), data.receptor_lon.item(), data.receptor_height.item()) == (
        20.0,
        10.0,
        50.0,
    )
    assert data.receptor_start.values[0] == np.datetime64("2024-01-01T11")
    assert data.receptor_end.values[0] == np.datetime64("2024-01-01T12")


def test_real_residence_time_in_all_layers(sample_data):
    # Sum over cells and heights of s m3 kg-1 is 3600 s / mean density while particles stay inside:
    # 2671-2788 in the reference's run, so the lowest layer's share cannot exceed it.
    path = sample_data / "transport/flexpart11/grid_time_20240101120000_ctl10.nc"
    hourly = read(path).sensitivity.sum(("lat", "lon")).values[0] / MOLAR_MASS * 100.0
    assert (hourly < 2960).all()
    assert (hourly[:-1] > 0).all()


def test_steps_run_forward_and_end_with_the_run(tmp_path):
    values = formats.field(1, 4)
    data = read(formats.flexpart(tmp_path / "grid_time.nc", values[None]))
    np.testing.assert_allclose(data.sensitivity.values[0], values * MOLAR_MASS / HEIGHT, rtol=1e-6)
    assert data.step_end.values[0, -1] == T0
    assert data.step_start.values[0, 0] == T0 - 4 * HOUR
    assert data.receptor_time.values[0] == T0 - HALF


RHO_S = 1.1
RHO_R = 0.9


@pytest.mark.parametrize(
    ("switches", "unit", "divisor"),
    [
        ((1, 1), "s", RHO_R),
        ((1, 2), "s m3 kg-1", 1.0),
        ((2, 1), "s kg m-3", RHO_S * RHO_R),
        ((2, 2), "s", RHO_S),
    ],
)
def test_the_four_cases_of_the_switches(tmp_path, switches, unit, divisor):
    values = formats.field(2, 3)
    path = formats.flexpart(tmp_path / "grid_time.nc", values[None], switches=switches, unit=unit)
    data = read(path, ReaderOptions(source_density=RHO_S, receptor_density=RHO_R))
    np.testing.assert_allclose(data.sensitivity.values[0], values * MOLAR_MASS / HEIGHT / divisor, rtol=1e-6)
    assert data.attrs["unit_in_file"] == unit


def test_the_same_air_gives_the_same_footprint_whatever_the_switches(tmp_path):
    # Values in each unit follow from those in s m3 kg-1 by the densities.
    base = formats.field(3, 2)
    factors = {(1, 1): RHO_R, (1, 2): 1.0, (2, 1): RHO_S * RHO_R, (2, 2): RHO_S}
    made = []
    for switches, factor in factors.items():
        path = formats.flexpart(
            tmp_path / f"g{switches[0]}{switches[1]}.nc",
            base[None] * factor,
            switches=switches,
            unit=UNITS[switches][0],
        )
        made.append(
            read(path, ReaderOptions(source_density=RHO_S, receptor_density=RHO_R)).sensitivity.values
        )
    for other in made[1:]:
        np.testing.assert_allclose(other, made[0], rtol=1e-6)


@pytest.mark.parametrize(("switches", "unit", "name"), [((2, 2), "s", "source"), ((1, 1), "s", "receptor")])
def test_a_density_that_is_needed_is_asked_for(tmp_path, switches, unit, name):
    path = formats.flexpart(tmp_path / "g.nc", formats.field(2, 3)[None], switches=switches, unit=unit)
    with pytest.raises(ConfigError, match=f"need the air density at the {name}; give {name}_density"):
        open_footprints(path)
    opened = open_footprints(path, ReaderOptions(source_density="standard", receptor_density="standard"))
    assert any("standard atmosphere" in n for n in opened.notes)
    # Orography is 1000 m: density there 1.112 kg m-3, a little less in the middle of the layer or at 20 m.
    ratio = opened.read().sensitivity.values[0].sum() / (formats.field(2, 3).sum() * MOLAR_MASS / HEIGHT)
    assert 1 / ratio == pytest.approx(1.1035 if name == "source" else 1.1095, abs=0.0005)


def test_standard_density():
    # ISO 2533:1975, table 1
    np.testing.assert_allclose(
        standard_density([0, 1000, 5000, 11000]), [1.2250, 1.1116, 0.73612, 0.36392], rtol=3e-4
    )


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"unit": "s"}, UnitError, r"unit is 's', but ind_source = 1, ind_receptor = 2 make 's m3 kg-1'"),
        ({"switches": (0, 2)}, UnitError, r"\(0, 2\) are not a footprint's"),
        ({"ldirect": 1}, FormatError, "forward run .* holds concentrations"),
        ({"loutstep": -7200}, FormatError, r"steps of loutstep \(7200 s\)"),
        ({"iedate": "2024xx02"}, FormatError, "end of the run"),
    ],
)
def test_files_that_contradict_themselves(tmp_path, kwargs, error, text):
    path = formats.flexpart(tmp_path / "g.nc", formats.field(2, 3)[None], **kwargs)
    with pytest.raises(error, match=text):
        open_footprints(path)


def test_another_species_is_asked_for(tmp_path):
    path = formats.flexpart(tmp_path / "g.nc", formats.field(2, 3)[None])
    with pytest.raises(FormatError, match="no species 2; nearest: 'spec001_mr'"):
        open_footprints(path, ReaderOptions(species_index=2))


@pytest.mark.parametrize(
    ("kwargs", "note"),
    [
        ({"ctl": -0.2}, "CTL was negative"),
        ({"loutaver": -900}, "covers only 900 s of each step of 3600 s"),
        ({"comment": "divided by a factor of 1.06 because of FLEXPART CTL=5"}, "factor of 1.06"),
    ],
)
def test_what_the_user_should_know(tmp_path, kwargs, note):
    path = formats.flexpart(tmp_path / "g.nc", formats.field(2, 3)[None], **kwargs)
    assert any(note in n for n in open_footprints(path).notes)


def test_a_nest_says_so(tmp_path):
    path = formats.flexpart(tmp_path / "grid_time_nest_20240402.nc", formats.field(2, 3)[None])
    assert any("nested output" in n for n in open_footprints(path).notes)


def test_several_releases_are_several_receptors(tmp_path):
    values = np.stack([formats.field(k, 3) for k in (4, 5, 6)])
    opened = open_footprints(formats.flexpart(tmp_path / "g.nc", values, releases=3))
    assert len(opened) == 3
    np.testing.assert_allclose(
        opened.read(1, 2).sensitivity.values[0], values[1] * MOLAR_MASS / HEIGHT, rtol=1e-6
    )
    pooled = open_footprints(formats.flexpart(tmp_path / "h.nc", values[:1], releases=3))
    assert len(pooled) == 1
    assert any("3 releases were run together" in n for n in pooled.notes)
    with pytest.raises(FormatError, match="3 releases but 2 footprints"):
        open_footprints(formats.flexpart(tmp_path / "i.nc", values[:2], releases=3))
