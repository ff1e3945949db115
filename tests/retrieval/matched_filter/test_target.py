"""Unit absorption: closed forms, finite differences, tables."""

import numpy as np
import pytest

from obsnet.errors import FormatError, RangeError
from retrieval.forward.absorption import _strength as strength_at
from retrieval.forward.absorption import cross_section
from retrieval.forward.atmosphere import AVOGADRO, make_layers, slant_factors
from retrieval.forward.hitran import LineList, read_lines
from retrieval.forward.tables import build_table
from retrieval.matched_filter.absorption_run import in_vacuum, run_absorption, standard_levels
from retrieval.matched_filter.bands import Bands, read_bands, see
from retrieval.matched_filter.options import AbsorptionTable
from retrieval.matched_filter.target import (
    UnitAbsorption,
    read_unit_absorption,
    unit_absorption,
    write_unit_absorption,
)
from tests.retrieval.forward.worlds import record
from tests.retrieval.matched_filter.files import AIR, bands, target

BAND = Bands(np.array([1996.0, 2000.0, 2004.0]), np.full(3, 6.0))


def lines(strengths=(1e-23,), places=(5000.0,), gas="CO2"):
    one = np.ones(len(places))
    return LineList(
        gas, one.astype(int), np.asarray(places, float), np.asarray(strengths, float), 0.07 * one, 0.09 * one,
        300.0 * one, 0.7 * one, 0.0 * one,
    )  # fmt: skip


def air(water=0.005):
    p, t, w = standard_levels(1013.25, water, 8)
    return make_layers(p, t, w, latitude=45.0, altitude=0.0)


def made(strength, fraction=4e-4, sun=0.0, view=0.0, bands_=BAND):
    layers = air()
    return unit_absorption(
        "CO2", bands_, {"CO2": lines((strength,))}, {"CO2": np.full(7, fraction)}, layers, sun=sun, view=view
    )


def test_a_thin_line_absorbs_by_its_strength():
    """Its integral is the strength: k = -m c S(T) g(nu), with g the response by wavenumber."""
    k = made(1e-26)
    layers = air()
    temperature = float(layers.edge_temperature[0])
    s = float(strength_at(lines((1e-26,)), temperature)[0])
    nu = np.arange(4950.0, 5050.0, 0.01)
    wavelength = 1e7 / nu
    per_ppm_m = 1e-6 * k.air.density * AVOGADRO * 1e-4
    for b in range(3):
        response = np.exp(-4 * np.log(2) * ((wavelength - BAND.centre[b]) / 6.0) ** 2) * wavelength**2
        g = np.interp(5000.0, nu, response / (response.sum() * 0.01))
        assert k.value[b] == pytest.approx(-2.0 * per_ppm_m * s * g, rel=0.02)  # the wings beyond 25 cm-1


def test_it_is_the_slope_of_the_seen_radiance():
    """Against differences of the whole exponential, two gases, one of them opaque in its lines."""
    layers = air()
    absorbers = {"CO2": lines((3e-22, 1e-22), (4999.0, 5003.0)), "H2O": lines((1e-24,), (5001.0,), "H2O")}
    fractions = {"CO2": np.full(7, 4e-4), "H2O": layers.water}
    found = unit_absorption("CO2", BAND, absorbers, fractions, layers, sun=40.0, view=10.0)
    nu = 4955.0 + 0.01 * np.arange(9001)
    path = slant_factors(layers, 40.0, 5000.0) + slant_factors(layers, 10.0, 5000.0)
    depth = sum(
        fractions[gas][i] * layers.dry_air[i] * path[i]
        * cross_section(v, nu, layers.pressure[i], layers.temperature[i], fraction=float(fractions[gas][i]))
        for gas, v in absorbers.items()
        for i in range(7)
    )  # fmt: skip
    p, t = float(layers.pressure_edges[0]), float(layers.edge_temperature[0])
    one = 1e-6 * 100.0 * p / (8.314462618 * t) * AVOGADRO * 1e-4 * path[0]
    added = one * cross_section(absorbers["CO2"], nu, p, t, fraction=4e-4)
    seen = [np.log(see(BAND, nu, np.exp(-depth - a * added)[None])[0]) for a in (-50.0, 50.0)]
    np.testing.assert_allclose((seen[1] - seen[0]) / 100.0, found.value, rtol=1e-5)
    # strong plumes as well, at a table's strength and between two
    for alpha, within in ((2e4, 1e-6), (3e4, 0.01), (300.0, 0.01)):
        dimmed = np.log(see(BAND, nu, np.stack([np.exp(-depth - alpha * added), np.exp(-depth)])))
        np.testing.assert_allclose(
            found.curve.at(np.array([alpha]))[0][0], dimmed[0] - dimmed[1], rtol=within
        )


