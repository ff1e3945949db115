"""Run the twin experiment: see the truth once, then treat its files like anybody's."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from obsnet.config import read_toml
from obsnet.demo.observe import simulate
from obsnet.demo.twin import make_twin
from obsnet.errors import ConfigError, nearest
from obsnet.pipeline import read_case, run_case
from obsnet.provenance import record, write_record
from obsnet.store import ObservationStore

__all__ = ["run_demo"]

_NETWORKS = ("idealised", "existing")


def run_demo(
    out: Path,
    *,
    network: str,
    planted: str,
    days: int,
    seed: int,
    workers: int | None,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], Any]:
    """Make the world, observe it, and run the case on the files.

    Parameters
    ----------
    out : Path
        Folder for inputs and outputs.
    network : {"idealised", "existing"}
        Who observes.
    planted : str
        Adcode of the province whose bottom-up total is wrong.
    days : int
        Observed days.
    seed : int
        Of the world; the particles of the truth and of the inversion are seeded apart from it and each other.
    workers : int, optional
        Processes.
    say : callable
        Takes one line of progress.

    Returns
    -------
    dict, pandas.DataFrame
        Run record, table of verdicts.
    """
    import pandas as pd

    if network not in _NETWORKS:
        raise ConfigError(f"--network {network!r}{nearest(network, _NETWORKS)}")
    start = time.monotonic()
    say("writing the invented world …")
    twin = make_twin(out, network=network, days=days, seed=seed, planted=planted)
    twin.write_observations(None)
    say("observing the truth …")
    truth_seed, model_seed = 2 * seed + 1000, 2 * seed + 1001

    def run(name: str, run_seed: int, **more: bool) -> tuple[dict[str, Any], Any, Any]:
        path = twin.write_case(name, run_seed, workers=workers, **more)
        data = read_toml(path)
        case, steps = read_case(data, path)
        results = run_case(case, steps, report=lambda line: say(f"  {line}"))
        return results, data, sorted({p for stage, options in steps for p in stage.inputs(options, case)})

    truth = out / "truth"
    run("truth", truth_seed, only_footprints=True)
    twin.write_observations(simulate(truth / "footprints", twin.world), ObservationStore(truth / "store"))
    say("running the case on the files …")
    results, data, inputs = run("case", model_seed)
    table = pd.read_csv(out / "provinces.csv", dtype={"region": str})
    table["reason"] = table["reason"].fillna("")
    content = record(
        command=f"obsnet demo --out {out} --network {network} --planted {planted} --days {days}"
        f" --seed {seed}",
        config=data,
        inputs=inputs,
        seeds={"world": seed, "truth_particles": truth_seed, "model_particles": model_seed},
        stages=results,
        network=twin.network.note,
        planted=planted,
        verdicts=dict(zip(table["region"], table["verdict"], strict=True)),
        seconds=round(time.monotonic() - start, 1),
    )
    write_record(out / "run.json", content)
    return content, table
