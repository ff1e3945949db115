"""Country tables of others: known answers of real files, traps of their layouts, mistakes that are one line."""

import numpy as np
import pytest

from obsnet.crosscheck.systems.ceos import read_ceos
from obsnet.crosscheck.systems.estimate import SystemEstimate, _semidefinite, mean_over
from obsnet.crosscheck.systems.keys import region_key
from obsnet.crosscheck.systems.paris import read_paris
from obsnet.errors import FormatError, MissingVariableError, RangeError, SchemaError, UnitError
from obsnet.inventory.period import read_period
from tests.obsnet.crosscheck.systems.made import MIDDLE, country_file

REAL = {
    "ELRIS": "ELRIS_NAME_EUROPE_EDGAR_old_format_CH4_monthly.nc",
    "InTEM": "InTEM_NAME_EUROPE_EDGAR_old_format_ch4_monthly.nc",
    "RHIME": "RHIME_NAME_EUROPE_EDGAR_old_format_ch4_monthly.nc",
}
KNOWN = {  # CH4 of 2023, Tg, days weighted, months independent: README of the samples
    "DEU": ((2.744, 2.469, 2.440), (0.023, 0.103, 0.045)),
    "FRA": ((2.906, 2.614, 2.609), None),
    "GBR": ((1.312, 1.663, 1.524), None),
    "CHE": ((0.188, 0.158, 0.217), None),
}


@pytest.mark.parametrize("system", REAL)
@pytest.mark.parametrize("region", KNOWN)
def test_known_answers_of_three_real_posteriors(sample_data, system, region):
    found = read_paris(sample_data / "posteriors/paris_posteriors" / REAL[system], system)
    mean = mean_over(found, read_period("2023"))
    at, which = found.regions.index(region), list(REAL).index(system)
    totals, spreads = KNOWN[region]
    assert found.gas == "CH4"
    assert mean.periods == 12
    assert mean.total[at] == pytest.approx(totals[which], abs=6e-4)
    if spreads:
        assert mean.sd[at] == pytest.approx(spreads[which], abs=6e-4)
    assert mean.sd_common[at] > 3 * mean.sd[at]


def test_what_real_files_do_otherwise_is_said(sample_data):
    folder = sample_data / "posteriors/paris_posteriors"
    said = {n: " ".join(read_paris(folder / f, n).notes) for n, f in REAL.items()}
    assert "SKV is no country code, read as SVK" in said["InTEM"]
    assert "unit 'kg a-1' stands under 'unit'" in said["InTEM"]
    assert "calls its species 'inert', its table says ch4" in said["RHIME"]
    intem = read_paris(folder / REAL["InTEM"], "InTEM")
    assert {"BEL+LUX+NLD", "SVK", "ESP+PRT"} <= set(intem.regions)
    hfc = read_paris(folder / "InTEM_NAME_EUROPE_EDGAR_hfc134a_yearly.nc", "InTEM")
    assert hfc.gas == "hfc134a"
    assert [str(p) for p in hfc.periods] == ["2022", "2023"]
    assert read_paris(folder / REAL["ELRIS"], "ELRIS").covariance.shape == (24, 22, 22)


def test_china_by_the_oco2_intercomparison(sample_data):
    path = sample_data / "posteriors/ceos_country_budgets/pilot_topdown_CO2_Budget_countries_v1.csv"
    known = {"IS": (8310, 1090), "LNLG": (8310, 1400), "LNLGIS": (7860, 1130), "LNLGOGIS": (8560, 1170)}
    for found in read_ceos(path, "MIP"):
        mean = mean_over(found, read_period("2015/2020"))
        at = found.regions.index("CHN")
        assert (mean.total[at], mean.sd[at]) == known[found.system.split()[1]]
        assert mean.periods == 1  # the file's own mean of years, not ours
    land = next(e for e in read_ceos(path, "MIP", quantity="NBE") if e.system == "MIP LNLGIS")
    assert mean_over(land, read_period("2019")).total[land.regions.index("CHN")] == -2140.0
    with pytest.raises(FormatError, match="no quantity 'NEC'; nearest: 'NCE'"):
        read_ceos(path, "MIP", quantity="NEC")


@pytest.mark.parametrize(
    ("name", "key"),
    [("DEU", "DEU"), (b"DEU", "DEU"), ("LUX-BEL", "BEL+LUX"), ("BELUX", "BEL+LUX"), ("Benelux", "BEL+LUX+NLD"),
     ("SKV", "SVK"), ("NW_EU2", "NW_EU2"), ("<script>", "<script>"), ("130000", "130000"), ("Region_EU", "Region_EU")],
)  # fmt: skip
def test_keys_of_regions(name, key):
    assert region_key(name)[0] == key


