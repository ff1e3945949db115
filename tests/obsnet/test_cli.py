"""The command line: quick, one line for a mistake, JSON that is JSON."""

import json
import subprocess
import sys

import numpy as np
import pytest

from obsnet import cli, install, output


def obsnet(*args, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "obsnet", *args], capture_output=True, text=True, timeout=120, **kwargs
    )


def imports_of(statement):
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


HELP = (
    "import contextlib\nfrom obsnet.cli import main\nwith contextlib.suppress(SystemExit): main(['--help'])"
)
HEAVY = {
    "numpy",
    "xarray",
    "pandas",
    "scipy",
    "netCDF4",
    "h5py",
    "pyarrow",
    "matplotlib",
    "numba",
    "dask",
    "geopandas",
}


def test_import_is_light():
    assert not HEAVY & imports_of("import obsnet, retrieval, inversion, stations")


def test_help_is_light():
    """What costs time is imports; help of every command may load none of the heavy ones."""
    code = f"{HELP}\nimport sys\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("MODULES")[1].split())
    assert not HEAVY & loaded
    assert "cannot be loaded" not in done.stdout


def test_version_and_help():
    assert obsnet("--version").stdout.startswith("obsnet 0.")
    done = obsnet("--help")
    assert done.returncode == 0
    for name in (
        "ingest",
        "station",
        "footprints",
        "invert",
        "crosscheck",
        "report",
        "demo",
        "doctor",
        "run",
        "config",
    ):
        assert name in done.stdout


def test_unknown_command_names_the_nearest():
    done = obsnet("ingst")
    assert done.returncode == 2
    assert "no command 'ingst'; nearest: 'ingest'" in done.stderr
    assert "Traceback" not in done.stderr


def test_mistake_is_one_line(tmp_path):
    done = obsnet("run", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        f"obsnet: {tmp_path / 'none.toml'}: no such configuration file"
    ]


def test_debug_shows_the_traceback(tmp_path):
    done = obsnet("--debug", "run", str(tmp_path / "none.toml"))
    assert "Traceback" in done.stderr


def test_config_schema_is_a_schema():
    done = obsnet("config", "schema")
    schema = json.loads(done.stdout)
    assert schema["required"] == ["run"]
    assert {"run", "ingest", "invert", "crosscheck"} <= set(schema["properties"])
    assert schema["properties"]["run"]["additionalProperties"] is False


def test_config_check_names_all_faults(tmp_path):
    case = tmp_path / "case.toml"
    case.write_text("[run]\nname = 'x'\nsed = 1\n[ingest]\nfile = ['a']\n")
    done = obsnet("config", "check", str(case), "--set", "run.workers=0")
    assert done.returncode == 2
    assert "unknown key 'sed'; nearest: 'seed'" in done.stderr
    assert "unknown key 'file'; nearest: 'files'" in done.stderr
    assert "workers = 0" in done.stderr


def test_emit(capsys):
    output.emit(
        {
            "a": np.float32(1.5),
            "b": float("nan"),
            "c": [np.datetime64("2019-01-01")],
            "d": np.arange(2),
            "e": True,
            3: None,
        }
    )
    assert json.loads(capsys.readouterr().out) == {
        "a": 1.5,
        "b": None,
        "c": ["2019-01-01"],
        "d": [0, 1],
        "e": True,
        "3": None,
    }


def test_internal_error_says_how_to_report(monkeypatch, capsys):
    monkeypatch.delenv("OBSNET_DEBUG", raising=False)
    monkeypatch.setattr(cli._Lazy, "list_commands", lambda *_: 1 / 0)
    monkeypatch.setattr(cli._Lazy, "get_command", lambda *_: 1 / 0)
    with pytest.raises(SystemExit) as stop:
        cli.main(["doctor"])
    assert stop.value.code == 70
    assert "obsnet --debug" in capsys.readouterr().err


def test_broken_plugin_is_named(monkeypatch, capsys):
    monkeypatch.setattr(cli._Lazy, "_places", lambda _self: {"doctor": "nowhere:thing"})
    with pytest.raises(SystemExit):
        cli.main(["doctor"])
    assert "nowhere:thing cannot be loaded" in capsys.readouterr().err


def test_doctor_json():
    done = obsnet("doctor", "--json")
    found = json.loads(done.stdout)
    assert found["cores"] >= 1
    assert found["names_taken"] == []
    assert found["packages"]["numpy"]
    assert done.returncode == 0


def test_a_stolen_name_is_said(tmp_path):
    """Another distribution that brings a package `stations` is found before any command runs."""
    (tmp_path / "stations.py").write_text("value = 1\n")
    done = obsnet("doctor", cwd=tmp_path)
    assert done.returncode == 2
    assert "the package 'stations' is another package at" in done.stderr
    assert "environment of its own" in done.stderr


def test_a_missing_name_is_said(monkeypatch):
    monkeypatch.setattr(install.util, "find_spec", lambda _name: None)
    assert len(install.stolen_names()) == 3
    assert "is missing" in install.stolen_names()[0]
