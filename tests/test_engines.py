"""No file is opened by guessing who can: xarray then imports all who offer to, ecCodes before pyproj among them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OPENERS = {"load_dataarray", "load_dataset", "open_dataarray", "open_dataset", "open_mfdataset"}
ROOMS = ("obsnet", "retrieval", "inversion", "stations", "tests", "scripts")
FILES = [p for room in ROOMS for p in (ROOT / room).rglob("*.py")]


def calls(source: str) -> list[tuple[int, str, set[str | None]]]:
    """Return line, name and keywords of each call of an opener."""
    return [
        (node.lineno, node.func.attr, {k.arg for k in node.keywords})
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in OPENERS
    ]


def test_every_opener_is_told_its_engine():
    found = [(p, *call) for p in FILES for call in calls(p.read_text(encoding="utf-8"))]
    assert len(found) > 8
    assert not [
        f"{p.relative_to(ROOT)}:{line}: {name}" for p, line, name, keys in found if "engine" not in keys
    ]
    assert calls("xr.open_dataset(path)") == [(1, "open_dataset", set())]  # the test can fail


def test_files_from_outside_are_opened_in_one_place():
    """Others write, or are handed what was opened there, or read the references of `obsnet footprints check`."""
    openers = OPENERS | {"Dataset", "File"}
    where = {
        p.relative_to(ROOT).as_posix()
        for p in FILES
        if p.relative_to(ROOT).parts[0] not in ("tests", "scripts")
        for node in ast.walk(ast.parse(p.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in openers
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("netCDF4", "h5py", "xr", "xarray")
        and not (node.func.value.id == "xr" and node.func.attr == "Dataset")
    }
    writers = {"obsnet/demo/files.py", "inversion/transport/files/writers.py"}
    references = {f"inversion/transport/check/{name}.py" for name in ("stilt", "references")}
    assert where == {"obsnet/opening.py", "stations/record/file.py"} | writers | references


def test_eccodes_comes_after_pyproj():
    """Only one place imports it, behind pyproj's own libraries."""
    where = {
        p.relative_to(ROOT).as_posix()
        for p in FILES
        for node in ast.walk(ast.parse(p.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and {a.name.split(".")[0] for a in node.names} & {"eccodes", "cfgrib"}
    }
    assert {p for p in where if not p.startswith("tests/")} == {"obsnet/met/readers/grib.py"}


READ = """
import sys
import numpy as np
from obsnet.cf import read_flux
from stations.record.file import read_record, write_record
from tests.cases import _prior
from tests.obsnet.test_flux_reader import YEAR, edgar
from tests.stations.dialects import noaa_text, read_text, simple
from pathlib import Path

folder = Path(sys.argv[1])
_prior(folder / "prior.nc")
read_flux(folder / "prior.nc")
read_flux(edgar(folder / "edgar.nc"), period=YEAR)
write_record(read_text(noaa_text(simple(4))), folder / "record.nc")
read_record(folder / "record.nc")
assert not {"cfgrib", "eccodes"} & set(sys.modules), "an engine was guessed"
import pyproj
print(pyproj.CRS("EPSG:4326").name)
"""


@pytest.mark.slow
def test_reading_leaves_pyproj_whole(tmp_path):
    """With the extra `grib` a guess would abort the process; without it the modules tell."""
    done = subprocess.run([sys.executable, "-c", READ, tmp_path], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip().endswith("WGS 84"), done.stderr
