"""From a posterior file and an inventory to one row a region."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from obsnet.constants import SECONDS_PER_YEAR
from obsnet.crosscheck.compared.inventory_rows import RowChoice
from obsnet.crosscheck.compared.periods import TimeChoice
from obsnet.crosscheck.compared.quantity import Sums
from obsnet.crosscheck.rules.verdict import Rule
from obsnet.crosscheck.verdicts.lines import table_lines
from obsnet.crosscheck.verdicts.options import CrosscheckOptions
from obsnet.crosscheck.verdicts.run import beside, crosscheck_files
from obsnet.crosscheck.verdicts.table import Choices, check, compare, read_covariance, read_table, read_totals
from obsnet.errors import ConfigError, FormatError, RegionError
from tests.obsnet.report import synthetic

MT = 0.0440095 * SECONDS_PER_YEAR * 1e-9  # Mt a year of one mol s-1 of CO2
REGIONS = ["110000", "120000", "outside"]
YEAR = ("2019-01-01", "2020-01-01")
MONTHS = (*(f"2019-{m:02d}-01" for m in range(1, 13)), "2020-01-01")


def posterior(
    path, sectors=("fossil",), response=0.9, sd=5.0, edges=YEAR, together=0.0, prescribed=(), **attrs
):
    """Write a posterior file of the contract with totals of 100, 200 and 10 Mt a year."""
    n, edges = len(REGIONS), np.array(edges, dtype="datetime64[ns]")
    periods = len(edges) - 1
    shape = (len(sectors), n, periods)
    base = np.array([100.0, 200.0, 10.0]) / MT
    prior = np.broadcast_to(base[None, :, None], shape)
    sector, region, period = (a.ravel() for a in np.indices(shape))
    solved = np.array([s not in prescribed for s in sectors], dtype=float)
    spread = 0.3 * prior * solved[:, None, None]
    own = (sector[:, None] == sector) & (region[:, None] == region)
    correlation = np.where(own, together ** np.abs(period[:, None] - period), 0.0)
    square = ("total", "total_2")
    three = ("sector", "region", "period")
    scatter = (sd / MT) * solved[sector]
    data = xr.Dataset(
        {
            "region_total": (three, prior * 1.1),
            "region_total_uncertainty": (three, scatter.reshape(shape)),
            "region_total_prior": (three, prior),
            "region_total_prior_uncertainty": (three, spread),
            "total_averaging_kernel": (square, response * np.diag(solved[sector])),
            "total_test_covariance": (square, np.diag(scatter**2)),
            "total_prior_covariance": (square, correlation * np.outer(spread.ravel(), spread.ravel())),
            "total_covariance": (square, np.diag(scatter**2)),
            "region_label": ("region", ["Beijing", "Tianjin", "outside"]),
            "period_bnds": (("period", "bnds"), np.stack([edges[:-1], edges[1:]], 1)),
            "flux": ((), 0.0, {"substance": "CO2"}),
        },
        coords={
            "sector": list(sectors),
            "region": REGIONS,
            "period": edges[:-1],
            "total_sector": ("total", np.array(sectors)[sector]),
            "total_region": ("total", np.array(REGIONS)[region]),
            "total_period": ("total", period),
        },
        attrs={
            "obsnet_contract": "posterior 1",
            "prior_name": "test prior",
            "regions_source": "test borders",
            "chi_square": 1.0,
            "n_observations": 100,
        }
        | attrs,
    )
    data.to_netcdf(path)
    return path


def inventory(**changes):
    base = {
        "region": ["110000", "120000"],
        "period": ["2019", "2019"],
        "gas": ["CO2", "CO2"],
        "category": ["total", "total"],
        "value": [100.0, 100.0],
        "unit": ["Mt", "Mt"],
        "uncertainty": [0.05, 0.05],
    }
    return pd.DataFrame(base | changes)


@pytest.fixture
def file(tmp_path):
    return posterior(tmp_path / "posterior.nc")


@pytest.mark.parametrize(
    ("in_test", "said"), [("yes", "the test allows for it"), ("no", "need not allow for it")]
)
def test_a_total_that_places_make_uncertain_is_remarked(file, tmp_path, in_test, said):
    """8 % of Beijing and 2 % of Tianjin, of which 7 % and 1 % are flux that is either's: 2 % of their sum."""
    v = np.array([[64.0, -15.5, -48.5], [-15.5, 16.0, -0.5], [-48.5, -0.5, 49.0]]) / MT**2
    data = xr.load_dataset(file, engine="netcdf4").assign_attrs(shares_in_test=in_test)
    data["region_split_covariance"] = (("sector", "region", "region_2"), v[None])
    data.to_netcdf(tmp_path / "split.nc")
    totals = read_totals(tmp_path / "split.nc")
    np.testing.assert_allclose(totals.split_covariance, v * MT**2)
    both = Choices(sums=Sums(groups={"both": ["110000", "120000"]}))
    remarks = compare(totals, inventory(), choices=both).set_index("region")["remark"]
    assert (
        f"may be off by 8% for that; {'the test allows' if in_test == 'yes' else 'the run was told'}"
        in remarks["110000"]
    )
    assert said in remarks["110000"]
    assert not remarks[["120000", "both"]].str.contains("may be off").any()
    assert not compare(read_totals(file), inventory())["remark"].str.contains("may be off").any()