def test_what_the_air_absorbs_already_is_not_seen():
    assert abs(made(1e-21, 4e-3).value[1]) < 0.8 * abs(made(1e-21, 4e-5).value[1])


def test_the_light_path_counts():
    thin = made(1e-26).value
    np.testing.assert_allclose(made(1e-26, sun=60.0).value / thin, 1.5, rtol=2e-3)


def test_strong_plumes_leave_the_line():
    assert made(1e-21).linear_to < made(1e-22).linear_to


def test_a_table_of_cross_sections_does_as_well_as_lines():
    """To what it costs to read it linearly between its points."""
    layers = air()
    nu = 4955.0 + 0.01 * np.arange(9001)
    table = build_table(
        lines(),
        nu,
        pressure=(10.0, 1050.0),
        temperature=(210.0, 295.0),
    )
    of_table = unit_absorption(
        "CO2", BAND, {"CO2": table}, {"CO2": np.full(7, 4e-4)}, layers, sun=0.0, view=0.0
    )
    np.testing.assert_allclose(of_table.value, made(1e-23).value, rtol=2e-3)
    with pytest.raises(RangeError, match="the table has"):
        unit_absorption("CO2", bands(), {"CO2": table}, {"CO2": np.full(7, 4e-4)}, layers, sun=0.0, view=0.0)


def test_ppm_m_and_column():
    """8,400 ppm m of air like that of the ground are 1 ppm of the column; masses are the same."""
    per = AIR.mole_fraction_per_ppm_m
    assert per * AIR.dry_column == pytest.approx(1e-6 * AIR.density)
    k = target()
    np.testing.assert_allclose(k.per_column_unit, k.value * 1e-9 / per)


