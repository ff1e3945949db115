"""Trends: closed forms, what years have in common, rates over drawn series, files."""

import json

import numpy as np
import pandas as pd
import pytest

from obsnet.commands.trend import trend as trend_command
from obsnet.crosscheck.trend.kernel import mann_kendall, memory, slope_covariance, trend
from obsnet.crosscheck.trend.run import read_series, trends
from obsnet.crosscheck.verdicts.lines import trend_lines
from obsnet.crosscheck.verdicts.options import CrosscheckOptions
from obsnet.crosscheck.verdicts.run import crosscheck_files
from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError
from obsnet.report.sections.optional import optional_sections
from tests.commands import call
from tests.obsnet.crosscheck.verdicts.test_table import inventory, posterior

T = np.arange(2005.0, 2020.0)


def test_ordinary_least_squares():
    """Equal independent errors: var = s^2 / sum (t - mean)^2."""
    y = 100 + 3 * (T - 2005) + np.sin(T)
    found = trend(T, y, np.full(15, 2.0))
    assert found.slope == pytest.approx(np.polyfit(T - 2012, y, 1)[0])
    assert found.sd == pytest.approx(2.0 / np.sqrt(280.0))


def test_a_factor_in_common_cancels():
    """All years 10 % too high: the slope is 10 % too high, and no more."""
    y = 100 + 3 * (T - 2005)
    own = trend(T, y, np.full(15, 2.0))
    found = trend(T, y, np.full(15, 2.0), factor=0.1)
    assert found.slope == pytest.approx(3.0)
    assert found.sd == pytest.approx(np.sqrt(own.sd**2 + (0.1 * 3.0) ** 2))
    # the same 10 % as errors of each year by itself
    assert trend(T, y, 0.1 * y).sd > 2 * found.sd
    # it is the variance of the full generalised least squares, whose weights it does not change
    full = 4.0 * np.eye(15) + 0.01 * np.outer(y, y)
    x = np.stack([np.ones(15), T - T.mean()], 1)
    cov = np.linalg.inv(x.T @ np.linalg.solve(full, x))
    assert found.sd == pytest.approx(np.sqrt(cov[1, 1]))


def test_memory_makes_trends_less_certain():
    sd = [trend(T, T, np.full(15, 2.0), rho=rho).sd for rho in (0.0, 0.5, 0.9)]
    assert sd[0] < sd[1] < sd[2]
    np.testing.assert_allclose(memory(np.array([0.0, 1, 3]), 0.5)[0], [1, 0.5, 0.125])


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_stated_errors_are_true(rho):
    """Series drawn with memory and a common factor: z of the slope, and of the difference of two that share."""
    rng = np.random.default_rng(5)
    n, draws, truth, factor, shared = len(T), 1500, 200 + 4 * (T - 2005), 0.05, 0.6
    root = np.linalg.cholesky(np.outer(np.full(n, 6.0), np.full(n, 6.0)) * memory(T, rho))
    z, zd = [], []
    for _ in range(draws):
        e = rng.standard_normal((2, n))
        f = rng.standard_normal(2)
        e[1], f[1] = shared * e[0] + 0.8 * e[1], shared * f[0] + 0.8 * f[1]
        y = [truth * (1 + factor * f[k]) + root @ e[k] for k in (0, 1)]
        a, b = (trend(T, v, np.full(n, 6.0), rho, factor) for v in y)
        both = slope_covariance(a, b, T, (np.full(n, 6.0),) * 2, (rho, rho), (factor, factor), shared)
        z.append((a.slope - 4.0) / a.sd)
        zd.append((a.slope - b.slope) / np.sqrt(a.sd**2 + b.sd**2 - 2 * both))
    for values in (z, zd):
        assert np.mean(np.square(values)) == pytest.approx(1.0, abs=4 * np.sqrt(2 / draws) + 0.01)


def test_scatter_says_that_errors_are_too_small():
    rng = np.random.default_rng(1)
    y = 3 * T + 10 * rng.standard_normal(15)
    assert trend(T, y, np.full(15, 1.0)).scatter > 5
    assert trend(T, y, np.full(15, 10.0)).scatter == pytest.approx(1.0, abs=0.4)