def test_totals_in_megatonnes(file):
    totals = read_totals(file)
    np.testing.assert_allclose(totals.prior, [100, 200, 10])
    np.testing.assert_allclose(totals.posterior, [110, 220, 11])
    np.testing.assert_allclose(np.sqrt(np.diag(totals.noise_covariance)), 5.0)
    np.testing.assert_allclose(np.sqrt(np.diag(totals.prior_covariance)), [30, 60, 3])
    np.testing.assert_allclose(totals.prior_sd, [30, 60, 3])
    np.testing.assert_allclose(totals.posterior_sd, 5.0)
    assert totals.names["110000"] == "Beijing"
    assert (totals.start, totals.stop) == (np.datetime64("2019-01-01"), np.datetime64("2020-01-01"))
    assert totals.prescribed == {}


def test_compare(file):
    table = compare(read_totals(file), inventory()).set_index("region")
    assert list(table.index) == ["110000", "120000"]
    # Beijing: d = 10, inventory equals prior; Tianjin: d = 20 + 0.9 * 100
    np.testing.assert_allclose(table["difference"], [10.0, 110.0], atol=1e-6)
    np.testing.assert_allclose(table["difference_sd"], np.hypot(5.0, 0.9 * 5.0))
    np.testing.assert_allclose(table["margin"], 30.0)
    assert table["verdict"].tolist() == ["consistent", "inconsistent"]
    assert [n[:2] for n in table["name_zh"]] == ["北京", "天津"]
    assert (table["remark"] == "").all()


def test_the_table_says_what_was_compared_and_by_which_rule(file):
    rule = Rule(0.2, 0.6, 2.0, 0.5)
    table = compare(read_totals(file), inventory(terminology="CEADs", source="book", edition="3"), rule=rule)
    row = table.iloc[0]
    said = {
        "period": "2019",
        "inventory_period": "2019",
        "category": "total",
        "terminology": "CEADs",
        "inventory_source": "book 3",
        "prior_name": "test prior",
        "region_source": "test borders",
        "alpha": 0.2,
        "power": 0.6,
        "detectable": 2.0,
        "margin_share": 0.5,
        "adjustment": "Benjamini-Hochberg",
        "level": 0.1,
        "shared": 0.0,
        "chi_square": 1.0,
    }
    assert {k: row[k] for k in said} == said
    assert row["chi_square_low"] < 1.0 < row["chi_square_high"]


def test_small_numbers_do_not_run_together():
    """Macao's 0.0267 and 0.0061 had been 0.02670.0061."""
    table = synthetic.verdicts(posterior=0.0267, posterior_sd=0.0061)
    assert any(" 0.0267 0.0061 " in line for line in table_lines(table))


