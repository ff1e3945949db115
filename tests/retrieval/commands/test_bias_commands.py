"""The commands `obsnet bias verify` and `obsnet bias fit`."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from obsnet.errors import ConfigError
from retrieval.commands.bias import fit, verify
from retrieval.products.bias import read_correction
from tests.retrieval import synthetic


def call(command, *arguments):
    app = typer.Typer()
    app.command()(command.function())
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_verify_real_days(sample_data):
    done = call(verify, sample_data / "satellite" / "acos_lite", "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert found["failed"] == 0
    assert [(r["class"], r["n"]) for r in found["rows"][:3]] == [
        ("landH", 503),
        ("landM", 117),
        ("Ocean", 365),
    ]
    assert {r["status"] for r in found["rows"]} == {"same"}


def test_verify_tells_what_differs_and_what_cannot_be_read(tmp_path):
    variables, attributes = synthetic.lite(30)
    synthetic.write(tmp_path / "a.nc4", variables, attributes)
    attributes["Bias_Correction_land"] = attributes["Bias_Correction_land"].replace("0.900", "0.800")
    synthetic.write(tmp_path / "b.nc4", variables, attributes)
    (tmp_path / "c.nc4").write_text("nothing")
    done = call(verify, tmp_path)
    lines = done.stdout.splitlines()
    assert done.exit_code == 1
    assert [line.split()[-1] for line in lines if line.startswith("b.nc4")] == ["differs", "same"]
    assert any(line.startswith("c.nc4  bad:") for line in lines)
    assert lines[-1] == "2 of 5 lines do not hold"
    parts = [call(verify, tmp_path, "--shard", f"{k}/3", "--json").stdout for k in (1, 2, 3)]
    rows = [row["file"] for part in parts for row in json.loads(part)["rows"]]
    assert sorted(rows) == ["a.nc4", "a.nc4", "b.nc4", "b.nc4", "c.nc4"]


def test_fit_on_given_truths_then_apply(tmp_path):
    variables, attributes = synthetic.lite(300, seed=3)
    path = synthetic.write(tmp_path / synthetic.lite_name(), variables, attributes)
    truth = tmp_path / "truth.csv"
    rows = zip(variables["sounding_id"][0], variables["xco2"][0].astype(float), strict=True)
    truth.write_text("sounding_id,truth\n" + "".join(f"{i},{x + 0.5:.4f}\n" for i, x in rows))
    out = tmp_path / "c.toml"
    done = call(fit, path, "--out", out, "--truth", truth, "--name", "mine", "--minimum", "20")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"written: {out}"
    correction = read_correction(out)
    assert correction.name == "mine"
    assert correction.provenance["files"] == 1
    assert correction.provenance["first_file"] == path.name
    done = call(verify, path, "--correction", out, "--tolerance", "1", "--json")
    assert done.exit_code == 0
    assert all(abs(row["mean"] - 0.5) < 1e-3 for row in json.loads(done.stdout)["rows"])


def test_fit_on_small_areas(tmp_path):
    for day in range(3):
        variables, attributes = synthetic.lite(200, seed=day, start=f"2018-01-0{day + 1}T05:00:00")
        synthetic.write(tmp_path / synthetic.lite_name(f"18010{day + 1}"), variables, attributes)
    out = tmp_path / "out" / "c.toml"
    done = call(
        fit,
        tmp_path / "*.nc4",
        "--out",
        out,
        "--name",
        "areas",
        "--length",
        "50",
        "--minimum",
        "20",
        "--json",
    )
    assert done.exit_code == 0, done.output
    land = next(c for c in json.loads(done.stdout)["classes"] if c["name"] == "land")
    assert land["n"] > 200
    assert land["groups"] > 10
    assert all(np.isfinite(land["error"]))
    assert read_correction(out).provenance["origin"] == "refit of producer on small areas"


def test_a_fit_needs_all_granules(tmp_path):
    variables, attributes = synthetic.lite(30)
    path = synthetic.write(tmp_path / synthetic.lite_name(), variables, attributes)
    done = call(fit, path, "--out", tmp_path / "c.toml", "--shard", "1/2")
    assert isinstance(done.exception, ConfigError)
    with pytest.raises(ConfigError, match="leave --shard out"):
        raise done.exception
