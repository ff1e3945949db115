"""The run record: what was run, on what, with which versions and seeds, and what it took."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from obsnet import __version__
from obsnet.job import job_variables

__all__ = ["available_memory", "config_hash", "peak_memory", "processor_seconds", "record", "write_record"]

_PACKAGES = ("numpy", "scipy", "pandas", "xarray", "netCDF4", "h5py", "pyarrow", "numba", "dask")


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the sha256 of a configuration, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()


def peak_memory() -> int:
    """Return the largest resident memory of this process and of any finished child, bytes."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended, s."""
    import resource

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def available_memory() -> int:
    """Return the memory this process may still take, bytes: the least of free memory and cgroup limits."""
    limits = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        limits += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except OSError:  # no /proc: not Linux
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    group = Path("/sys/fs/cgroup")
    for maximum, current in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit = (group / maximum).read_text(encoding="ascii").strip()
            if limit != "max":
                limits.append(int(limit) - int((group / current).read_text(encoding="ascii")))
        except (OSError, ValueError):  # the other generation of cgroups, or none
            continue
    return max(min(limits), 0)


def _git_hash() -> str | None:
    """Return the commit the source tree is at, None where it is installed without one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def record(
    *,
    command: str,
    config: Mapping[str, Any],
    inputs: Iterable[Path] | Mapping[str, str | None] = (),
    seeds: Mapping[str, int] | None = None,
    stages: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Collect a run record.

    Parameters
    ----------
    command : str
        As the user would type it.
    config : mapping
        The whole configuration after overrides.
    inputs : iterable of Path, or mapping of str to str
        Files, hashed with sha256 here, or their hashes by name.
    seeds : mapping of str to int, optional
        By what they seed.
    stages : mapping, optional
        Results by stage, see `pipeline.run_case`.
    **more
        Further entries at the top level.

    Returns
    -------
    dict
        Plain values, ready for JSON.
    """
    from importlib.metadata import PackageNotFoundError, version

    from obsnet.content import sha256

    versions = {"obsnet": __version__, "python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return {
        "command": command,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": dict(config),
        "config_sha256": config_hash(config),
        "inputs": dict(inputs)
        if isinstance(inputs, Mapping)
        else {str(p): sha256(p) for p in sorted(inputs)},
        "versions": versions,
        "git": _git_hash(),
        "seeds": dict(seeds or {}),
        "job": dict(job_variables()),
        "stages": dict(stages or {}),
        "peak_memory_mib": round(peak_memory() / 2**20),
        **more,
    }


def write_record(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a run record as JSON, atomically."""
    from obsnet.atomic import write_text  # brings Arrow along, which asking for free memory should not

    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")