def test_units_do_not_matter(file):
    totals = read_totals(file)
    one = compare(totals, inventory())
    other = compare(totals, inventory(value=[10000.0, 10000.0], unit=["万吨", "万吨"]))
    np.testing.assert_allclose(one["p_value"], other["p_value"])


@pytest.mark.parametrize(
    ("factor", "told"), [(1.0, False), (1.9, False), (1e-3, True), (12 / 44, True), (1e2, True)]
)
def test_an_inventory_of_another_size_is_told(file, factor, told):
    """Tonnes called kilotonnes, carbon called CO2: a verdict would stand there without a word of it."""
    found = check(read_totals(file), inventory(value=[100.0 * factor, 200.0 * factor])).statistics
    said = found.set_index("statistic")
    assert ("another_size" in said.index) == told
    if told:
        assert said.loc["another_size", "value"] == pytest.approx(1.1 / factor)
        assert said.loc["another_size", "told"] == 1
        assert (
            f"{1.1 / factor:.3g} times the inventory in the median of 2 regions"
            in said.loc["another_size", "text"]
        )


def test_carbon_is_not_carbon_dioxide(file):
    totals = read_totals(file)
    carbon = compare(totals, inventory(gas=["C", "C"], value=[100 * 12.0107 / 44.0095] * 2))
    np.testing.assert_allclose(carbon["inventory"], 100.0)


def test_a_region_without_an_inventory(file):
    rows = inventory().iloc[:1]
    table = compare(read_totals(file), rows)
    assert table["verdict"].tolist()[1] == "not testable"
    assert table["reason"].tolist()[1] == "no inventory"
    assert table["reason_zh"].tolist()[1] == "无清单"
    assert np.isnan(table["inventory"].iloc[1])


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"uncertainty": [np.nan, 0.05]}, ConfigError, "states no uncertainty for 110000"),
        ({"gas": ["CH4", "CH4"]}, ConfigError, "no row for CO2; it has CH4"),
        (
            {"region": ["110000", "120001"]},
            RegionError,
            "'120001' is not in the inversion; nearest: '120000'",
        ),
        ({"category": ["energy", "waste"]}, ConfigError, "no row 'total'"),
        ({"period": ["2018", "2019"]}, ConfigError, "choose a year: 2018, 2019"),
        ({"period": "2015"}, ConfigError, "inventory is of 2015, the inversion of 2019"),
    ],
)
def test_inventories_that_cannot_be_compared(file, changes, error, text):
    with pytest.raises(error, match=text):
        compare(read_totals(file), inventory(**changes))


def test_one_uncertainty_for_all(file):
    table = compare(read_totals(file), inventory(uncertainty=[np.nan, 0.05]), uncertainty=0.2)
    np.testing.assert_allclose(table["inventory_sd"], [20.0, 5.0])
    assert table["remark"].tolist() == ["uncertainty 20% given for it, the inventory states none", ""]


def test_another_year_is_remarked(file):
    choices = Choices(time=TimeChoice(other_year=True))
    table = compare(read_totals(file), inventory(period="2015"), choices=choices)
    assert (table["remark"] == "inventory of 2015 held against the inversion's 2019").all()
    assert (table["inventory_period"] == "2015").all()
    assert table["verdict"].tolist() == ["consistent", "inconsistent"]


def test_january_is_not_a_year(tmp_path):
    totals = read_totals(posterior(tmp_path / "january.nc", edges=("2019-01-01", "2019-02-01")))
    table = compare(totals, inventory())
    assert (table["verdict"] == "not testable").all()
    assert table["reason"].str.startswith("not comparable: the inversion's 2019-01-01 to 2019-02-01").all()
    assert table["difference"].isna().all()
    flat = Choices(time=TimeChoice("flat", 0.04))
    table = compare(totals, inventory(), choices=flat)
    assert table["verdict"].tolist()[1] == "inconsistent"
    np.testing.assert_allclose(table["inventory_sd"], 100 * np.hypot(0.05, 0.04))
    assert table["remark"].str.contains("as if its rate were the same all the time").all()
    assert table["remark_zh"].str.contains("±").all()


