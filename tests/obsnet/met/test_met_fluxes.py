"""Sums and means of fluxes over windows: the right flux from any of them, or a refusal."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from obsnet.constants import CP_DRY_AIR, GRAVITY, R_DRY_AIR, VON_KARMAN
from obsnet.errors import ConfigError, FormatError, RangeError
from obsnet.met import open_met
from obsnet.met.fluxes import Rate, at_moment, check_tiling, rate_of
from obsnet.met.names import Window
from tests.obsnet.met import grib
from tests.obsnet.met.worlds import ISOTHERMAL, era5

HOUR = 3600.0
DENSITY = 101325.0 / (R_DRY_AIR * ISOTHERMAL)
# W m-2 upward and N m-2, of the hour that ends at 1, 2, ... UTC.
HEAT = np.array([100.0, 200.0, 300.0, 250.0, 50.0, -20.0])
STRESS = np.array([0.1, 0.2, 0.4, 0.3, 0.2, 0.1])


def with_fluxes(
    path, hours, heat, stress, *, units=("J m**-2", "N m**-2 s"), names=("sshf", "ewss", "nsss"), **more
):
    """An ERA5-like file whose fluxes are these sums; ECMWF counts heat downward."""
    era5(path, hours=hours, drop=("ishf", "zust"), **more)
    with netCDF4.Dataset(path, "a") as data:
        columns = (-np.asarray(heat), np.asarray(stress), np.zeros(len(stress)))
        for name, unit, values in zip(names, (units[0], units[1], units[1]), columns, strict=True):
            variable = data.createVariable(name, "f8", ("time", "latitude", "longitude"))
            variable.units = unit
            variable[:] = values[:, None, None]
    return path


def bounds(path, starts, ends):
    with netCDF4.Dataset(path, "a") as data:
        data.createDimension("nv", 2)
        data["time"].bounds = "time_bnds"
        data.createVariable("time_bnds", "f8", ("time", "nv"))[:] = np.stack([starts, ends], axis=1)
    return path


def found(met):
    """Heat flux (W m-2) and stress (N m-2) back from the scales of the prepared fields."""
    ustar, inverse = met.surface[:, 0, 0, 2].astype(float), met.surface[:, 0, 0, 3].astype(float)
    heat = -inverse * ustar**3 * DENSITY * CP_DRY_AIR * ISOTHERMAL / (VON_KARMAN * GRAVITY)
    return heat, DENSITY * ustar**2


def centred(rates):
    """What a moment takes: the mean of the hour before and the hour after, at the end the hour before."""
    return 0.5 * (rates + np.append(rates[1:], rates[-1]))


def same(met, heat=HEAT, stress=STRESS):
    now = found(met)
    np.testing.assert_allclose(now[0], centred(heat), rtol=2e-3, atol=0.1)
    np.testing.assert_allclose(np.sqrt(now[1]), centred(np.sqrt(stress)), rtol=2e-3)


def test_sums_that_could_be_of_the_hour_or_of_the_forecast_are_refused(tmp_path):
    path = with_fluxes(tmp_path / "a.nc", range(1, 7), HOUR * np.cumsum(HEAT), HOUR * np.cumsum(STRESS))
    with pytest.raises(
        FormatError, match=r"a.nc: 'sshf' .* does not say over which time it is taken: .*accumulated"
    ):
        open_met([path])


def test_sums_since_midnight_and_of_the_hour(tmp_path):
    since = with_fluxes(tmp_path / "a.nc", range(1, 7), HOUR * np.cumsum(HEAT), HOUR * np.cumsum(STRESS))
    met = open_met([since], accumulated="00")
    same(met)
    assert any("windows that were said (00)" in note for note in met.meta["notes"])
    same(
        open_met(
            [with_fluxes(tmp_path / "b.nc", range(1, 7), HOUR * HEAT, HOUR * STRESS)], accumulated="hour"
        )
    )
    # As seen: u* and heat flux many times too large.
    wrong = found(open_met([since], accumulated="hour"))
    assert wrong[0][-1] > 10.0 * HEAT[-2]


def test_sums_begin_anew_at_their_hours(tmp_path):
    heat = HOUR * np.concatenate([np.cumsum(HEAT[:3]), np.cumsum(HEAT[3:])])
    stress = HOUR * np.concatenate([np.cumsum(STRESS[:3]), np.cumsum(STRESS[3:])])
    path = with_fluxes(tmp_path / "a.nc", range(4, 10), heat, stress)
    met = open_met([path], accumulated="06,03")
    same(met)


@pytest.mark.parametrize("kind", ["growing", "hourly"])
def test_the_bounds_of_the_times_say_it(tmp_path, kind):
    grows = kind == "growing"
    heat, stress = (HOUR * (np.cumsum(v) if grows else v) for v in (HEAT, STRESS))
    path = with_fluxes(tmp_path / "a.nc", range(1, 7), heat, stress)
    bounds(path, np.zeros(6) if grows else np.arange(6.0), np.arange(1.0, 7.0))
    met = open_met([path])
    same(met)
    assert any("bounds of their times" in note for note in met.meta["notes"])


def test_means_since_the_start_of_a_window_are_told_apart_too(tmp_path):
    """NCEP's means grow: their names in netCDF say no window, so it is asked for."""
    hours = np.arange(1.0, 7.0)
    path = with_fluxes(
        tmp_path / "a.nc", range(1, 7), -np.cumsum(HEAT) / hours, np.cumsum(STRESS) / hours,
        units=("W m**-2", "N m**-2"), names=("avg_shtfl", "avg_utaua", "avg_vtaua"),
    )  # fmt: skip
    with pytest.raises(FormatError, match="'avg_shtfl' .* does not say over which time"):
        open_met([path])
    same(open_met([path], accumulated="00"))


