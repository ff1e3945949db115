"""The whole demo on a sparse network: it runs, it resumes, and it admits what it cannot know."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import xarray as xr

from tests.docs.pages import DOCS, blocks, paste

pytestmark = pytest.mark.slow


def demo(folder, *more):
    command = [
        sys.executable,
        "-m",
        "obsnet",
        "demo",
        "--out",
        str(folder),
        "--network",
        "existing",
        "--days",
        "6",
        *more,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = demo(folder, "--json")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_record(run):
    folder, done = run
    record = json.loads(done.stdout)
    assert record == json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert record["planted"] == "370000"
    assert len(record["verdicts"]) == 34
    assert record["seeds"] == {"world": 1, "truth_particles": 1002, "model_particles": 1003}
    assert "six background stations" in record["network"]


def test_a_sparse_network_admits_that_it_cannot_tell(run):
    folder, _ = run
    table = pd.read_csv(folder / "provinces.csv", dtype={"region": str})
    counts = table["verdict"].value_counts()
    assert counts["not testable"] >= 31
    # a province with a verdict had a small enough detection limit, by the rule
    tested = table[table["verdict"] != "not testable"]
    assert (tested["minimum_detectable"] <= 0.3 * tested["inventory"]).all()
    unobserved = table[table["reason"] == "not observed"]
    assert (unobserved["response"] < 0.05).all()
    assert (unobserved["posterior_sd"] > 0.8 * unobserved["prior_sd"]).all()


def test_outputs_open(run):
    import rasterio

    folder, _ = run
    posterior = xr.open_dataset(folder / "posterior.nc", engine="netcdf4")
    assert posterior.attrs["Conventions"].startswith("CF-1.")
    assert posterior["flux"].attrs["units"] == "mol m-2 s-1"
    with rasterio.open(folder / "flux.tif") as image:
        assert image.crs.to_epsg() == 4326
        assert (image.height, image.width) == (30, 50)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "does not exist" not in page
    assert "not testable" in page


def test_the_tutorials_satellite_alone(run, sample_data):
    """From granules to a report by the tutorial; 25 columns a day tell nothing of a province, and that is said."""
    folder, _ = run
    first, cluster = blocks(DOCS / "tutorial.md")[6:8]
    assert first.startswith("cd obsnet-demo\n")
    (folder.parent / "obsnet-demo").symlink_to(folder)
    said = paste(first, folder.parent, sample_data)
    assert "0 without footprint" in said
    table = pd.read_csv(folder / "columns" / "provinces.csv", dtype={"region": str})
    assert set(table["verdict"]) == {"not testable"}
    assert "Columns, winds and prior are invented" in (folder / "columns" / "report.html").read_text("utf-8")
    scripts = paste(cluster, folder, sample_data)
    assert "#SBATCH --array=1-4" in scripts
    assert "columns.toml --to footprints" in scripts


def test_again_is_done_before(run):
    folder, _ = run
    done = demo(folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("done before") == 9
    assert "not testable" in done.stdout


def test_another_experiment_needs_another_folder(run):
    folder, _ = run
    done = demo(folder, "--seed", "2")
    assert done.returncode == 2
    assert "holds another twin experiment (seed 1, now 2)" in done.stderr
    assert "Traceback" not in done.stderr