def test_the_year_from_months_is_their_mean_rate(tmp_path):
    """Independent months: noise and prior fall with the lengths; by hand from weights days / 365."""
    totals = read_totals(posterior(tmp_path / "p.nc", edges=MONTHS))
    table = compare(totals, inventory())
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) / 365
    np.testing.assert_allclose(table["posterior"], [110.0, 220.0])
    np.testing.assert_allclose(table["posterior_sd"], 5.0 * np.sqrt((days**2).sum()))
    np.testing.assert_allclose(table["prior_sd"], np.array([30.0, 60.0]) * np.sqrt((days**2).sum()))
    np.testing.assert_allclose(table["response"], 0.9)
    np.testing.assert_allclose(
        table["difference_sd"], np.sqrt(25.0 * (days**2).sum() + (0.9 * 5.0) ** 2), rtol=1e-9
    )
    assert (table["period"] == "2019").all()


def test_one_month_of_an_annual_inventory_by_the_priors_profile(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc", edges=MONTHS), period=[0, 1])
    course = np.tile(1.0 + 0.5 * np.cos(2 * np.pi * np.arange(12) / 12), 3)
    totals = replace(totals, prior=totals.prior * course)
    table = compare(totals, inventory(), choices=Choices(time=TimeChoice("prior")))
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    factor = (course[:2] @ days[:2] / days[:2].sum()) / (course[:12] @ days / days.sum())
    np.testing.assert_allclose(table["inventory"], 100.0 * factor)
    np.testing.assert_allclose(table["inventory_sd"], 5.0 * factor)
    assert table["remark"].str.contains("spread in time as the prior is").all()
    assert (table["period"] == "2019-01-01 to 2019-03-01").all()


def test_a_month_meets_a_month(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc", edges=MONTHS, together=0.8))
    table = compare(totals, inventory(period="2019-03", unit="Mt yr-1"))
    assert (table["period"] == "2019-03-01 to 2019-04-01").all()
    # the kernel answers to March alone, so nothing of the other months is in the difference
    np.testing.assert_allclose(table["difference_sd"], np.hypot(5.0, 0.9 * 5.0))


def test_choices(tmp_path):
    path = posterior(tmp_path / "p.nc", sectors=("fossil", "land"), edges=MONTHS[:3])
    with pytest.raises(ConfigError, match="choose a sector: fossil, land"):
        read_totals(path)
    with pytest.raises(ConfigError, match="no sector 'fosil'; nearest: 'fossil'"):
        read_totals(path, "fosil", 0)
    with pytest.raises(ConfigError, match="no period 2; there are 2, from 0"):
        read_totals(path, "fossil", 2)
    totals = read_totals(path, "land", 1)
    assert totals.averaging_kernel.shape == (6, 6)
    assert totals.start == np.datetime64("2019-02-01")


def test_totals_in_any_order_of_the_file(tmp_path):
    path = posterior(tmp_path / "p.nc", edges=MONTHS[:3])
    data = xr.load_dataset(path, engine="netcdf4")
    kernel = np.arange(36.0).reshape(6, 6)
    data["total_averaging_kernel"] = (("total", "total_2"), kernel)
    back = data.isel(total=[5, 2, 0, 1, 4, 3], total_2=[5, 2, 0, 1, 4, 3])
    back.to_netcdf(tmp_path / "q.nc")
    np.testing.assert_array_equal(read_totals(tmp_path / "q.nc").averaging_kernel, kernel)


def test_a_run_that_does_not_fit_gives_no_verdict(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc", chi_square=173.0, n_observations=60))
    table = compare(totals, inventory())
    assert (table["verdict"] == "not testable").all()
    assert (
        table["reason"].str.startswith("the run does not fit its own errors (chi-square 173, expected").all()
    )
    assert table["p_value"].isna().all()
    allowed = compare(totals, inventory(), choices=Choices(chi_square=(0.1, 200.0)))
    assert allowed["verdict"].tolist() == ["consistent", "inconsistent"]
    assert allowed["remark"].str.contains("accepted within 0.1 to 200 as asked").all()


def test_prescribed_sectors_have_to_be_stated(tmp_path):
    path = posterior(tmp_path / "p.nc", sectors=("fossil", "land"), prescribed=("land",))
    totals = read_totals(path, "fossil")
    table = compare(totals, inventory())
    assert (table["verdict"] == "not testable").all()
    assert table["reason"].str.startswith("sector land is prescribed without error").all()
    exact = compare(totals, inventory(), choices=Choices(prescribed={"land": 0.0}))
    assert exact["remark"].tolist() == ["prescribed sector land taken as exact"] * 2
    assert exact["verdict"].tolist() == ["consistent", "inconsistent"]
    unknown = compare(totals, inventory(), choices=Choices(prescribed={"land": 0.3}))
    assert unknown["reason"].str.contains("does not say how the totals answer to it").all()
    with pytest.raises(
        ConfigError, match="--prescribed sea: the inversion does not prescribe it; nearest|there is: 'land'"
    ):
        compare(totals, inventory(), choices=Choices(prescribed={"sea": 0.3}))


def test_prescribed_sectors_are_in_the_variance(tmp_path):
    path = posterior(tmp_path / "p.nc", sectors=("fossil", "land"), prescribed=("land",))
    data = xr.load_dataset(path, engine="netcdf4")
    data["prescribed"] = ("prescribed", ["land"])
    data["total_prescribed_response"] = (("prescribed", "total"), np.array([[20.0, -40, 0, 0, 0, 0]]) / MT)
    data.to_netcdf(tmp_path / "q.nc")
    table = compare(
        read_totals(tmp_path / "q.nc", "fossil"), inventory(), choices=Choices(prescribed={"land": 0.25})
    )
    np.testing.assert_allclose(
        table["difference_sd"] ** 2, 25.0 + 0.9**2 * 25.0 + np.array([5.0, 10.0]) ** 2, rtol=1e-9
    )
    assert table["remark"].str.contains("taken as uncertain by 25%").all()


def test_a_sector_that_was_prescribed_cannot_be_tested(tmp_path):
    path = posterior(tmp_path / "p.nc", sectors=("fossil", "land"), prescribed=("land",))
    table = compare(read_totals(path, "land"), inventory(), choices=Choices(prescribed={"land": 0.0}))
    assert (table["reason"] == "the inversion does not solve for it").all()


def test_groups_are_tested_besides(file):
    totals = read_totals(file)
    choices = Choices(sums=Sums({"both": ["110000", "120000"]}))
    table = compare(totals, inventory(value=[100.0, 200.0]), choices=choices).set_index("region")
    assert list(table.index) == ["110000", "120000", "both"]
    row = table.loc["both"]
    np.testing.assert_allclose(
        [row["inventory"], row["inventory_sd"], row["posterior"]], [300.0, 15.0, 330.0]
    )
    np.testing.assert_allclose(row["difference_sd"], np.sqrt(2 * 25.0 + (0.9 * 15.0) ** 2))
    np.testing.assert_allclose(row["difference"], 30.0)
    assert "sum of Beijing, Tianjin, their inventories" in row["remark"]
    assert table["level"].tolist() == [0.05 / 2, 0.05 / 2, 0.05]  # a family of its own
    missing = compare(totals, inventory().iloc[:1], choices=choices).set_index("region")
    assert missing.loc["both", "reason"] == "no inventory of Tianjin"
    assert missing.loc["both", "reason_zh"] == "天津市 无清单"
    for groups, text in (
        ({"both": ["110000"]}, "needs two regions"),
        ({"both": ["110000", "110000"]}, "needs two regions or more, each once"),
        ({"110000": ["110000", "120000"]}, "named like a region"),
        ({"both": ["110000", "120001"]}, "no region '120001'; nearest: '120000'"),
    ):
        with pytest.raises(ConfigError, match=text):
            compare(totals, inventory(), choices=Choices(sums=Sums(groups)))


def test_a_category_is_named(file):
    rows = inventory(category="2.A.1", terminology="CRT")
    table = compare(read_totals(file), rows, choices=Choices(rows=RowChoice(category="2.A.1")))
    assert (table["category"] == "2.A.1").all()
    assert (
        table["remark"]
        .str.startswith("category 2.A.1 CRT of the inventory stands for the sector fossil")
        .all()
    )


def test_shared_errors_are_printed(file):
    table = compare(read_totals(file), inventory(), choices=Choices(shared=0.5))
    assert (table["shared"] == 0.5).all()
    assert table["remark"].str.contains("share errors, correlation 0.5").all()


def test_carbon_in_a_row_of_co2_is_asked_about(file):
    totals = read_totals(file, "fossil")
    remark = compare(totals, inventory(value=[25.0, 190.0]))["remark"][0]
    assert "12/44 of what CEADs lets expect: 1, first 110000 2019 (25 Mt): is it carbon" in remark
    assert "CEADs" not in compare(totals, inventory())["remark"][0]


def test_sectors_that_are_not_told_apart_are_remarked(tmp_path):
    note = "fossil cannot be told from land: its total answers to 30% ..."
    totals = read_totals(posterior(tmp_path / "p.nc", sectors_not_told_apart=note))
    assert compare(totals, inventory())["remark"].str.contains("do not tell fossil from another sector").all()


def test_what_the_runs_checks_found_is_passed_on(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc", checks="3 rows of AAA rejected\noffset of BBB 2 ppm"))
    remark = compare(totals, inventory())["remark"].iloc[0]
    assert remark == "the run's checks: 3 rows of AAA rejected; the run's checks: offset of BBB 2 ppm"


def test_files_that_are_no_posterior(tmp_path):
    (tmp_path / "x.nc").write_text("hello")
    with pytest.raises(FormatError, match="cannot be read as netCDF"):
        read_totals(tmp_path / "x.nc")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "y.nc")
    with pytest.raises(FormatError, match="not a posterior file; make one with `obsnet invert`"):
        read_totals(tmp_path / "y.nc")


def test_written_table_reads_back(file, tmp_path):
    source = tmp_path / "inventory.csv"
    inventory().to_csv(source, index=False)
    out = tmp_path / "out" / "provinces.csv"
    found = crosscheck_files(file, source, CrosscheckOptions(alpha=0.2, detectable=2.0), out)
    table = found.table
    covariance = read_covariance(beside(out, "covariance"))
    np.testing.assert_allclose(covariance, found.covariance, rtol=1e-5)
    back = read_table(out)
    np.testing.assert_allclose(back["difference"], table["difference"], rtol=1e-5)
    for column in (
        "verdict",
        "reason",
        "remark",
        "period",
        "inventory_period",
        "alpha",
        "detectable",
        "category",
    ):
        assert back[column].tolist() == table[column].tolist()


def test_tables_that_do_not_say_their_rule(file, tmp_path):
    out = tmp_path / "provinces.csv"
    compare(read_totals(file), inventory()).drop(columns=["alpha", "power"]).to_csv(out, index=False)
    with pytest.raises(
        FormatError, match="not a table of this version's `obsnet crosscheck`.*no column alpha, power"
    ):
        read_table(out)
    mixed = compare(read_totals(file), inventory())
    mixed.assign(alpha=[0.05, 0.2]).to_csv(out, index=False)
    with pytest.raises(FormatError, match="several rules"):
        read_table(out)
    mixed.iloc[:0].to_csv(out, index=False)
    with pytest.raises(FormatError, match="no rows"):
        read_table(out)