def test_forecast_periods_say_when_a_forecast_began(tmp_path):
    path = with_fluxes(tmp_path / "a.nc", range(1, 7), HOUR * np.cumsum(HEAT), HOUR * np.cumsum(STRESS))
    with pytest.raises(
        FormatError, match=r"since the start of its forecast, but the file has no forecast_period"
    ):
        open_met([path], accumulated="forecast")
    with netCDF4.Dataset(path, "a") as data:
        variable = data.createVariable("forecast_period", "f8", ("time",))
        variable.units, variable[:] = "minutes", 60.0 * np.arange(1.0, 7.0)
    same(open_met([path], accumulated="forecast"))


def test_the_hours_before_a_period_are_used(tmp_path):
    """Sums since midnight, of which only the later hours are wanted: the first of them is a difference as well."""
    path = with_fluxes(tmp_path / "a.nc", range(1, 7), HOUR * np.cumsum(HEAT), HOUR * np.cumsum(STRESS))
    met = open_met([path], accumulated="00", start="2020-06-01T03:00", stop="2020-06-01T06:00")
    same(met, HEAT[2:], STRESS[2:])


def test_a_forecast_that_starts_inside_an_interval_is_refused(tmp_path):
    """Fields every three hours; the sums at 09 are of a forecast that began at 08."""
    sums = 3 * HOUR * np.array([100.0, 100.0, 100.0 / 3.0])
    path = with_fluxes(tmp_path / "a.nc", (3, 6, 9), sums, 1e-3 * sums)
    bounds(path, [0.0, 3.0, 8.0], [3.0, 6.0, 9.0])
    with pytest.raises(
        FormatError, match=r"at 2020-06-01T09.* is known from 2020-06-01T08.* a forecast starts inside"
    ):
        open_met([path])


def test_the_hour_before_each_third_hour_is_a_sample(tmp_path):
    path = with_fluxes(tmp_path / "a.nc", (3, 6, 9), HOUR * np.full(3, 100.0), HOUR * np.full(3, 0.1))
    heat, _ = found(open_met([path], accumulated="hour"))
    np.testing.assert_allclose(heat, 100.0, rtol=2e-3)


