"""Scales: published numbers, round trips, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import stations
from obsnet.errors import ConfigError, ScaleError
from obsnet.schema import Quality
from stations.calibration.scales import conversions, convert_scale, convert_values, route
from tests.stations.made import make_record


def record(values, scale="WMO CO2 X2007", species="CO2", kind="point", **variables):
    n = len(values)
    data = {
        "value": ("time", np.array(values, float), {"units": "1e-6"}),
        "uncertainty": ("time", np.full(n, 0.1)),
        "sd": ("time", np.full(n, np.nan)),
        "quality": ("time", np.zeros(n, np.uint32)),
        **{k: ("time", np.array(v, float)) for k, v in variables.items()},
    }
    time = np.datetime64("2020-01-01", "ns") + np.arange(n) * np.timedelta64(3600, "s")
    attrs = {"species": species, "scale": scale, "kind": kind, "path": "a.txt", "changes": ["1 thing"]}
    return xr.Dataset(data, coords={"time": time}, attrs=attrs)


def test_hall_2021():
    """The paper: X2019 is 0.18 ppm above X2007 at 400 ppm, 0.045 %."""
    new, *_ = convert_values(np.array([400.0]), "CO2", "X2007", "X2019")
    assert new[0] - 400.0 == pytest.approx(0.18, abs=0.007)
    assert new[0] == pytest.approx(1.00079 * 400 - 0.142)


def test_dlugokencky_2005():
    new, slope, extra, _ = convert_values(np.array([1700.0]), "CH4", "CMDL-83", "NOAA04")
    assert new[0] == pytest.approx(1700 * 1.0124)
    assert slope[0] == pytest.approx(1.0124)
    assert extra[0] == pytest.approx(0.0007 * 1700 * 1.0124)


def test_chain_and_its_uncertainty():
    steps = route("CH4", "CSIRO94", "X2004A")
    assert [s.target_scale for s in steps] == ["TU-87", "WMO CH4 X2004A"]
    new, _, extra, _ = convert_values(np.array([1750.0]), "CH4", "CSIRO94", "X2004A")
    assert new[0] == pytest.approx(1750 * 1.0119)
    assert extra[0] == pytest.approx(np.sqrt(2) * 0.0003 * new[0], rel=1e-9)


@given(st.sampled_from(conversions()), st.floats(0, 1))
def test_every_step_there_and_back_is_the_identity(step, share):
    x = np.array([step.low + share * (step.high - step.low)])
    if step.inverse:
        x = np.polynomial.Polynomial(step.polynomial)(x)
    back = next(
        s
        for s in conversions(step.species)
        if s.source_scale == step.target_scale and s.target_scale == step.source_scale
    )
    there, slope, _ = step.apply(x)
    again, slope_back, _ = back.apply(there)
    np.testing.assert_allclose(again, x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slope * slope_back, 1.0, rtol=1e-12)


@given(st.sampled_from([s for s in conversions() if not s.inverse]))
def test_slope_is_the_derivative(step):
    x = np.linspace(max(step.low, 1.0), step.high, 20)
    h = 1e-4 * x
    up, down = step.apply(x + h)[0], step.apply(x - h)[0]
    np.testing.assert_allclose(step.apply(x)[1], (up - down) / (2 * h), rtol=1e-6)


def test_record_is_converted_with_provenance():
    new = convert_scale(record([400.0, 600.0, np.nan], uncertainty_systematic=[0.03, 0.03, 0.03]), "X2019")
    assert new.attrs["scale"] == "WMO CO2 X2019"
    assert new["value"].values[0] == pytest.approx(400.174)
    assert new["uncertainty"].values[0] == pytest.approx(0.1 * 1.00079)
    assert new["uncertainty_systematic"].values[0] == pytest.approx(np.hypot(0.03 * 1.00079, 0.05))
    assert new["quality"].values.tolist() == [0, Quality.CALIBRATION, 0]
    assert new.attrs["changes"][0] == "1 thing"
    assert "X2007 to WMO CO2 X2019" in new.attrs["changes"][1]
    assert "doi:10.5194/amt-14-3015-2021" in new.attrs["changes"][1]
    assert "1 rows outside the conversion's recommended range" in new.attrs["changes"][2]


def test_every_column_in_the_unit_of_the_value_goes_with_it():
    old = record([400.0, 410.0])
    old["value"].attrs["units"] = "1e-6"
    for name in ("value_without_spikes", "icos_ltr", "value_wmo_scale"):
        old[name] = ("time", np.array([400.0, 410.0]), {"units": "1e-6"})
    old["temperature"] = ("time", np.array([20.0, 21.0]), {"units": "degC"})
    new = convert_scale(old, "X2019")
    np.testing.assert_allclose(new["value_without_spikes"], new["value"])
    np.testing.assert_allclose(new["icos_ltr"], np.array([400.0, 410.0]) * 1.00079)
    assert new["value_wmo_scale"].equals(old["value_wmo_scale"])
    assert new["temperature"].equals(old["temperature"])


@pytest.mark.parametrize(("value", "inside"), [(1.99, False), (2.0, True), (10.0, True), (10.01, False)])
def test_sf6_is_converted_within_2_to_10_ppt(value, inside):
    new = convert_scale(make_record([value], species="SF6", scale="WMO SF6 X2006"), "X2014")
    assert (new["quality"].values[0] == 0) == inside
    assert new["value"].values[0] == pytest.approx(0.035831 + 0.97748 * value + 0.0026821 * value**2)


@pytest.mark.parametrize(
    ("scale", "why"),
    [
        ("uncalibrated", "the readings are not calibrated; obsnet station calibrate does that"),
        ("Home-made 7", "it is not the name of a scale; say which it is"),
        ("Scripps X12", "it is a scale, but no source for a conversion is at hand"),
    ],
)
def test_a_refusal_says_why(scale, why):
    with pytest.raises(ScaleError, match=f"no conversion of CO2 is known for the scale '{scale}'.*: {why}"):
        convert_scale(make_record([400.0], scale=scale), "X2019")


def test_the_input_is_left_alone():
    old = record([400.0])
    convert_scale(old, "X2019")
    assert old["value"].values[0] == 400.0
    assert old["quality"].values[0] == 0
    assert old.attrs["scale"] == "WMO CO2 X2007"


def test_same_scale_changes_nothing():
    old = record([400.0])
    assert convert_scale(old, "WMO-X2007").identical(old)


def test_columns_are_refused_with_the_reason():
    with pytest.raises(ScaleError, match=r"total columns are not converted.*xco2_x2019"):
        convert_scale(record([400.0], kind="column"), "X2019")


def test_a_real_tccon_file_is_refused(sample_data):
    (path,) = (sample_data / "satellite" / "tccon").glob("hw*.nc")
    column = stations.read(path, "CO2")
    with pytest.raises(ScaleError, match="total columns"):
        convert_scale(column, "X2019")


@pytest.mark.parametrize(
    ("species", "source", "target", "text"),
    [
        ("CO2", "unknown", "X2019", "the record's CO2 scale is not known"),
        ("CO2", "X2007", "", "the wanted CO2 scale is not known"),
        (
            "CO2",
            "X2007",
            "X2020",
            r"no conversion of CO2 is known for the scale 'WMO CO2 X2020'; nearest: 'WMO CO2 X20",
        ),
        ("CO2", "SIO-99", "X2019", "no conversion of CO2 is known for the scale 'SIO-99'"),
    ],
)
def test_refusals(species, source, target, text):
    with pytest.raises(ScaleError, match=text):
        route(species, source, target)


def test_unverified_needs_the_users_word():
    with pytest.raises(ScaleError, match=r"unverified source.*accept_unverified"):
        convert_values(np.array([100.0]), "CO", "CSIRO-94", "X2014A")
    new, *_ = convert_values(np.array([100.0]), "CO", "CSIRO-94", "X2014A", accept_unverified=True)
    assert new[0] == pytest.approx((100 + 3.17) / 0.9898, rel=1e-9)


def test_rows_on_several_scales_are_refused_and_on_one_they_are_not():
    mixed = record([400.0, 400.0]).assign(scale_row=("time", ["WMO CO2 X2007", "WMO CO2 X2019"]))
    with pytest.raises(ScaleError, match=r"several scales \(WMO CO2 X2007, WMO CO2 X2019\)"):
        convert_scale(mixed, "X2019")
    plain = record([400.0]).assign(scale_row=("time", ["WMO CO2 X2007"]))
    assert "scale_row" not in convert_scale(plain, "X2019")


def test_isotopes_have_no_scales_here():
    with pytest.raises(ScaleError, match="no scales are known for 'd13C'"):
        convert_scale(record([400.0], species="d13C"), "X2019")


def test_no_chain_between_families(tmp_path):
    table = tmp_path / "scales.toml"
    row = 'species="CO2"\nfrom="{}"\nto="{}"\npolynomial=[0.0, 1.0]\nrange=[1.0, 2.0]\n'
    row += 'uncertainty=0.0\nverified=true\nsource="x"\n'
    table.write_text(
        "[[conversion]]\n"
        + row.format("SIO-99", "SIO-05")
        + "[[conversion]]\n"
        + row.format("X2007", "X2019")
    )
    with pytest.raises(ScaleError, match="no chain of conversions leads from 'SIO-99' to 'WMO CO2 X2019'"):
        route("CO2", "SIO-99", "X2019", table)


def test_own_table_is_checked(tmp_path):
    table = tmp_path / "mine.toml"
    table.write_text('[[conversion]]\nspecies = "CO2"\nform = "a"\n')
    with pytest.raises(ConfigError, match=r"mine.toml: conversion 1.*unknown key 'form'"):
        conversions(table=table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[conversion]\n", "not a TOML file"),
        (
            '[[conversion]]\nspecies="CO2"\nfrom="A"\nto="B"\npolynomial=[1]\nrange=[1, 2]\nsource="s"\n',
            "conversion 1",
        ),
    ],
)
def test_own_table_that_is_no_table(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        conversions(table=tmp_path / "mine.toml")


def test_waliguan_x2007_monthly_against_x2019_events(sample_data):
    """The old WDCGG monthly means (X2007), converted, agree with the smooth curve of the X2019 events."""
    from stations.curve.fit import fit_curve
    from tests.stations.references import flasks

    lines = (sample_data / "stations/wdcgg/wlg236n0.dat").read_text(errors="replace").splitlines()
    rows = [line.split() for line in lines if line[:4].isdigit()]
    x, y, _ = flasks(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    means = {(a, b): c for a, b, c, *_ in fit_curve(x, y).monthly_means()}
    pairs = []
    for row in rows:
        year, month, value = int(row[0]), int(row[1]), float(row[2])
        if value > 300 and (year, month) in means:
            pairs.append((value, means[year, month]))
    old, new = np.array(pairs).T
    assert old.size > 100
    converted, *_ = convert_values(old, "CO2", "X2007", "X2019")
    assert abs(np.median(new - converted)) < abs(np.median(new - old))
    assert abs(np.median(new - converted)) < 0.08