def wave(k=2):
    return 2.0 + np.sin(np.arange(12))[:, None] * np.array([[0.3, 0.5]])[:, :k]


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("unit", [("units", "kg a-1"), ("units", "kg yr-1"), ("unit", "kg a-1"), None])
def test_both_layouts_however_they_are_written(tmp_path, new, as_bytes, unit):
    sd = np.full((12, 2), 0.1)
    found = read_paris(
        country_file(tmp_path / "a.nc", wave(), sd, new=new, as_bytes=as_bytes, unit=unit), "a"
    )
    assert found.regions == ("DEU", "FRA")
    np.testing.assert_allclose(found.total, wave())
    np.testing.assert_allclose(found.sd, 0.1)
    assert ("states no unit" in " ".join(found.notes)) == (unit is None)
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    mean = mean_over(found, read_period("2023"))
    np.testing.assert_allclose(mean.total, days @ wave() / 365)
    np.testing.assert_allclose(mean.sd, 0.1 * np.sqrt((days**2).sum()) / 365)
    np.testing.assert_allclose(mean.sd_common, 0.1)
    np.testing.assert_allclose(mean_over(found, read_period("2023"), "common").sd, 0.1)
    assert mean_over(found, read_period("2022")) is None
    assert mean_over(found, read_period("2023-03")).periods == 1


def test_a_covariance_counts_in_a_compound(tmp_path):
    matrix = np.array([[0.04, -0.03], [-0.03, 0.09]])
    found = read_paris(country_file(tmp_path / "a.nc", wave(), covariance=np.tile(matrix, (12, 1, 1))), "a")
    np.testing.assert_allclose(found.sd, [[0.2, 0.3]] * 12)
    np.testing.assert_allclose(mean_over(found, read_period("2023-01")).covariance, matrix)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (
            {"covariance": np.tile([[0.04, 0.9], [0.9, 0.09]], (12, 1, 1))},
            RangeError,
            "not positive semi-definite",
        ),
        ({"covariance": np.tile([[0.04, 0.01], [0.0, 0.09]], (12, 1, 1))}, RangeError, "is not symmetric"),
        ({"unit": ("units", "mol m-2 s-1")}, UnitError, "a mass a year such as kg yr-1 is needed"),
        ({"unit": ("units", "Gg yr-1")}, RangeError, "more than the world emits; is a unit off"),
        ({"long_name": "country totals"}, UnitError, "says nowhere of which gas"),
        ({"regions": ("DEU", "DEU")}, SchemaError, "region DEU stands twice"),
        ({"sd": np.full((12, 2), -0.1)}, RangeError, "upper percentile is below the lower"),
        ({"sd": np.full((12, 2), -0.1), "levels": None}, RangeError, "standard deviation of DEU in 2023-01"),
        ({"sd": np.full((12, 2), 0.1), "levels": (0.6, 0.9)}, RangeError, "do not stand on both sides"),
        ({"covariance": np.tile(1e-18 * np.eye(2), (12, 1, 1))}, RangeError, "has 1 for every variance"),
        ({"total": np.full((12, 2), -9999e-9)}, RangeError, "-9999 stands there 24 times"),
    ],
)
def test_tables_that_cannot_be(tmp_path, change, error, said):
    path = country_file(tmp_path / "a.nc", **({"total": wave()} | change))
    with pytest.raises(error, match=said):
        read_paris(path, "a")


def test_a_sector_that_is_not_there_and_no_file(tmp_path):
    path = country_file(tmp_path / "a.nc", wave())
    with pytest.raises(MissingVariableError, match="no table of countries of 'wast'; there is: 'total'"):
        read_paris(path, "a", sector="wast")
    with pytest.raises(UnitError, match="is of ch4, not of CO2"):
        read_paris(path, "a", gas="CO2")
    with pytest.raises(FormatError, match="no such file"):
        read_paris(tmp_path / "b.nc", "b")


def test_budgets_that_cannot_be_read(tmp_path):
    path = tmp_path / "c.csv"
    head = "Alpha 3 Code,Year,IS NCE (TgCO2),IS NCE unc (TgCO2)\n"
    for rows, error, said in (
        ("CHN,2019,8310,1190\nCHN,2019,1,1\n", FormatError, "CHN 2019 stands twice"),
        ("CHN,abc,8310,1190\n", FormatError, "holds abc"),
        ("CHN,2019,x,1190\n", FormatError, "column 'IS NCE"),
        ("CHN,2019,8310,-5\n", RangeError, "standard deviation of CHN in 2019 is -5"),
    ):
        path.write_text(head + rows)
        with pytest.raises(error, match=said):
            read_ceos(path, "MIP")
    for rows, error, said in (
        ("CHN,2019,-9999,1\n", RangeError, "-9999 stands there 1 times"),
        (
            "CHN,2015,8,1\nCHN,2019,9,1\nCHN,mean,8.5,1\n",
            FormatError,
            "of 2015, 2019, with years missing between",
        ),
    ):
        path.write_text(head + rows)
        with pytest.raises(error, match=said):
            read_ceos(path, "MIP")
    path.write_text(head.replace("TgCO2", "Tg") + "CHN,2019,8310,1\n")
    with pytest.raises(UnitError, match="unit 'Tg'"):
        read_ceos(path, "MIP")
    path.write_text(head.replace("TgCO2", "TgC") + "CHN,2019,1200,100\n")
    assert read_ceos(path, "MIP")[0].total[0, 0] == pytest.approx(1200 * 3.6642, rel=1e-4)


