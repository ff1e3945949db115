"""The commands as a user types them: text in both languages, JSON, tables, one line for a mistake."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from obsnet import cli
from obsnet.command import Command, Group, load
from obsnet.errors import ConfigError, ObsnetError
from obsnet.inventory.table import read_inventory
from tests.obsnet.nowcast.made import REGIONS, indicator_frame, inventory_frame, world, write

APP = load("obsnet.commands.nowcast:app")
SOME = REGIONS[:8]
YEARS = np.arange(2007, 2019)
QUICK = ("--draws", 150)


def run(*words, code=0):
    done = CliRunner().invoke(cli._group(APP), [str(w) for w in words])
    assert done.exit_code == code, done.output
    return done


def refused(*words):
    done = CliRunner().invoke(cli._group(APP), [str(w) for w in words])
    assert isinstance(done.exception, ObsnetError), done.exception
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nowcast")
    made = world(1, regions=SOME, years=YEARS)
    write(inventory_frame(made), folder / "v.csv")
    write(indicator_frame(made, layout="running"), folder / "i.csv")
    return folder


def test_every_command_loads_and_brings_no_pandas():
    assert isinstance(APP, Group)
    assert all(
        isinstance(load(p), Command) and load(p).help and load(p).function() for p in APP.commands.values()
    )
    code = (
        "import sys\nfrom obsnet.command import load\n"
        "[load(p) for p in load('obsnet.commands.nowcast:app').commands.values()]\n"
        "print([m for m in ('numpy', 'pandas', 'scipy', 'xarray', 'numba') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rapid_prints_no_number_without_its_error(place, tmp_path):
    done = run(
        "rapid", place / "v.csv", "--indicators", place / "i.csv", "--year", 2018, "--out", tmp_path, *QUICK
    )
    assert "used: regression" in done.stdout
    assert "than persistence" in done.stdout
    assert "intervals of 80 and 90 % held" in done.stdout
    assert "nation (sum of 8 regions)" in done.stdout
    kept = read_inventory(tmp_path / "estimate.csv")
    assert kept["uncertainty"].between(0.005, 0.2).all()
    assert len(pd.read_csv(tmp_path / "covariance.csv")) == len(SOME) ** 2
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["kind"] == "rapid"
    assert all(len(s) == 2 for s in summary["statements"])
    chinese = run(
        "rapid", place / "v.csv", "--indicators", place / "i.csv", "--year", 2018, "--language", "zh", *QUICK
    ).stdout
    assert "采用：面板回归" in chinese
    assert "北京市" in chinese
    told = json.loads(run("rapid", place / "v.csv", "--json", *QUICK).stdout)
    assert {r["model"] for r in told["scores"]} == {"persistence", "last growth", "drift", "damped trend"}


def test_power_by_file(place, tmp_path):
    made = world(1, regions=SOME, years=YEARS)
    frame = indicator_frame(made, names=("火力发电量",))
    annual = frame.groupby(["年份", "地区"], sort=False)["数值"].sum().to_numpy().reshape(len(YEARS), -1)
    noise = np.exp(np.cumsum(0.05 * np.random.default_rng(0).standard_normal(annual.shape), axis=0))
    power = type(made)(0.085 * annual * noise, None, None, SOME, YEARS)
    rows = inventory_frame(power).assign(category="1.A.1.a", terminology="IPCC2006")
    path = write(rows, tmp_path / "p.csv")
    done = run(
        "power",
        path,
        "--indicators",
        write(frame, tmp_path / "g.csv"),
        "--year",
        2018,
        "--out",
        tmp_path / "o",
        *QUICK,
    )
    assert "one year left out: generation times the factor" in done.stdout
    assert "not made from one another" in done.stdout
    assert (tmp_path / "o" / "factors.csv").is_file()
    assert "power needs --indicators" in refused("power", path, *QUICK)
    assert "go together" in refused(
        "power", path, "--indicators", tmp_path / "g.csv", "--shaped", "x.nc", *QUICK
    )


def test_power_puts_its_shape_on_a_flux(place, tmp_path):
    from obsnet.cf import read_flux, write_netcdf
    from tests.obsnet.nowcast.test_estimates import flux_of

    made = world(1, regions=SOME, years=YEARS)
    frame = indicator_frame(made, names=("火力发电量",))
    annual = frame.groupby(["年份", "地区"], sort=False)["数值"].sum().to_numpy().reshape(len(YEARS), -1)
    noise = np.exp(np.cumsum(0.05 * np.random.default_rng(0).standard_normal(annual.shape), axis=0))
    rows = inventory_frame(type(made)(0.085 * annual * noise, None, None, SOME, YEARS))
    path = write(rows.assign(category="1.A.1.a", terminology="IPCC2006"), tmp_path / "p.csv")
    write_netcdf(flux_of(2018), tmp_path / "flux.nc")
    done = run(
        "power", path, "--indicators", write(frame, tmp_path / "g.csv"), "--year", 2018, "--flux", tmp_path / "flux.nc",
        "--shaped", tmp_path / "shaped.nc", *QUICK,
    )  # fmt: skip
    assert "monthly shape: last year's misses a month by" in done.stdout
    made_flux = read_flux(tmp_path / "shaped.nc")
    assert made_flux.sizes["time"] == 12
    assert float(made_flux["flux"].std("time").max()) > 0.0


@pytest.mark.parametrize(
    ("noise", "said"), [(0.0, "were made from this indicator"), (0.1, "too few years for a factor")]
)
def test_daily_emissions_made_from_the_months_of_generation_are_refused(sample_data, tmp_path, noise, said):
    from obsnet.inventory.sources.daily import read_daily

    books = sorted((sample_data / "inventory/daily_2019_2020").glob("Dataset*.xlsx"))
    if not books:
        pytest.skip("no daily emissions")
    table = read_daily(books[0]).table
    table = table[(table["sector"] == "power") & (table["region"] != "CHN")]
    sums = table.groupby(["region", table["date"].dt.year, table["date"].dt.month])["value"].sum()
    rng = np.random.default_rng(0)
    rows = [
        (
            r,
            y,
            m,
            "火力发电量",
            11.0 * v * np.exp(noise * rng.standard_normal()),
            "亿千瓦时",
            f"{y + 1}-02-28",
        )
        for (r, y, m), v in sums.items()
    ]
    frame = pd.DataFrame(rows, columns=["region", "year", "month", "indicator", "value", "unit", "published"])
    text = refused("power", books[0], "--indicators", write(frame, tmp_path / "g.csv"), *QUICK)
    assert said in text
    assert "regional months" in text


def test_forecast_by_file(place, tmp_path):
    words = (
        "forecast",
        place / "v.csv",
        "--steps",
        2,
        "--target",
        "2020=-1%",
        "--peak",
        2019,
        "--out",
        tmp_path,
        *QUICK,
    )
    done = run(*words)
    assert "target 2020=-1%; in hindcasts" in done.stdout
    assert "warning" in done.stdout
    assert "peak by 2019" in done.stdout
    assert "the combination would weigh" in done.stdout
    table = pd.read_csv(tmp_path / "reliability.csv")
    assert (table["count"] > 0).all()
    assert "达峰" in run(*words, "--language", "zh").stdout
    assert run(*words).stdout == done.stdout  # seeded


def test_categories_are_each_by_itself(tmp_path):
    made = world(1, regions=SOME, years=YEARS)
    total = inventory_frame(made)
    part = total.assign(category="1.A.2", terminology="IPCC2006", value=0.4 * total["value"].astype(float))
    path = write(pd.concat([total, part]), tmp_path / "v.csv")
    run("rapid", path, "--category", "total,1.A.2", "--out", tmp_path / "o", *QUICK)
    kept = read_inventory(tmp_path / "o" / "estimate.csv")
    assert set(kept["category"]) == {"total", "1.A.2"}


def test_mistakes(place, tmp_path):
    assert "write a day such as" in refused("rapid", place / "v.csv", "--as-of", "soon", *QUICK)
    assert "--use names indicators" in refused("rapid", place / "v.csv", "--use", "cement", *QUICK)
    assert "no such" in refused("rapid", tmp_path / "none.csv", *QUICK)
    assert "--definition-sd" in refused("rapid", place / "v.csv", "--atmosphere", "p.nc", *QUICK)
    with pytest.raises(ConfigError):
        cli._command("x", load(APP.commands["rapid"])).main(
            args=[str(place / "v.csv"), "--lag", "-1"], standalone_mode=False
        )
