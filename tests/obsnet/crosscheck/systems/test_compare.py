"""Several systems side by side: both spreads, what is shared, what is refused; files and pictures in both languages."""

import csv
import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from obsnet.command import Command
from obsnet.commands.compare import compare
from obsnet.crosscheck.systems.figure import spread_figure, write_spread_figures
from obsnet.crosscheck.systems.lines import compared_lines, write_compared
from obsnet.crosscheck.systems.options import ComparisonOptions
from obsnet.crosscheck.systems.run import compare_systems
from obsnet.crosscheck.systems.spread import spread_table
from obsnet.crosscheck.systems.words import HEADINGS
from obsnet.errors import ConfigError, ObsnetError, RegionError
from tests.obsnet.crosscheck.systems.made import MIDDLE, country_file, flux_file
from tests.obsnet.crosscheck.systems.test_tables import REAL
from tests.obsnet.crosscheck.verdicts.test_table import MONTHS, posterior


def compared(*systems, **options):
    return compare_systems(ComparisonOptions(systems=list(map(str, systems)), **options))


def constant(*values):
    return np.tile(np.array(values, float), (12, 1))


@pytest.fixture
def three(tmp_path):
    values = {"a": (1.0, 5.0), "b": (2.0, 5.0), "c": (4.5, 5.0)}
    model = {"a": "NAME", "b": "NAMEIII", "c": "TM5"}
    sd = constant(0.3, 0.4)
    return [
        f"{n}={country_file(tmp_path / f'{n}.nc', constant(*v), sd, transport_model=model[n])}"
        for n, v in values.items()
    ]


def test_both_spreads_and_nothing_divided_by_the_number_of_systems(three):
    found = compared(*three, period=["2023-05"])
    row = found.spread.set_index("region").loc["DEU"]
    assert row["mean"] == pytest.approx(2.5)
    assert row["within_sd"] == pytest.approx(0.3)
    assert row["between_sd"] == pytest.approx(np.std([1, 2, 4.5], ddof=1))
    assert row["total_sd"] == pytest.approx(np.hypot(0.3, row["between_sd"]))
    assert row["gap_in_sd"] == pytest.approx(3.5 / np.hypot(0.3, 0.3))
    assert (row["lowest_system"], row["highest_system"], row["stated"]) == ("a", "c", 3)
    # the same systems many times over are no surer
    many = pd.concat([found.systems.assign(system=lambda t, k=k: t["system"] + str(k)) for k in range(10)])
    again = spread_table(many).set_index("region").loc["DEU"]
    assert again["within_sd"] == pytest.approx(row["within_sd"])
    assert again["between_sd"] > 0.8 * row["between_sd"]
    assert "a, b share their transport (NAME): their errors are not independent" in found.notes


def test_systems_that_differ_far_beyond_what_they_state(sample_data):
    folder = sample_data / "posteriors/paris_posteriors"
    found = compared(
        *(f"{n}={folder / f}" for n, f in REAL.items()), period=["2023"], region=["DEU", "Benelux"]
    )
    row = found.spread.set_index("region").loc["DEU"]
    assert row["between_sd"] > 2 * row["within_sd"]
    assert row["gap_in_sd"] > 5
    assert any("ELRIS, InTEM, RHIME share their transport (NAME)" in n for n in found.notes)
    parts = found.systems[found.systems["region"] == "BEL+LUX+NLD"].set_index("system")
    assert parts.loc["ELRIS", "how"] == "sum of its parts"
    assert parts.loc["ELRIS", "sd"] > 0  # by its covariance
    assert parts.loc["InTEM", "how"] == ""


def test_a_sum_of_parts_without_a_covariance_has_no_error(three):
    found = compared(*three, period=["2023"], region=["DEU+FRA"])
    assert found.systems["total"].tolist() == pytest.approx([6.0, 7.0, 9.5])
    assert found.systems["sd"].isna().all()
    assert np.isnan(found.spread["within_sd"].iloc[0])


