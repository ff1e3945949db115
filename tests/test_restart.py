"""A run that is killed at any point goes on: nothing finished is redone, no half file is left."""

import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pyarrow.parquet as pq
import pytest

from obsnet.store import ObservationStore

pytestmark = pytest.mark.slow


def write_case(folder, data):
    case = folder / "case.toml"
    case.write_text(
        f"""
[run]
name = "restart"
scheduler = "serial"

[ingest]
files = ["{data / "satellite" / "acos_lite"}"]

[stations]
files = ["{data / "stations" / "noaa_flask"}/co2_*_event.txt"]
""",
        encoding="utf-8",
    )
    return case


def start(case):
    return subprocess.Popen(
        [sys.executable, "-m", "obsnet", "run", str(case)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def everything(folder):
    """Return the whole store, and every file of the run that is not for bookkeeping."""
    table = ObservationStore(folder / "run" / "store").read("CO2")
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in (folder / "run").rglob("*.parquet")
        if "_index" not in p.parts
    )
    return table, names


def test_killed_anywhere(tmp_path, sample_data):
    calm = tmp_path / "calm"
    calm.mkdir()
    begin = time.monotonic()
    process = start(write_case(calm, sample_data))
    assert process.wait(120) == 0, process.stderr.read()
    whole = time.monotonic() - begin
    expected, names = everything(calm)

    for number, share in enumerate((0.35, 0.55, 0.7, 0.85)):
        folder = tmp_path / f"killed{number}"
        folder.mkdir()
        case = write_case(folder, sample_data)
        process = start(case)
        time.sleep(share * whole)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        for path in (folder / "run").rglob("*.parquet"):
            if not path.name.startswith(".tmp-"):
                pq.read_metadata(path)  # whole, or not there
        process = start(case)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        table, found = everything(folder)
        assert found == names
        # NaN (an unknown altitude) equals NaN here, as it does not in Arrow
        pd.testing.assert_frame_equal(table.to_pandas(), expected.to_pandas())
        assert not list((folder / "run").rglob(".tmp-*"))
        record = json.loads((folder / "run" / "run.json").read_text(encoding="utf-8"))
        assert record["stages"]["ingest"]["good"] == 716

    process = start(case)
    _, said = process.communicate(timeout=120)
    assert "ingest: done before" in said
    assert "stations: done before" in said


def test_a_bad_granule_does_not_stop_the_rest(tmp_path, sample_data):
    """Truncated and faked files get a row with the reason; exit code 1; the next run tries them again."""
    source = next((sample_data / "satellite" / "acos_lite").glob("*090901*"))
    granules = tmp_path / "granules"
    granules.mkdir()
    (granules / source.name).write_bytes(source.read_bytes())
    (granules / "cut.nc4").write_bytes(source.read_bytes()[:200_000])
    (granules / "text.nc4").write_text("this is no netCDF file\n")
    (granules / "empty.nc4").write_bytes(b"")
    case = tmp_path / "case.toml"
    case.write_text('[run]\nname = "bad"\nscheduler = "serial"\n[ingest]\nfiles = ["granules"]\n')
    process = start(case)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.strip().splitlines()[-1].startswith("obsnet: 3 inputs failed")
    assert "Traceback" not in said
    index = ObservationStore(tmp_path / "run" / "store").index.read().to_pylist()
    status = {row["path"].rsplit("/", 1)[-1]: row["status"] for row in index}
    assert status.pop(source.name) == "done"
    assert all(s.startswith("bad: ") and len(s) > 10 for s in status.values())
    assert len(ObservationStore(tmp_path / "run" / "store").read("CO2")) == 985
    for name in ("cut.nc4", "text.nc4", "empty.nc4"):
        (granules / name).unlink()
    process = start(case)
    assert process.wait(120) == 0
