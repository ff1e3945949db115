"""The commands `obsnet plume card`, `planned` and `provinces`: files, words, and what is not claimed."""

import csv
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from obsnet.errors import FormatError, RangeError
from retrieval.commands.plants import card, planned, provinces
from retrieval.plants.card import agreement_of, totals_e_n
from retrieval.plants.provinces import read_card, sum_provinces
from tests.retrieval.plants.world import hourly, write_plant


def call(command, *arguments):
    app = typer.Typer()
    app.command()(command.function())
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A year of a plant, and fifteen overpasses of which one saw nothing, one lies under clouds, one in an outage."""
    return write_plant(tmp_path_factory.mktemp("plant"))


ABOUT = (
    "--utc-offset",
    "-6",
    "--year",
    "2023",
    "--profile",
    "cycles",
    "--region",
    "Hebei",
    "--activity-sd",
    "0.02",
)


def make(world, out, *more):
    return call(
        card, world / "rates.csv", "--stack", world / "stack.csv", "--fuel", world / "fuel.csv", "--factor-sd", 0.02,
        *ABOUT,
        "--out", out, *more,
    )  # fmt: skip


def test_a_card_and_its_files(world, tmp_path):
    done = make(world, tmp_path, "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert [t["by"] for t in data["totals"]] == ["satellite", "stack", "fuel"]
    by = {t["by"]: t for t in data["totals"]}
    _, rate = hourly(outage=0.0)
    rate[24 * 53 : 24 * 56] = 0.0
    assert by["stack"]["mt"] == pytest.approx(rate.sum() * 3600e-9, rel=1e-6)
    assert by["fuel"]["mt"] == pytest.approx(4.7e6 * 21 * 26.18e-3 * 0.99 * 44 / 12 * 1e-6)
    assert by["satellite"]["low95_mt"] < by["stack"]["mt"] < by["satellite"]["high95_mt"]
    assert len(data["totals_e_n"]) == 3
    assert data["agreement"]["n"] == 13
    assert data["region"] == "130000"
    names = {p.name for p in tmp_path.iterdir()}
    stem = "_b_Mühle___Söhne__b_"
    assert names == {f"{stem}.html", f"{stem}.json", f"{stem}_overpasses.csv", f"{stem}_run.json"}
    run = json.loads((tmp_path / f"{stem}_run.json").read_text())
    assert run["config"]["stack_errors"]["substitute"] == 0.2
    assert sum("stack.csv" in k for k in run["inputs"]) == 1
    with (tmp_path / f"{stem}_overpasses.csv").open(encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert [r["status"] for r in rows[:5]] == ["rate", "rate", "below", "rate", "rejected"]
    assert any("limits widen" in n["en"] for n in data["notes"])


@pytest.mark.parametrize(
    ("language", "below"), [("en", "below what can be seen: limit 90"), ("zh", "低于可见水平：检出限 90")]
)
def test_no_rate_is_claimed_below_the_limit_of_detection(world, tmp_path, language, below):
    done = make(world, tmp_path, "--language", language)
    assert done.exit_code == 0, done.output
    page = next(tmp_path.glob("*.html")).read_text(encoding="utf-8")
    assert below in page
    data = json.loads(next(p for p in tmp_path.glob("*.json") if not p.stem.endswith("_run")).read_text())
    for o in data["overpasses"]:
        if o["status"] != "rate":
            assert o["rate_kg_s"] is None
            assert o["e_n"] is None
    unseen = data["overpasses"][2]
    assert (unseen["status"], unseen["limit_kg_s"]) == ("below", 90.0)
    assert all(m["rate"] is None for m in data["methods"] if m["status"] != "rate")


def test_the_page_stands_alone_and_is_escaped(world, tmp_path):
    make(world, tmp_path)
    page = next(tmp_path.glob("*.html")).read_text(encoding="utf-8")
    assert "<b>Mühle" not in page
    assert "&lt;b&gt;Mühle &amp; Söhne" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert page.count("data:image/png;base64,") == 1
    for word in ("Deming", "York", "limits of agreement", "E_n", "bituminous coal", "snapshots", "assumed"):
        assert word in page


def test_rates_alone_make_a_card(world, tmp_path):
    done = call(card, world / "rates.csv", "--out", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert data["agreement"] is None
    assert data["totals"] == []


def test_stacks_that_never_change_have_no_line_and_say_so():
    x = np.full(5, 300.0)
    found = agreement_of(x, x + np.array([1.0, -2, 3, 0, 1]), 0.05 * x, 0.2 * x)
    assert found["york"] is None
    assert "all values of a series are the same" in found["no_line"]
    assert found["difference"]["bias"] == pytest.approx(0.6)


def test_totals_face_each_other_with_the_side_of_their_interval():
    satellite, stack = ("satellite", 10.0, 1.0, 4.12, 11.96), ("stack", 7.0, 0.5, 6.02, 7.98)
    assert totals_e_n(satellite, stack) == pytest.approx(-3 / (2 * np.hypot(3.0, 0.5)), rel=1e-3)
    assert totals_e_n(stack, satellite) == pytest.approx(3 / (2 * np.hypot(3.0, 0.5)), rel=1e-3)
    assert totals_e_n(satellite, ("fuel", 13.0, 0.5, 12.02, 13.98)) == pytest.approx(
        3 / (2 * np.hypot(1.0, 0.5)), rel=1e-3
    )


def test_a_planned_plant_says_below_error(tmp_path):
    done = call(
        planned, "new", "--latitude", 38, "--longitude", 110, "--mt-per-year", 0.3, "--draws", 0, "--winds", "3,6",
        "--out", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.output.count("m s⁻¹: below error;") == 2
    rows = json.loads((tmp_path / "new_planned.json").read_text())["winds"]
    assert [r["pixel"] for r in rows] == ["below error"] * 2


def total(source, region, mt, random=0.1, sampling=0.05, common=0.1, year=2023, **more):
    error = np.sqrt(random**2 + sampling**2 + common**2) * mt
    annual = {
        "total": mt, "random": random * mt, "sampling": sampling * mt, "common": common * mt, "low": mt - 1.96 * error,
        "high": mt + 1.96 * error,
    }  # fmt: skip
    card = {
        "kind": "obsnet plant card",
        "source": source,
        "region": region,
        "year": year,
        "method": "csf",
        "overpasses": [],
    }
    return card | {"annual": annual} | more


def test_what_is_common_stays_and_the_rest_averages_out():
    cards = [total(f"p{k}", "130000", 2.0) for k in range(100)]
    rows, _, _ = sum_provinces(cards, [f"{k}.json" for k in range(100)])
    (row,) = rows
    assert row["total_mt"] == pytest.approx(200.0)
    assert row["common_mt"] == pytest.approx(20.0)
    assert row["random_mt"] == pytest.approx(2.0)
    assert row["sampling_mt"] == pytest.approx(1.0)
    assert row["high95_mt"] - row["total_mt"] == pytest.approx(1.96 * np.sqrt(400 + 4 + 1), rel=1e-3)


def test_sums_of_drawn_plants_lie_within_their_intervals():
    rng = np.random.default_rng(8)
    inside, independent = [], []
    for _ in range(400):
        truth = rng.uniform(1, 6, 12)
        shared = 1 + 0.1 * rng.standard_normal()
        seen = truth * shared * (1 + 0.15 * rng.standard_normal(12))
        cards = [total(f"p{k}", "x", q, random=0.15, sampling=0.0) for k, q in enumerate(seen)]
        (row,), _, _ = sum_provinces(cards, list(range(12)))
        inside.append(row["low95_mt"] <= truth.sum() <= row["high95_mt"])
        half = 1.96 * np.sqrt(np.sum((np.hypot(0.15, 0.1) * seen) ** 2))
        independent.append(abs(seen.sum() - truth.sum()) <= half)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)
    assert np.mean(independent) < 0.8


def test_cards_that_may_not_be_added(tmp_path):
    one = total("a", "130000", 2.0)
    with pytest.raises(FormatError, match="both are cards of 'a'; it would count twice"):
        sum_provinces([one, one], ["x", "y"])
    with pytest.raises(FormatError, match="totals of 2022 and of 2023"):
        sum_provinces([one, total("b", "130000", 2.0, year=2022)], ["x", "y"])
    with pytest.raises(RangeError, match="no card has a total"):
        sum_provinces([one | {"annual": None}], ["x"])
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(FormatError, match="no plant card"):
        read_card(tmp_path / "a.json")


def test_provinces_from_files(world, tmp_path):
    make(world, tmp_path / "cards")
    done = call(provinces, tmp_path / "cards", "--out", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert data["provinces"][0]["region"] == "130000"
    assert data["agreement"]["n"] == 13
    again = call(provinces, tmp_path / "cards", "--out", tmp_path)
    assert "13 overpasses beside stacks" in again.output