def test_mann_kendall_by_hand():
    """Ten rising values: S = 45, var = 10 x 9 x 25 / 18 = 125, z = 44 / sqrt(125)."""
    from scipy.stats import norm

    found = mann_kendall(np.arange(10.0), np.arange(10.0) * 2)
    assert found.slope == 2.0
    assert found.p == pytest.approx(2 * norm.sf(44 / np.sqrt(125.0)))
    tied = mann_kendall(np.arange(4.0), np.array([1.0, 1.0, 2.0, 2.0]))
    # S = 4, var = (4 x 3 x 13 - 2 x 2 x 1 x 9) / 18
    assert tied.p == pytest.approx(2 * norm.sf(3 / np.sqrt((156 - 36) / 18)))
    assert mann_kendall(np.arange(5.0), np.ones(5)).p == pytest.approx(1.0)


@pytest.mark.parametrize(("n", "rho"), [(15, 0.5), (30, 0.6), (30, 0.0)])
def test_the_rank_test_knows_memory(n, rho):
    """Series without trend: called at the nominal rate, where the plain variance calls many more."""
    rng, draws, times = np.random.default_rng(8), 600, np.arange(float(n))
    root = np.linalg.cholesky(memory(times, rho))
    from scipy.stats import kendalltau

    plain, known = 0, 0
    for k in range(draws):
        y = root @ rng.standard_normal(n)
        known += mann_kendall(times, y, rho).p < 0.05
        plain += kendalltau(times, y).pvalue < 0.05 if k < 300 else 0
    assert known / draws == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / draws))
    assert (plain / 300 > 0.12) == (rho > 0)


def series(**slopes):
    years = np.arange(2010, 2020)
    return pd.concat(
        [
            pd.DataFrame(
                {"region": "130000", "source": s, "year": years, "value": 500 + b * (years - 2010), "sd": 5.0}
            )
            for s, b in slopes.items()
        ],
        ignore_index=True,
    )


def test_the_table():
    table = trends(series(inventory=4.0, inversion=8.0, other=4.1))
    assert table["kind"].tolist() == ["trend"] * 3 + ["difference"] * 3
    assert table["name_zh"].tolist()[0] == "河北省"
    row = table[table["source"] == "inventory - inversion"].iloc[0]
    sd = 5 / np.sqrt(82.5)
    assert row["slope"] == pytest.approx(-4.0)
    assert row["slope_sd"] == pytest.approx(sd * np.sqrt(2))
    assert row["differ"] == "yes"
    assert table[table["source"] == "inventory - other"]["differ"].tolist() == ["no"]
    assert table["percent"].iloc[0] == pytest.approx(100 * 4 / 518)
    same = trends(series(inventory=4.0, inversion=8.0), shared=0.9).iloc[-1]
    assert same["slope_sd"] == pytest.approx(sd * np.sqrt(0.2))


def test_series_that_are_not_alike(tmp_path, capsys):
    """Units, gases, sectors and years that differ are refused; names of one province are one; few years are said."""
    path, good = tmp_path / "t.csv", series(a=1.0, b=2.0)

    def read(frame):
        frame.to_csv(path, index=False)
        return read_series(path)

    for column, values in (("unit", ("Mt", "kt")), ("gas", ("CO2", "C")), ("sector", ("fossil", "net"))):
        with pytest.raises(
            ConfigError, match=f"column {column} of the series has {min(values)}, {max(values)}"
        ):
            trends(read(good.assign(**{column: np.repeat(values, 10)})))
    spelt = good.assign(region=["130000", *["河北"] * 10, *["Hebei"] * 9], source=good["source"] + " ")
    pd.testing.assert_frame_equal(trends(read(spelt)), trends(read(good)))
    read(good.assign(year=good["year"] + np.repeat([0, 8], 10)))
    call(trend_command, path, "--out", tmp_path)
    assert "Hebei: a and b have fewer than three years in common, no difference" in capsys.readouterr().out
    verdicts = {
        "region": "130000",
        "inventory": 9.0,
        "inventory_sd": 1.0,
        "posterior": 9.0,
        "posterior_sd": 1.0,
        "response": 0.9,
        "verdict": "consistent",
    }
    rows = pd.DataFrame([verdicts | {"inventory_period": "2018", "period": "2018-01-03 to 2019-01-02"}])
    assert read(rows)["year"].tolist() == [2018.0, 2018.0]
    for period in ("2021", "2018-01-01 to 2018-02-01", "2018-01-01 to 2018-02-01, 2018-05-01 to 2018-06-01"):
        with pytest.raises(
            FormatError, match="an inversion of 20.* an inventory of 2018, which make no one year"
        ):
            read(rows.assign(period=period))


