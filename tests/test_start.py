"""What is imported on the way to a small result: on a cluster's file system that is what a user waits for."""

import subprocess
import sys

from tests.retrieval.granules import granule
from tests.stations.dialects import noaa_text, simple

HEAVY = (
    "numpy",
    "pandas",
    "xarray",
    "pyarrow",
    "pint",
    "pydantic",
    "netCDF4",
    "h5py",
    "numba",
    "scipy",
    "dask",
    "matplotlib",
)


def loaded(code, *arguments):
    """Return which heavy libraries a program has loaded at its end."""
    whole = f"import sys\n{code}\nprint(' '.join(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", whole, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_station_read_leaves_all_libraries_to_its_worker(tmp_path):
    path = tmp_path / "co2_mlo.txt"
    path.write_text(noaa_text(simple()))
    code = """
from obsnet.cli import main
try:
    main(["station", "read", sys.argv[1], "--json"])
except SystemExit as end:
    assert not end.code"""
    assert loaded(code, path) == {"pydantic"}


def test_the_worker_reads_and_sums_up_a_text_file_without_a_dataset(tmp_path):
    path = tmp_path / "co2_mlo.txt"
    path.write_text(noaa_text(simple()))
    code = """
from stations.readers import read_plain
from stations.record.summary import summary
assert summary(read_plain(sys.argv[1])[0])["rows"] == 4"""
    assert loaded(code, path) == {"numpy", "pyarrow"}


def test_ingest_plans_without_what_reads_granules():
    assert loaded("import retrieval.ingest.run") <= {"numpy", "pandas", "pyarrow", "pydantic"}


def test_a_small_granule_needs_no_compiled_loops_no_units_parser_and_no_dataset(tmp_path):
    path = granule(tmp_path / "granules")
    code = """
from retrieval.ingest.one import GranuleTask, ingest_one
from retrieval.ingest.options import IngestOptions
row = ingest_one(GranuleTask(sys.argv[1], sys.argv[2], IngestOptions()))
assert row["status"] == "done", row"""
    assert not loaded(code, path, tmp_path / "store") & {
        "pint",
        "numba",
        "scipy",
        "xarray",
        "netCDF4",
        "dask",
        "matplotlib",
    }
