"""The commands `obsnet plume detect` and `obsnet plume rate`."""

import csv
import json

import numpy as np
import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

from obsnet.errors import ConfigError
from retrieval.commands.plume import detect, rate
from retrieval.plume.rates.reasons import RejectReason
from tests.retrieval.plume.files import write_scene
from tests.retrieval.plume.scenes import make_scene, place


def call(command, *arguments):
    app = typer.Typer()
    app.command()(command.function())
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def world(tmp_path):
    """A scene with a plume, one that is no file, and two sources of which one is far away."""
    write_scene(tmp_path / "day.nc", make_scene(noise=0.3, seed=1))
    (tmp_path / "bad.nc").write_bytes(b"nothing")
    stack, far = place("stack one", 0.0, 0.0), place("far", 2000.0, 0.0)
    lines = [f"{s.name},{s.latitude},{s.longitude}" for s in (stack, far)]
    (tmp_path / "sources.csv").write_text("source,latitude,longitude\n" + "\n".join(lines) + "\n")
    return tmp_path


def test_rates_tables_pictures_and_a_bad_file(world):
    done = call(
        rate,
        world / "*.nc",
        "--sources",
        world / "sources.csv",
        "--wind",
        "4,1",
        "--out",
        world / "out",
        "--json",
    )
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    status = {s["scene"]: s["status"] for s in found["scenes"]}
    assert status["day"] == "done"
    assert status["bad"].startswith("bad: ")
    assert any("far" in note for s in found["scenes"] for note in s["notes"])
    with (world / "out" / "rates.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [r["method"] for r in rows] == ["ime", "csf", "gauss", "lcsf"]
    for row in rows:
        assert float(row["rate_kg_s"]) == pytest.approx(1000.0, rel=0.2)
        assert float(row["rate_kt_a"]) == pytest.approx(float(row["rate_kg_s"]) * 31.556952, rel=1e-4)
        parts = [
            float(row[f"error_{n}_kg_s"]) for n in ("wind", "background", "noise", "method", "conversion")
        ]
        assert float(row["error_kg_s"]) == pytest.approx(np.sqrt(np.sum(np.square(parts))), rel=1e-4)
        assert row["quality"] == "0"
    assert (world / "out" / "day.png").stat().st_size > 10_000
    assert (world / "out" / "day_stack_one.png").stat().st_size > 10_000
    with xr.open_dataset(world / "out" / "day_plumes.nc", engine="netcdf4") as labels:
        assert set(np.unique(labels["plume"])) == {0, 1}
    record = json.loads((world / "out" / "run.json").read_text())
    assert record["config"]["wind"] == "4,1"
    assert json.loads((world / "out" / "plumes.json").read_text())[0]["sources"] == "stack one"


def test_rejected_rates_are_kept_with_their_reasons(world):
    done = call(
        rate,
        world / "day.nc",
        "--sources",
        world / "sources.csv",
        "--wind",
        "0,0",
        "--out",
        world / "out",
        "--no-pictures",
    )
    assert done.exit_code == 0, done.output
    assert "wind too slow" in done.stdout
    rows = json.loads((world / "out" / "rates.json").read_text())
    assert all(r["quality"] & RejectReason.SLOW_WIND and r["rate_kg_s"] is None for r in rows)
    assert not list((world / "out").glob("*.png"))


def test_detect_in_words(world):
    done = call(detect, world / "day.nc", "--out", world / "out", "--no-pictures")
    assert done.exit_code == 0, done.output
    assert "day: 1 plumes" in done.stdout
    assert (world / "out" / "plumes.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "one wind"),
        (("--wind", "4"), "U,V"),
        (("--wind", "4,1", "--wind-table", "w.csv"), "one wind"),
    ],
)
def test_winds_that_are_not_said(world, more, said):
    done = call(rate, world / "day.nc", "--sources", world / "sources.csv", "--out", world / "out", *more)
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)


def test_a_rate_needs_a_source(world):
    done = call(rate, world / "day.nc", "--wind", "4,1", "--out", world / "out")
    assert "known source" in str(done.exception)


def test_two_scenes_of_one_name_would_overwrite_each_other(world):
    (world / "more").mkdir()
    write_scene(world / "more" / "day.nc", make_scene())
    done = call(detect, world / "day.nc", world / "more" / "day.nc", "--out", world / "out")
    assert "several scenes are called 'day'" in str(done.exception)


def test_a_pass_of_a_store_crosses_a_plume(tmp_path):
    from obsnet.store import ObservationStore
    from retrieval.commands.plume import transect
    from retrieval.plume.images.amounts import mass_per_unit
    from tests.retrieval.plume.scenes import degrees, plume_mass
    from tests.retrieval.soundings import make_table

    n, seconds = 400, 45.0
    y = np.linspace(-150, 150, n)
    x = np.full(n, 20.0)
    latitude, longitude = degrees(x, y)
    pressure = 980.0 * np.linspace(1, 1e-3, 20) * np.ones((n, 1))
    mass = mass_per_unit(98000.0, "CO2")
    value = (
        410.0 + plume_mass(x, y, 1000.0, 4.0, 0.0) / mass + 0.3 * np.random.default_rng(0).standard_normal(n)
    )
    table = make_table(
        n,
        seconds=seconds,
        corners=False,
        latitude=latitude,
        longitude=longitude,
        value=value,
        uncertainty=np.full(n, 0.3),
        pressure_levels=pressure,
    )
    ObservationStore(tmp_path / "store").write(table)
    source = place("stack", 0.0, 0.0)
    (tmp_path / "s.csv").write_text(
        f"source,latitude,longitude\nstack,{source.latitude},{source.longitude}\n"
    )
    done = call(
        transect,
        tmp_path / "store",
        "--sources",
        tmp_path / "s.csv",
        "--wind",
        "4,0",
        "--out",
        tmp_path / "o",
        "--json",
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["passes"] == 1
    (row,) = found["rates"]
    assert row["quality"] == 0, row["reasons"]
    assert row["rate_kg_s"] == pytest.approx(1000.0, rel=0.15)
    assert (tmp_path / "o" / "transects.csv").exists()
    run = json.loads((tmp_path / "o" / "transects_run.json").read_text())
    assert run["notes"] == found["notes"]
    assert "30% of a rate, is assumed" in found["notes"][0]


def test_few_overpasses_give_no_divergence_and_say_so(world):
    from retrieval.commands.plume import divergence

    done = call(
        divergence,
        world / "*.nc",
        "--sources",
        world / "sources.csv",
        "--wind",
        "4,1",
        "--out",
        world / "out",
    )
    assert done.exit_code == 1
    assert "2 scenes, 1 bad" in done.stdout
    assert "10% of a rate, is assumed" in done.output
    rows = json.loads((world / "out" / "divergence.json").read_text())
    assert {r["method"] for r in rows} == {"divergence"}
    assert all(r["rate_kg_s"] is None and r["quality"] & RejectReason.FEW_PIXELS for r in rows)