def test_ranges_are_judged_after_the_division(tmp_path):
    sums = HOUR * 24.0 * np.array([900.0, 900.0, 900.0])  # within what a sum may be, not within a flux
    path = with_fluxes(tmp_path / "a.nc", (1, 2, 3), sums, HOUR * np.full(3, 0.1))
    with pytest.raises(
        RangeError, match=r"heat flux from .*T00.* to .*T01.* outside -2000 to 2000.*accumulated"
    ):
        open_met([path], accumulated="hour")


@pytest.mark.parametrize("told", ["hours", "25", "00;12", ""])
def test_windows_that_are_said_wrongly(tmp_path, told):
    with pytest.raises(ConfigError, match="accumulated = .* write hour, forecast, auto, or hours UTC"):
        open_met([era5(tmp_path / "a.nc")], accumulated=told)


def test_bounds_that_fit_no_times(tmp_path):
    path = bounds(with_fluxes(tmp_path / "a.nc", (1, 2, 3), np.ones(3), np.ones(3)), [0, 1, 4], [1, 2, 3])
    with pytest.raises(FormatError, match="'time_bnds' does not hold the start and end of each of 3 times"):
        open_met([path])


# ---- GRIB


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize("kind", ["sum", "mean"])
@pytest.mark.parametrize("grows", [True, False])
def test_grib_windows_are_those_of_their_steps(tmp_path, edition, kind, grows):
    """Windows 0-1, 0-2, 0-3 h of true means 100, 200, 300 W m-2, as sums and as means, and one after the other."""
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    if edition == 1 and kind == "mean":
        pytest.skip("GRIB 1 of ECMWF keeps sums")
    paths = []
    for h in (1, 2, 3):
        own = slice(0 if grows else h - 1, h)
        first = 0 if grows else h - 1
        paths.append(
            grib.write_fluxes(
                tmp_path / f"{h}.grb",
                first,
                h,
                kind=kind,
                edition=edition,
                heat=HEAT[own],
                stress=STRESS[own],
            )
        )
    met = open_met(paths)
    same(met, HEAT[:3], STRESS[:3])


# ---- the arithmetic


def test_rates_of_windows():
    values = np.full((2, 2), 7200.0, np.float32)
    first = (values, Window(0.0, HOUR))
    alone = rate_of("heat_flux", "accumulated", 2 * values, Window(0.0, 2 * HOUR), None)
    assert (alone.values[0, 0], alone.start, alone.end) == (2.0, 0.0, 2 * HOUR)
    later = rate_of("heat_flux", "accumulated", 2.5 * values, Window(0.0, 2 * HOUR), first)
    assert (later.values[0, 0], later.start, later.end, later.length) == (3.0, HOUR, 2 * HOUR, HOUR)
    other = rate_of("heat_flux", "accumulated", values, Window(HOUR, 2 * HOUR), first)
    assert other.values[0, 0] == 2.0
    mean = rate_of(
        "heat_flux", "mean", values / 3600, Window(0.0, 2 * HOUR), (values / 7200, Window(0.0, HOUR))
    )
    assert mean.values[0, 0] == pytest.approx(3.0)
    assert rate_of("heat_flux", "accumulated", 0 * values, Window(0.0, 0.0), None) is None


def test_a_moment_between_the_middles_of_its_intervals():
    low, high = (
        Rate(np.full((1, 1), v, np.float32), a, b) for v, a, b in ((10.0, 0.0, 2.0), (40.0, 2.0, 6.0))
    )
    assert at_moment(2.0, low, high)[0, 0] == pytest.approx(20.0)
    assert at_moment(2.0, None, high)[0, 0] == 40.0
    assert at_moment(2.0, low, None)[0, 0] == 10.0
    assert at_moment(2.0, low, low)[0, 0] == 10.0
    check_tiling("heat_flux", high, 2.0, low)
    with pytest.raises(FormatError, match="a forecast starts inside"):
        check_tiling("heat_flux", high, 0.5, low)
