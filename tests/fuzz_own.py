"""Kinds of own file, each with a small good one to damage; see `tests.fuzz_targets`."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xarray as xr

from tests import test_seals as seals
from tests.fuzz_tables import inverted

__all__ = ["OWN", "own", "results", "same"]


def own(make: Callable[[Path], Any], read: Callable[[Path], Any]) -> Callable[[Path], Iterator[Any]]:
    """Return a target of one own file, read from a copy of its folder."""

    def target(folder: Path) -> Iterator[tuple[Path, Any]]:
        made = make(folder)
        yield made[0] if isinstance(made, tuple) else made, lambda _, root: read(root)

    return target


def _part(root: Path) -> Any:
    from obsnet.store import ObservationStore

    return ObservationStore(root / "store").read("CO2")


def _jacobian(root: Path) -> Any:
    from inversion.jacobian.store import JacobianStore

    return JacobianStore(root / "footprints").read()


def _index(root: Path) -> Any:
    from obsnet.store import GranuleIndex

    return GranuleIndex(root / "_index").read()


def _own_netcdf(root: Path) -> Any:
    from obsnet.cf import read_netcdf

    return read_netcdf(root / "prior.nc")


def _record(root: Path) -> Any:
    from stations.record.file import read_record

    return read_record(root / "r.nc")


def _footprint_file(root: Path) -> Any:
    from inversion.transport.readers import open_footprints

    return open_footprints(root / "f.nc").read()


def _restart(root: Path) -> Any:
    from inversion.case.outputs.restart import load_posterior
    from tests.inversion.world import make_world

    return load_posterior(root / "restart.npz", make_world(n=20).assemble().problem)


def posterior(folder: Path) -> Path:
    (folder / "posterior.nc").write_bytes(inverted()[0])
    return folder / "posterior.nc"


def _posterior(root: Path) -> Any:
    from obsnet.cf import read_netcdf

    return read_netcdf(root / "posterior.nc").load()


def weights(folder: Path) -> Path:
    _weights(folder)
    (path,) = folder.glob("*.npz")
    return path


def _weights(root: Path) -> Any:
    """Weights that are kept are computed anew where their file is damaged."""
    import geopandas as gpd
    from shapely.geometry import box

    from obsnet.grid import Grid
    from obsnet.zonal import zonal_weights

    two = [box(0, 0, 1.3, 1), box(1.3, 0, 3, 2)]
    shapes = gpd.GeoDataFrame({"code": ["a", "b"]}, geometry=two, crs=4326).set_index("code")
    made = zonal_weights(shapes, Grid.regular(0, 3, 0, 3, 1, 1), cache=root)
    return xr.Dataset(
        {"f": (("region", "cell"), made.fraction.toarray()), "o": ("cell", made.outside.ravel())}
    )


def kept_result(folder: Path) -> Path:
    _results_of(folder).write("a", {"root": np.sqrt(np.arange(60.0)), "word": np.array("item")})
    (path,) = folder.glob("*.npz")
    return path


def _results_of(root: Path) -> Any:
    from obsnet.work.kept import KeptResults, fingerprint_of

    return KeptResults(root, fingerprint_of("one"))


def kept_array(folder: Path) -> Path:
    _kept_array(folder)
    (path,) = (folder / "kept").iterdir()
    return path


def _kept_array(root: Path) -> Any:
    from inversion.case.outputs.restart import kept_arrays
    from inversion.solvers.choose import solve
    from tests.inversion.world import make_world

    keep = kept_arrays(root / "kept", solve(make_world(n=20).assemble().problem, method="cg"))
    return keep("gain", lambda: np.linspace(0.0, 1.0, 60))


def year_part(folder: Path) -> Path:
    """A part of a whole year, which lists the parts that it was made of."""
    from tests.obsnet import test_compact as compacting

    store = compacting.fill(folder / "store", ("a", "b"))
    compacting.do(store)
    return store.files()[0]


def transport_error(folder: Path) -> Path:
    from obsnet.parquet import write_table

    names = [f"o{k}" for k in range(40)]
    made = pa.table({"obs_id": names, "transport_variance": np.linspace(0.1, 2.0, 40)})
    write_table(made, folder / "part.parquet")
    return folder / "part.parquet"


def _transport_error(root: Path) -> Any:
    from inversion.case.inputs.reading import with_transport_error

    return with_transport_error(pa.table({"obs_id": [f"o{k}" for k in range(40)]}), root)


def shards(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from obsnet.work.shards import taking_part
        from obsnet.work.work import Work

        for shard in range(2):
            work = Work(scheduler="serial", shard=f"{shard + 1}/2")
            with taking_part(folder, "ingest", [f"granule {k}" for k in range(9)], {"a": 1}, work):
                pass
        return next((folder / "_shards").glob(f"*/{name}"))

    return make


def _plans(root: Path) -> Any:
    from obsnet.work.shards import plans_of

    used = ("state", "items", "failed", "error", "host", "pid", "job", "started", "without")
    return [
        (p.stage, p.settings, p.items, [[q.shard, *(q.record[n] for n in used)] for q in p.parts])
        for p in plans_of(root)
    ]


def agreement(folder: Path) -> Path:
    _agreed(folder)
    return folder / "ingest-0" / "agreed-grid.json"


def _agreed(root: Path) -> Any:
    from obsnet.work.agreement import agreed

    (root / "ingest-0").mkdir(exist_ok=True)
    return agreed(root / "ingest-0", "grid", "1 by 2", "here")


def cross_sections(folder: Path) -> Path:
    from retrieval.forward.tables import save_table
    from tests.retrieval.forward.worlds import table

    save_table(table("CO2", (6225.2,), 2e-23), folder / "co2.zarr.zip")
    return folder / "co2.zarr.zip"


def _cross_sections(root: Path) -> Any:
    from retrieval.forward.tables import open_table

    return {k: np.asarray(v).tolist() for k, v in vars(open_table(root / "co2.zarr.zip")).items()}


def footprint_plan(folder: Path) -> Path:
    from inversion.transport.run.folder import Plan, write_plan

    parts = {f"p{k}": tuple(f"o{k}{j}" for j in range(5)) for k in range(3)}
    folder.mkdir(exist_ok=True)
    write_plan(folder, Plan({"grid": [1, 2], "hours": 24}, parts))
    return folder / "plan.json"


def _footprint_plan(root: Path) -> Any:
    from inversion.transport.run.folder import read_plan

    plan = read_plan(root)
    return plan and [plan.decides, plan.parts]


def stage_mark(folder: Path) -> Path:
    from obsnet.stage_mark import Mark, write_mark

    source = {"version": 3, "seed": 0, "options": {"a.b": 1}, "inputs": {"x.nc": "ab" * 32}, "before": {}}
    write_mark(folder / "a.json", Mark(source, ["out.nc"], {"out.nc": "cd" * 32}, {"seconds": 3.0}))
    return folder / "a.json"


def _stage_mark(root: Path) -> Any:
    from obsnet.stage_mark import read_mark

    mark = read_mark(root / "a.json")  # None where it is damaged: the stage runs again
    return mark and vars(mark)


def detected(folder: Path) -> Path:
    from obsnet.seal import sealed_json

    row = {"region": "410000", "prior_sd": 20.5, "posterior_sd": 8.25, "power": [0.4, 0.9], "reason": ""}
    made = {"observations": 40, "notes": ["made up"], "rows": [row, row]}
    (folder / "a.json").write_text(sealed_json(made))
    return folder / "a.json"


def _detected(root: Path) -> Any:
    from inversion.study.detect.run_detect import kept_system

    return kept_system(root / "a.json")  # None where it is damaged: computed again


def block(folder: Path) -> Path:
    import scipy.sparse as sp

    from inversion.operators.placed import write_block

    write_block(folder / "0.npz", sp.random_array((30, 20), density=0.2, format="csr", rng=0))
    return folder / "0.npz"


def _block(root: Path) -> Any:
    from inversion.operators.placed import read_block

    return read_block(str(root / "0.npz")).toarray().tolist()


def superobs_report(folder: Path) -> Path:
    from obsnet.store import ObservationStore
    from retrieval.superobs.options import Selection, Superobs
    from retrieval.superobs.store import combine_store
    from tests.retrieval.soundings import make_table

    store = ObservationStore(folder / "soundings")
    store.write(make_table(80, seed=0, start=np.datetime64("2020-05-30T05:00", "us")))
    with contextlib.redirect_stderr(io.StringIO()):
        combine_store(store.path, folder / "out", Selection(species="CO2"), Superobs())
    (path,) = (folder / "out" / "_superobs").rglob("*.parquet")
    return path


def _superobs(root: Path) -> Any:
    """Combine again: what is done is known by its report."""
    from retrieval.superobs.options import Selection, Superobs
    from retrieval.superobs.store import combine_store

    with contextlib.redirect_stderr(io.StringIO()):
        found = combine_store(root / "soundings", root / "out", Selection(species="CO2"), Superobs())
    return found.by_source() if not found.bad else None


OWN: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "part": (seals.part, _part),
    "part of a year": (year_part, _part),
    "index": (seals.index, _index),
    "superobs report": (superobs_report, _superobs),
    "sensitivity": (seals.sensitivity, _jacobian),
    "background": (seals.background, _jacobian),
    "meta": (seals.meta, _jacobian),
    "footprint plan": (footprint_plan, _footprint_plan),
    "footprint file": (seals.footprint_file, _footprint_file),
    "transport error": (transport_error, _transport_error),
    "own netcdf": (seals.own_netcdf, _own_netcdf),
    "record": (seals.record, _record),
    "restart": (seals.restart, _restart),
    "posterior": (posterior, _posterior),
    "weights": (weights, _weights),
    "kept result": (kept_result, lambda root: _results_of(root).read("a")),
    "kept array": (kept_array, _kept_array),
    "block of a Jacobian": (block, _block),
    "shard plan": (shards("plan.json"), _plans),
    "shard record": (shards("1of2.json"), _plans),
    "agreement": (agreement, _agreed),
    "stage mark": (stage_mark, _stage_mark),
    "detected": (detected, _detected),
    "cross sections": (cross_sections, _cross_sections),
}


def results(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Results that a report reads back; they carry no seal, as people open them."""
    from obsnet.report.options import ReportOptions
    from obsnet.report.record import inputs_section, recorded, with_record
    from obsnet.report.run import report_files
    from obsnet.report.sections.nowcast import nowcast_sections
    from obsnet.report.sections.optional import optional_sections
    from tests.obsnet.report import synthetic

    synthetic.folder(folder / "run")
    (folder / "nowcast").mkdir()
    synthetic.nowcast(folder / "nowcast")

    def record(_: Path, root: Path) -> Any:
        return recorded(root), with_record(ReportOptions(), root), inputs_section(root, {})

    yield folder / "run" / "run.json", record

    def whole(_: Path, root: Path) -> Any:
        found = root / "posterior.nc", root / "provinces.csv"
        return len(report_files(*found, root, ReportOptions(formats=["csv"])))

    (folder / "whole").mkdir()
    beside = [*(folder / "run").glob("provinces*.csv"), folder / "run" / "posterior.nc"]
    for path in sorted(beside):
        path.rename(folder / "whole" / path.name)
    other_program = folder / "whole" / "posterior.nc"  # that wrote it again leaves no seal
    other_program.write_bytes(other_program.read_bytes()[:-40])
    for path in sorted((folder / "whole").iterdir()):
        yield path, whole
    for path in sorted(p for p in (folder / "run").iterdir() if p.name != "run.json"):
        yield path, lambda _, root: optional_sections(root)
    for path in sorted((folder / "nowcast").iterdir()):
        yield path, lambda _, root: nowcast_sections(root)


