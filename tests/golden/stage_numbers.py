"""What the stages make of small worlds, in a few numbers a variable, and the versions that made them so.

A stage that gives other numbers than before must raise its version, or finished cases keep the old ones. So the numbers
are kept with the version. They are compared within `TOLERANCE` of their size, not by a hash: compilers, processors and
versions of libraries move the last digits, and a hash of rounded numbers would break wherever one lies at the edge of
rounding. A change that moves nothing in these worlds by a millionth is not seen.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

KEPT = Path(__file__).with_name("stages.json")
WORLDS = ("satellite", "validation", "stations", "transport", "inversion")  # of `tests.cases`
TOLERANCE = 1e-6
_NO_NUMBERS = {"report"}


def stage_numbers(world: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Run a world of `tests.cases` in a folder and return version and numbers by stage."""
    from obsnet.pipeline import read_case, run_case
    from obsnet.stage_mark import read_mark
    from tests.cases import WORLDS as MAKERS

    made = MAKERS[world](folder)
    case, steps = read_case(made.data, folder / "case.toml")
    run_case(case, steps)
    found = {}
    for stage, _ in steps:
        mark = read_mark(case.out / ".stages" / f"{stage.name}.json")
        assert mark is not None
        if stage.name not in _NO_NUMBERS:
            found[stage.name] = {
                "version": stage.version,
                "options": hashlib.sha256(
                    json.dumps(mark.source["options"], sort_keys=True).encode()
                ).hexdigest(),
                "needs": list(stage.needs),
                "data": {name: version(name) for name in stage.data},
                "numbers": _numbers(case.out, sorted(mark.files)),
            }
    return found


def changes(before: dict[str, list[float]], now: dict[str, list[float]]) -> list[str]:
    """Return the variables whose numbers are others, and how."""
    found = []
    for name, old in before.items():
        new = now.get(name)
        if new is None:
            found.append(f"{name} is gone")
        elif old[:2] != new[:2]:
            found.append(
                f"{name}: {old[0]:.0f} numbers and {old[1]:.0f} missing, now {new[0]:.0f} and {new[1]:.0f}"
            )
        elif any(abs(a - b) > TOLERANCE * max(old[3], new[3]) for a, b in zip(old[2:], new[2:], strict=True)):
            found.append(f"{name}: mean {old[2]:.9g}, rms {old[3]:.9g}, now {new[2]:.9g}, {new[3]:.9g}")
    return found


def faults(kept: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Compare the stages of a world, in their order.

    Numbers may be others where the version, an option's default or the numbers of a stage before are: all of these run
    a finished stage again by themselves.

    Returns
    -------
    must_raise : list of str
        Stages that give other numbers with nothing that says so.
    others : list of str
        Stages of which what is kept is no longer true, for a good reason.
    """
    must_raise, others, moved = [], [], set()
    for stage, new in now.items():
        old = kept.get(stage)
        if old is None:
            others.append(f"[{stage}] is new")
            continue
        found = changes(old["numbers"], new["numbers"])
        said = [k for k in ("version", "options") if old[k] != new[k]]
        if found:
            moved.add(stage)
            excused = said or moved & set(new["needs"])
            (others if excused else must_raise).append(f"[{stage}]: {'; '.join(found[:5])}")
        elif said or new["numbers"].keys() != old["numbers"].keys():
            others.append(f"[{stage}]: {' and '.join(said) or 'variables'} changed")
    return must_raise, others + [f"[{stage}] is gone" for stage in kept if stage not in now]


def same_data(kept: dict[str, dict[str, Any]]) -> bool:
    """Tell whether the packages of data are those of the kept numbers; their versions enter the stages' marks."""
    return all(version(name) == of for stage in kept.values() for name, of in stage["data"].items())


def read_kept() -> dict[str, dict[str, Any]]:
    """Return what is kept, by world and stage."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def _numbers(out: Path, names: list[str]) -> dict[str, list[float]]:
    import pandas as pd

    tables: dict[str, list[pd.DataFrame]] = {}
    found = {}
    for name in names:
        path = out / name
        if path.suffix == ".parquet":
            folders = [p for p in Path(name).parts[:-1] if not p.startswith(("year=", "month="))]
            label = "/".join(folders) or name
            tables.setdefault(label, []).append(pd.read_parquet(path, partitioning=None))
        elif path.suffix == ".csv":
            tables.setdefault(name, []).append(pd.read_csv(path))
        elif path.suffix == ".nc":
            found |= {f"{name} {k}": v for k, v in _of_netcdf(path).items()}
    for label, parts in tables.items():
        table = pd.concat(parts)
        keys = [k for k in ("time", "obs_id", "time_bin", "cell") if k in table]
        table = table.sort_values(keys, kind="stable") if keys else table
        found |= {f"{label} {c}": n for c in table if (n := _in_few(_flat(table[c]))) is not None}
    return dict(sorted(found.items()))


def _of_netcdf(path: Path) -> dict[str, list[float]]:
    import xarray as xr

    with xr.open_dataset(path, engine="netcdf4", decode_times=False) as data:
        found = {str(k): _in_few(v.values) for k, v in data.variables.items()}
    return {k: v for k, v in found.items() if v is not None}


def _flat(column: Any) -> np.ndarray:
    """Return the values of a column; those of lists one after the other."""
    values = column.to_numpy()
    lists = [v for v in values if isinstance(v, np.ndarray)] if values.dtype == object else []
    if lists:
        return np.concatenate(lists)
    if values.dtype.kind == "M":
        return (values - np.datetime64("2019-01-01")) / np.timedelta64(1, "s")
    return np.asarray(values)


def _in_few(values: np.ndarray) -> list[float] | None:
    """Return how many, how many missing, mean, root mean square, and a mean with weights that tell the order."""
    if values.dtype.kind not in "biuf":
        return None
    flat = values.astype(np.float64).ravel()
    good = np.isfinite(flat)
    if not good.any():
        return [float(flat.size), float(flat.size), 0.0, 0.0, 0.0]
    weight = (np.arange(flat.size) * 0.6180339887498949) % 1.0
    x = flat[good]
    return [
        float(flat.size),
        float((~good).sum()),
        float(x.mean()),
        float(np.sqrt(np.mean(x**2))),
        float(np.mean(x * weight[good])),
    ]