def test_other_quantities_and_gases_are_not_set_beside_each_other(tmp_path, three):
    budgets = tmp_path / "b.csv"
    budgets.write_text(
        "Alpha 3 Code,Year,IS NCE (TgCO2),IS NCE unc (TgCO2)\nDEU,2023,500,50\nFRA,2023,300,50\n"
    )
    found = compared(*three, f"mip={budgets}", period=["2023"], region=["DEU"])
    assert found.spread["systems"].tolist() == [3, 1]
    only = tmp_path / "d.nc"
    country_file(only, constant(3.0), constant(0.1), regions=("POL",))
    wide = compared(three[0], f"d={only}", period=["2023"], region=["DEU", "POL"])
    assert {"DEU: not a region of d", "POL: not a region of a"} <= set(wide.notes)
    assert any(
        "different quantities are not set beside each other: CH4 total, CO2 NCE" in n for n in found.notes
    )


def test_periods_that_some_lack(tmp_path, three):
    early = country_file(tmp_path / "d.nc", constant(1, 1)[:6], times=np.array(
        [f"2023-{m:02d}-15" for m in range(1, 7)], "datetime64[ns]"))  # fmt: skip
    found = compared(three[0], f"d={early}", period=["2023", "2023-02"])
    assert any("2023: not whole in d, left out there" in n for n in found.notes)
    assert found.spread.groupby("period")["systems"].max().to_dict() == {
        "2023": 1,
        "2023-02-01 to 2023-03-01": 2,
    }
    with pytest.raises(
        ConfigError, match="no system has 2019 whole; there is a: 2023; d: 2023-01-01 to 2023-07-01"
    ):
        compared(three[0], f"d={early}", period=["2019"])


@pytest.mark.parametrize(
    ("systems", "options", "said"),
    [
        (["{a}", "{a}"], {}, "two systems are called 'a'"),
        (["{a}"], {"region": ["POL"]}, "no system has the region 'POL'"),
        (["{a}"], {"period": ["20x3"]}, "is no time"),
        (["x=paris:none.nc"], {}, "no such file"),
        (["x=none.txt"], {}, "cannot be read as a table"),
    ],
)
def test_what_cannot_be_compared_is_one_line(three, systems, options, said):
    with pytest.raises(ObsnetError, match=said) as caught:
        compared(*(s.format(a=three[0]) for s in systems), **options)
    assert "\n" not in str(caught.value)


def test_what_a_grid_does_not_resolve_is_said(tmp_path):
    lat, lon = np.arange(3.5, 55), np.arange(70.5, 140)
    path = flux_file(tmp_path / "a.nc", np.full((1, lat.size, lon.size), 1e-7), lat, lon, MIDDLE[:1])
    found = compared(f"a=grid:{path};gas=CO2;period=2023", region=["北京", "河北", "澳门", "China"])
    assert any("a: cells of 1 x 1 degree do not resolve Beijing, Macao" in n for n in found.notes)
    assert found.spread.set_index("region")["unresolved_by"].to_dict() == {
        "110000": "a", "130000": "", "820000": "a", "CHN": ""}  # fmt: skip
    assert sum("not resolved by 1 x 1 degree cells" in line for line in compared_lines(found)) == 2


def test_a_sum_of_regions_is_no_single_one(tmp_path):
    """What places cost is known of regions, not of a sum of two; a nation and its province are no sum at all."""
    lat, lon = np.arange(15.5, 55), np.arange(70.5, 140)
    path = flux_file(tmp_path / "a.nc", np.full((1, lat.size, lon.size), 1e-7), lat, lon, MIDDLE[:1])
    system = f"a=grid:{path};gas=CO2;period=2023"
    found = compared(system, region=["110000+120000"]).systems.iloc[0]
    assert (found["how"], found["resolved"]) == ("sum of its parts", None)
    assert np.isnan(found["split_sd"])
    with pytest.raises(RegionError, match="CHN holds 110000, which would count twice"):
        compared(system, region=["CHN+110000"])


