"""The commands `obsnet bias verify` and `obsnet bias fit`."""

import json

import numpy as np

from retrieval.commands import bias as bias_cli
from retrieval.products.bias import read_correction
from tests.retrieval import synthetic


def call(capsys, command, *arguments, **options):
    capsys.readouterr()
    code = 0
    try:
        command(*arguments, **options)
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr().out


def test_verify_real_days(sample_data, capsys):
    code, out = call(
        capsys,
        bias_cli.verify,
        [str(sample_data / "satellite" / "acos_lite")],
        None,
        tolerance=5e-5,
        json=True,
    )
    found = json.loads(out)
    assert code == 0
    assert found["failed"] == 0
    assert [(r["class"], r["n"]) for r in found["rows"][:3]] == [
        ("landH", 503),
        ("landM", 117),
        ("Ocean", 365),
    ]
    assert {r["status"] for r in found["rows"]} == {"same"}


def test_verify_tells_what_differs_and_what_cannot_be_read(tmp_path, capsys):
    variables, attributes = synthetic.lite(30)
    synthetic.write(tmp_path / "a.nc4", variables, attributes)
    attributes["Bias_Correction_land"] = attributes["Bias_Correction_land"].replace("0.900", "0.800")
    synthetic.write(tmp_path / "b.nc4", variables, attributes)
    (tmp_path / "c.nc4").write_text("nothing")
    code, out = call(capsys, bias_cli.verify, [str(tmp_path)], None, tolerance=5e-5, json=False)
    lines = out.splitlines()
    assert code == 1
    assert [line.split()[-1] for line in lines if line.startswith("b.nc4")] == ["differs", "same"]
    assert any(line.startswith("c.nc4  bad:") for line in lines)
    assert lines[-1] == "2 of 5 lines do not hold"


def test_fit_on_given_truths_then_apply(tmp_path, capsys):
    variables, attributes = synthetic.lite(300, seed=3)
    path = synthetic.write(tmp_path / synthetic.lite_name(), variables, attributes)
    truth = tmp_path / "truth.csv"
    rows = zip(variables["sounding_id"][0], variables["xco2"][0].astype(float), strict=True)
    truth.write_text("sounding_id,truth\n" + "".join(f"{i},{x + 0.5:.4f}\n" for i, x in rows))
    out = tmp_path / "c.toml"
    code, text = call(
        capsys,
        bias_cli.fit,
        [str(path)],
        str(out),
        truth=str(truth),
        start=None,
        name="mine",
        length=100.0,
        minimum=20,
        json=False,
    )
    assert code == 0
    assert text.splitlines()[-1] == f"written: {out}"
    correction = read_correction(out)
    assert correction.name == "mine"
    assert correction.provenance["files"] == 1
    assert correction.provenance["first_file"] == path.name
    code, text = call(capsys, bias_cli.verify, [str(path)], str(out), tolerance=1.0, json=True)
    assert code == 0
    assert all(abs(row["mean"] - 0.5) < 1e-3 for row in json.loads(text)["rows"])


def test_fit_on_small_areas(tmp_path, capsys):
    for day in range(3):
        variables, attributes = synthetic.lite(200, seed=day, start=f"2018-01-0{day + 1}T05:00:00")
        synthetic.write(tmp_path / synthetic.lite_name(f"18010{day + 1}"), variables, attributes)
    out = tmp_path / "out" / "c.toml"
    code, text = call(
        capsys,
        bias_cli.fit,
        [str(tmp_path / "*.nc4")],
        str(out),
        truth=None,
        start=None,
        name="areas",
        length=50.0,
        minimum=20,
        json=True,
    )
    assert code == 0
    found = json.loads(text)
    land = next(c for c in found["classes"] if c["name"] == "land")
    assert land["n"] > 200
    assert land["groups"] > 10
    assert all(np.isfinite(land["error"]))
    assert read_correction(out).provenance["origin"] == "refit of producer on small areas"