def test_deviations_have_their_own_units_and_any_order(tmp_path):
    """A deviation in Gg beside a total in kg, turned, or a covariance of Gg2: the same numbers; per cent is refused."""
    import xarray as xr

    keys = (
        "DEU",
        "FRA",
        "GBR",
        "ITA",
        "ESP",
        "NLD",
        "BEL",
        "POL",
        "CZE",
        "AUT",
        "CHE",
        "NOR",
    )  # as many as months
    total = np.random.default_rng(0).uniform(1, 3, (12, 12))
    plain = country_file(tmp_path / "a.nc", total, 0.1 * total, regions=keys, levels=None)
    square = np.einsum("tr,rs->trs", (0.1 * total) ** 2, np.eye(12))
    whole = country_file(tmp_path / "b.nc", total, None, square, regions=keys)
    name, covariance = "stdev_country_flux_total_posterior", "covariance_country_flux_total_posterior"

    def read(path, name, change, unit):
        data = xr.load_dataset(path, engine="netcdf4")
        data[name] = change(data[name]).assign_attrs(units=unit)
        data.to_netcdf(tmp_path / "c.nc")
        return read_paris(tmp_path / "c.nc", "c")

    for found in (
        read(plain, name, lambda v: v, "kg a-1"),
        read(plain, name, lambda v: v.transpose() / 1e6, "Gg yr-1"),
        read(whole, covariance, lambda v: v / 1e12, "Gg2 yr-2"),
        read(whole, covariance, lambda v: v.transpose(..., "time"), "kg a-1"),
    ):
        np.testing.assert_allclose(found.sd, 0.1 * found.total, rtol=1e-6)
    assert f"{covariance}: its unit 'kg a-1' is taken squared" in found.notes
    for path, what in ((plain, name), (whole, covariance)):
        with pytest.raises(UnitError, match=f"{what} is in '%', a mass a year"):
            read(path, what, lambda v: v, "%")


def test_a_joint_covariance_and_a_deviation_are_held_against_what_stands_beside(tmp_path):
    """In time too: of another unit, order or size than the deviations it is refused; an interval of 95 % as well."""
    import xarray as xr

    plain = country_file(
        tmp_path / "a.nc", wave()[:3], np.full((3, 2), 0.2), levels=None, times=MIDDLE[:3], new=True
    )
    data = xr.load_dataset(plain, engine="netcdf4")
    base = "flux_total_posterior_country"
    joint = 0.04e18 * np.eye(6).reshape(3, 2, 3, 2)
    for dims, size, good in (
        (("time", "country", "time_2", "country_2"), 1.0, True),
        (("time", "country", "time_2", "country_2"), 1e-12, False),
        (("time", "country", "a", "b"), 1.0, False),
    ):
        data.assign({f"joint_covariance_{base}": (dims, size * joint)}).to_netcdf(tmp_path / "j.nc")
        if good:
            np.testing.assert_allclose(
                mean_over(read_paris(tmp_path / "j.nc", "j"), read_period("2023-01")).sd, 0.2
            )
            continue
        with pytest.raises(
            (RangeError, FormatError), match="states a deviation of 2e-07|has dimensions time"
        ):
            read_paris(tmp_path / "j.nc", "j")
    half = data[f"stdev_{base}"].values[:, None] * np.array([-1.0, 1.0])[None, :, None]
    wide = (("time", "percentile", "country"), data[base].values[:, None] + half)
    both = data.assign({f"percentile_{base}": wide}).assign_coords(percentile=[0.025, 0.975])
    both.to_netcdf(tmp_path / "b.nc")  # half-widths in the place of deviations
    notes = read_paris(tmp_path / "b.nc", "b").notes
    assert "deviations are 2 times those of its percentiles; the deviations are taken" in notes
    data[f"stdev_{base}"].attrs["long_name"] = "half width of the 95 % interval"
    data.to_netcdf(tmp_path / "k.nc")
    with pytest.raises(RangeError, match="says of itself '95 %': one standard deviation is needed"):
        read_paris(tmp_path / "k.nc", "k")


def test_a_fault_of_a_covariance_is_not_hidden_by_the_number_of_regions():
    """One pair of forty correlated by 1.0001: a sum whose variance is negative by more than rounding."""
    matrix = np.eye(40)
    matrix[0, 1] = matrix[1, 0] = 1.0001
    with pytest.raises(RangeError, match="not positive semi-definite"):
        _semidefinite(matrix, "it")
    matrix[0, 1] = matrix[1, 0] = 1.000001
    _semidefinite(matrix, "it")


def test_shapes_that_do_not_fit():
    period = (read_period("2023"),)
    with pytest.raises(SchemaError, match="need totals and deviations of that shape"):
        SystemEstimate("a", "CO2", "NCE", period, ("CHN",), np.zeros((1, 2)), np.zeros((1, 1)))
    with pytest.raises(SchemaError, match="a: period 2023 stands twice"):
        SystemEstimate("a", "CO2", "NCE", 2 * period, ("CHN",), np.zeros((2, 1)), np.zeros((2, 1)))