def test_a_region_that_one_system_lacks_is_said(tmp_path, three):
    gap = country_file(tmp_path / "g.nc", constant(np.nan, 5.0), constant(0.3, 0.4), levels=None)
    found = compared(three[0], f"g={gap}", period=["2023"])
    assert found.spread.set_index("region")["systems"].to_dict() == {"DEU": 1, "FRA": 2}
    assert "2023: g has no total of DEU" in found.notes


def test_a_deviation_of_nothing_is_none(tmp_path):
    path = country_file(tmp_path / "z.nc", constant(1, 5), constant(0.0, 0.4), levels=None)
    found = compared(f"z={path}", period=["2023-01"])
    np.testing.assert_array_equal(found.systems["sd"], [np.nan, 0.4])
    assert "z: states a deviation of 0 for DEU: taken as none" in found.notes


def test_ones_own_posterior_stands_among_them(tmp_path):
    path = posterior(tmp_path / "posterior.nc", edges=MONTHS)
    found = compared(f"ours={path}", period=["2019", "2019-02"])
    rows = found.systems.set_index(["period", "region"])
    assert set(found.systems["region"]) == {"110000", "120000"}
    assert rows.loc[("2019", "110000"), "total"] == pytest.approx(110.0)
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    assert rows.loc[("2019", "110000"), "sd"] == pytest.approx(5.0 * np.sqrt((days**2).sum()) / 365)
    assert rows.loc[("2019-02-01 to 2019-03-01", "120000"), "sd"] == pytest.approx(5.0)


def test_a_region_called_script(tmp_path):
    name = "<script>alert(1)</script> $x^2$"
    both = {"regions": (name, "DEU"), "sd": constant(0.1, 0.1)}
    paths = [country_file(tmp_path / f"{n}.nc", constant(k, 1), **both) for k, n in ((1, "a"), (2, "b"))]
    found = compared(*paths, period=["2023"])
    assert name in set(found.spread["region"])
    assert any(name in line for line in compared_lines(found))
    written = write_compared(found, tmp_path / "out")
    with open(written[1], newline="", encoding="utf-8-sig") as stream:
        assert name in {r["region"] for r in csv.DictReader(stream)}
    write_spread_figures(found.systems, found.spread, tmp_path / "out")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_files_lines_and_pictures_in_both_languages(tmp_path, three, language):
    found = compared(*three, period=["2023"])
    written = write_compared(found, tmp_path, language)
    head = written[1].read_bytes()
    assert head.startswith(b"\xef\xbb\xbf")
    first = head.decode("utf-8-sig").split("\n", 1)[0]
    assert ("系统间标准差" in first) == (language == "zh")
    data = json.loads(written[2].read_text(encoding="utf-8"))
    assert {"systems", "spread", "notes", "unit"} == set(data)
    lines = " ".join(compared_lines(found, language))
    assert ("系统内" in lines) == (language == "zh")
    figure = spread_figure(found.systems, found.spread, language)
    labels = " ".join(a.get_xlabel() for a in figure.axes)
    assert ("standard deviation" in labels) == (language == "en")
    plt.close(figure)
    assert len(write_spread_figures(found.systems, found.spread, tmp_path, language)) == 1
    assert set(found.systems.columns) | set(found.spread.columns) == set(HEADINGS)


def test_the_command(tmp_path, three):
    assert isinstance(compare, Command)
    code = (
        "from obsnet.commands.compare import compare; import typer; "
        "a = typer.Typer(); a.command()(compare.function()); a()"
    )
    run = [sys.executable, "-c", code, *three, "--period", "2023", "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["spread"]) == 2
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "compare.json", "compare_CH4_total_2023.png", "spread.csv", "systems.csv"]  # fmt: skip