def test_a_table_comes_back(tmp_path):
    k = target()
    back = read_unit_absorption(write_unit_absorption(k, tmp_path / "k.csv"))
    assert back.gas == "CH4"
    assert back.air == k.air
    np.testing.assert_allclose(back.value, k.value, rtol=1e-8)
    np.testing.assert_allclose(back.bands.fwhm, k.bands.fwhm)
    assert np.isnan(back.linear_to)
    assert back.curve is None
    lined = made(1e-21)
    back = read_unit_absorption(write_unit_absorption(lined, tmp_path / "lines.csv"))
    np.testing.assert_allclose(back.curve.mean, lined.curve.mean, rtol=1e-7)
    np.testing.assert_array_equal(back.curve.strength, lined.curve.strength)
    text = (tmp_path / "lines.csv").read_text()
    (tmp_path / "bad.csv").write_text(text.replace("k_at_2000,", "k_at_much,"))
    with pytest.raises(FormatError, match="ends with a number of ppm m"):
        read_unit_absorption(tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_text(text.replace("k_at_2000,", "k_at_20,"))
    with pytest.raises(RangeError, match=r"bad\.csv: strengths of a curve of growth must increase"):
        read_unit_absorption(tmp_path / "bad.csv")


def test_tables_of_users_that_lack_or_mistake_something(tmp_path):
    path = write_unit_absorption(target(), tmp_path / "k.csv")
    text = path.read_text()
    (tmp_path / "a.csv").write_text("\n".join(t for t in text.splitlines() if "dry_air" not in t))
    with pytest.raises(FormatError, match=r"a\.csv: lacks dry_air_mol_m2"):
        read_unit_absorption(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text(text.replace(",-", ","))
    with pytest.raises(RangeError, match=r"b\.csv: .*negative where the gas absorbs"):
        read_unit_absorption(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text(text.replace("k_per_ppm_m", "k_per_ppm"))
    with pytest.raises(FormatError, match="no column 'k_per_ppm_m'; nearest: 'k_per_ppm'"):
        read_unit_absorption(tmp_path / "c.csv")
    (tmp_path / "d.csv").write_text("wavelength_nm,fwhm_nm\n2.1,0.01\n")
    with pytest.raises(RangeError, match=r"d\.csv: .*micrometres must be multiplied by 1000"):
        read_bands(tmp_path / "d.csv")
    with pytest.raises(RangeError, match="negative where the gas absorbs"):
        UnitAbsorption("CH4", bands(), np.zeros(20), AIR)


def test_bands_are_found_or_refused():
    every = bands(40)
    np.testing.assert_array_equal(every.find(every.within((2230.0, 2260.0))), np.arange(5, 11))
    with pytest.raises(RangeError, match="not those of the cube"):
        every.find(Bands(every.centre[:5] + 2.0, every.fwhm[:5]))
    with pytest.raises(RangeError, match="no band between"):
        every.within((1000.0, 1100.0))


def test_seen_is_a_mean_over_wavelength():
    """Of the wavelength itself it is the centre: steps of wavenumber are not counted as steps of wavelength."""
    nu = np.arange(4900.0, 5100.0, 0.01)
    seen = see(BAND, nu, np.stack([np.full(nu.size, 3.0), 1e7 / nu]))
    np.testing.assert_allclose(seen[0], 3.0, rtol=1e-12)
    np.testing.assert_allclose(seen[1], BAND.centre, rtol=3e-7)


def test_wavelengths_in_air():
    """At 2000 nm 0.55 nm more in vacuum."""
    assert in_vacuum(BAND).centre[1] - 2000.0 == pytest.approx(0.55, abs=0.01)


def test_the_command_from_lines_to_a_table(tmp_path):
    (tmp_path / "co2.par").write_text(
        "".join(record(2, "1", 4990.0 + 5.0 * k, 1e-22) + "\n" for k in range(5))
    )
    (tmp_path / "bands.csv").write_text("wavelength_nm,fwhm_nm\n1900,6\n1996,6\n2000,6\n2004,6\n")
    table = AbsorptionTable(
        bands=tmp_path / "bands.csv", window=(1990, 2010), lines={"CO2": tmp_path / "co2.par"}, sun=30.0,
        out=tmp_path / "co2.csv",
    )  # fmt: skip
    k, said = run_absorption(table)
    assert len(k.bands) == 3
    assert said["notes"] == [
        "lines of CO2 span 4990.0 to 5010.0 cm-1, the bands 4960.3 to 5040.3: is the list whole?"
    ]
    back = read_unit_absorption(tmp_path / "co2.csv")
    np.testing.assert_allclose(back.value, k.value, rtol=1e-7)
    assert back.air.level == pytest.approx(420.0)
    assert back.about["lines"] == "CO2 co2.par, isotopologues 1"


def test_real_lines(sample_data):
    """Carbon dioxide at 2 micrometres, so little of it that strengths add up: k = -m c sum S(T) g(nu)."""
    path = sample_data / "retrieval" / "spectroscopy" / "CO2_4950-5050.par"
    every = read_lines(path, "CO2")
    band = Bands(np.array([2000.0]), np.array([8.0]))
    layers = air()
    k = unit_absorption("CO2", band, {"CO2": every}, {"CO2": np.full(7, 1e-12)}, layers, sun=30.0, view=0.0)
    s = strength_at(every, float(layers.edge_temperature[0]))
    nu = np.arange(4960.0, 5040.0, 0.01)
    response = np.exp(-4 * np.log(2) * ((1e7 / nu - 2000.0) / 8.0) ** 2) / nu**2
    g = np.interp(every.wavenumber, nu, response / (response.sum() * 0.01), left=0.0, right=0.0)
    per_ppm_m = 1e-6 * k.air.density * AVOGADRO * 1e-4 * float(k.about["air_mass_factor"])
    assert k.value[0] == pytest.approx(-per_ppm_m * float((s * g).sum()), rel=0.02)