def run_folder(folder: Path) -> Iterator[tuple[Path, Any]]:
    """What a run notes of itself: memory of hashes, journals, jobs; and the marks of a twin experiment."""
    from obsnet.content import Contents
    from obsnet.demo.run import _claim
    from obsnet.journal import FOLDER
    from obsnet.status import jobs_of, status_of

    (folder / "a.txt").write_text("a")
    entry = {str(folder / "a.txt"): [1, 2, 3, 4, 5, "ab" * 32]}
    (folder / "contents.json").write_text(json.dumps(entry))
    yield folder / "contents.json", lambda p, root: Contents(p, trust=True).digest(root / "a.txt")
    (folder / "demo.json").write_text(json.dumps({"days": 5, "seed": 1}, indent=1))
    yield folder / "demo.json", lambda _, root: _claim(root, {"days": 5, "seed": 1})
    run = folder / "run"
    (run / FOLDER).mkdir(parents=True)
    about = {"run": "r", "host": "h", "pid": 1, "job": "", "stage": "ingest", "time": "2020-01-01T00:00:00"}
    lines = [
        about | {"event": "stage", "state": "begins"},
        about | {"event": "progress", "what": "granules", "done": 3, "of": 9, "since": "2020-01-01T00:00:00"},
        about | {"event": "stage", "state": "done"},
    ]
    journal = run / FOLDER / "r.jsonl"
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    yield journal, lambda _, root: status_of(root / "run")
    (run / ".jobs").mkdir()
    (run / ".jobs" / "numbers.json").write_text(json.dumps({"ingest": "12", "invert": "13"}))
    yield run / ".jobs" / "numbers.json", lambda _, root: jobs_of(root / "run")