def test_what_is_refused(tmp_path):
    good = series(a=1.0)
    with pytest.raises(ConfigError, match="--factor inventry: no such source; .*'a'"):
        trends(good, factor={"inventry": 0.1})
    with pytest.raises(SchemaError, match="a of 130000: 2010 stands there twice"):
        trends(pd.concat([good, good.iloc[:1]]))
    with pytest.raises(RangeError, match="a of 130000: 2012 has no value or no sd above 0"):
        trends(good.assign(sd=[5.0, 5, 0, *[5] * 7]))
    with pytest.raises(RangeError, match="three years and more"):
        trends(good.iloc[:2])
    with pytest.raises(RangeError, match="from 0 to below 1"):
        trends(good, rho={"a": 1.0})
    for year, value, text in (
        ("20l5", "3", "row 3: year '20l5' is no year"),
        ("2015", "much", "value 'much'"),
    ):
        rows = f"source,year,value,sd\na,2014,2,1\na,{year},{value},1\n"
        (tmp_path / "x.csv").write_text(rows)
        with pytest.raises(RangeError, match=text):
            read_series(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text("source,year,value,sd,response\na,2014,2,1,90\n")
    with pytest.raises(RangeError, match="row 2: response '90' is no response"):
        read_series(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FormatError, match="neither a series"):
        read_series(tmp_path / "x.csv")


def test_from_the_verdicts_of_several_years(tmp_path, capsys):
    files = []
    for k, year in enumerate((2017, 2018, 2019)):
        folder = tmp_path / str(year)
        folder.mkdir()
        files.append(folder / "provinces.csv")
        pd.DataFrame(
            {
                "region": ["130000"],
                "inventory": [900.0 + 10 * k],
                "inventory_sd": [5.0],
                "posterior": [950.0 + 40 * k],
                "posterior_sd": [5.0],
                "response": [0.9],
                "verdict": ["consistent"],
                "inventory_period": [str(year)],
            }
        ).to_csv(files[-1], index=False)
    call(trend_command, *files, "--out", tmp_path, "--factor", "inventory=0.05", "--json")
    said = json.loads(capsys.readouterr().out)["trends"]
    assert [(r["source"], round(r["slope"], 6)) for r in said] == [
        ("inventory", 10.0),
        ("inversion", 40.0),
        ("inventory - inversion", -30.0),
    ]
    assert said[0]["slope_sd"] == pytest.approx(np.sqrt(12.5 + 0.25))
    call(trend_command, *files, "--out", tmp_path)
    assert "the trends differ" in capsys.readouterr().out
    (section,), (chinese,) = (optional_sections(tmp_path, language)["trends"] for language in ("en", "zh"))
    assert section.rows[0][:3] == ("Hebei", "inventory", "2017–2019")
    assert chinese.rows[0][:3] == ("河北省", "清单", "2017–2019")
    assert (section.rows[2][1], chinese.rows[2][1]) == ("inventory − inversion", "清单 − 反演")
    assert (section.rows[2][-2], chinese.rows[2][-2]) == ("yes", "是")
    assert (section.rows[1][-3:], section.rows[0][-3]) == (("90%", "", ""), "–")
    assert section.picture.startswith(b"\x89PNG")
    pd.read_csv(files[0]).assign(inventory_period="2017-01").to_csv(files[0], index=False)
    with pytest.raises(FormatError, match="which is no year"):
        call(trend_command, *files, "--out", tmp_path)


def seen(response, slope=0.0, level=900.0, verdict="consistent"):
    """Return a series of five years with what the verdicts say of it."""
    years, share = np.arange(2015, 2020), np.broadcast_to(response, 5)
    values = level + slope * (years - 2015)
    columns = {"year": years, "value": values, "sd": 5.0, "response": share, "verdict": verdict}
    return pd.DataFrame({"region": "130000", "source": "inversion"} | columns)


def test_the_observed_share_of_a_slope():
    """Truth departs from a prior by a slope and by a level: the inversion shows each year's share of it."""
    years, share = np.arange(5.0), np.array([0.1, 0.3, 0.2, 0.6, 0.8])
    for slope, level in ((4.0, 0.0), (0.0, 50.0), (4.0, 50.0)):
        part = seen(share).assign(value=900 + share * (slope * (years - 2) + level))
        found = trends(part).iloc[0]
        expected = found["response"] * slope + found["response_slope"] * level
        assert found["slope"] == pytest.approx(expected)
    assert found["response"] == pytest.approx(0.45)
    assert found["response_slope"] == pytest.approx(0.17)
    assert (
        "the observed share of inversion changes by +17.0% a year: a prior that is 10% off" in found["remark"]
    )
    some = trends(seen([0.9, 0.9, np.nan, 0.9, 0.9])).iloc[0]
    assert some["remark"] == "of 1 of 5 years the table does not say what of inversion was observed"
    assert trends(seen(0.7)).iloc[0][["response", "remark"]].tolist() == [pytest.approx(0.7), ""]


def test_a_trend_of_the_prior_is_told_and_not_tested():
    """A steep trend that no observation made is no discovery, and does not count among the tests."""
    stated = series(inventory=0.0).assign(response=np.nan, verdict="")
    stated = stated[stated["year"].between(2015, 2019)]
    other = pd.concat([stated, seen(0.9, 3.0)]).assign(region="110000")
    both = pd.concat([stated, seen(0.05, 300.0, verdict="not testable"), other], ignore_index=True)
    table = trends(both)
    differences = table[table["kind"] == "difference"].set_index("region")
    assert differences["differ"].to_dict() == {"130000": "prior", "110000": "no"}
    assert np.isnan(differences["p_adjusted"]["130000"])
    assert differences["p_adjusted"]["110000"] == pytest.approx(differences["p"]["110000"])
    mine = table[(table["region"] == "130000") & (table["source"] == "inversion")].iloc[0]
    assert mine["remark"] == (
        "mostly the prior's: observations determine 5% of the trend of inversion; "
        "inversion was not testable in 5 of 5 years"
    )
    assert mine["remark_zh"] == "主要来自先验：反演的趋势仅有 5% 由观测决定；反演在 5 年中有 5 年无法检验"
    told = "\n".join(trend_lines(table))
    assert told.count("mostly the prior's") == 2
    assert "the trends differ" not in told


def test_observations_withdrawn(tmp_path, capsys):
    """Runs of three years through the commands: without observations the trend is said to be the prior's."""
    for response in (0.9, 0.0):
        files = []
        for k, year in enumerate((2018, 2019, 2020)):
            folder = tmp_path / f"{response}" / str(year)
            folder.mkdir(parents=True)
            edges = (f"{year}-01-01", f"{year + 1}-01-01")
            run = posterior(
                folder / "posterior.nc", response=response, sd=5.0 if response else 30.0, edges=edges
            )
            inventory(period=[str(year)] * 2, value=[104.0 + k, 208.0]).to_csv(folder / "in.csv", index=False)
            crosscheck_files(run, folder / "in.csv", CrosscheckOptions(), folder / "provinces.csv")
            files.append(folder / "provinces.csv")
        out = tmp_path / f"{response}"
        call(trend_command, *files, "--out", out)
        said = capsys.readouterr().out
        assert ("observations determine 0% of the trend" in said) == (response == 0.0)
        assert ("was not testable in 3 of 3 years" in said) == (response == 0.0)
        for language, text, none in (
            ("en", "mostly the prior's", "by the prior"),
            ("zh", "主要来自先验", "仅先验"),
        ):
            (section,) = optional_sections(out, language)["trends"]
            beijing = next(r for r in section.rows if r[1] in {"inversion", "反演"})
            assert (text in beijing[-1]) == (response == 0.0)
            assert any(r[-2] == none for r in section.rows) == (response == 0.0)