def prepared(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Prepared meteorology: mapped, too large to be verified each time; another process made it."""
    from obsnet.met import Met, open_met
    from obsnet.met.prepared import _DIGESTS, contents
    from obsnet.seal import sealed_json
    from tests.obsnet.met.worlds import era5

    era5(folder / "a.nc", hours=range(3))
    with contextlib.redirect_stderr(io.StringIO()):
        open_met([folder / "a.nc"], levels=8).save(folder / "met", anew=True)
    (folder / "met" / _DIGESTS).write_text(sealed_json({"1-2-3-4-5": "ab" * 32}))

    def column(root: Path) -> Any:
        met = Met.load(root)
        return met.profile(met.start, met.lat[1], met.lon[1])

    for path in sorted((folder / "met").iterdir()):
        if path.name == _DIGESTS:
            yield path, lambda _, root: contents([root / "met.json"], root)
        else:
            yield path, lambda _, root: column(root)


def same(one: Any, other: Any) -> bool:
    """Tell whether two answers of an own file hold the same; what is given up and made anew counts as that."""
    return one is None or _plain(one) == _plain(other)


def _plain(answer: Any) -> Any:
    from inversion.jacobian.store import Jacobian

    if isinstance(answer, xr.Dataset):
        variables = {str(n): (v.dims, v.values.tolist()) for n, v in answer.variables.items()}
        return repr(variables) + repr(
            {k: v for k, v in answer.attrs.items() if k not in ("path", "source_file")}
        )
    if isinstance(answer, Jacobian):
        return repr(seals._arrays(answer))
    if isinstance(answer, np.ndarray):
        return repr(answer.tolist())
    if isinstance(answer, dict):
        return repr(sorted((str(k), _plain(v)) for k, v in answer.items()))  # the order of keys says nothing
    if hasattr(answer, "to_pylist"):
        return repr(answer.to_pylist())
    return repr(answer.mean.tolist()) if hasattr(answer, "mean") else repr(answer)
