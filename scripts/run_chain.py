#!/usr/bin/env python
"""A simulated time over China through the whole chain, as files in the real formats, and what each stage took.

    python scripts/run_chain.py FOLDER [--days 365] [--network existing]
    python scripts/run_chain.py FOLDER --check [--days 6]   # from half the days and all, predict twice as many

World, weather and observations are those of `obsnet demo`: reduced density, a year is 365 of its days. Stages are
`obsnet run`'s; a killed run goes on. ``--check`` writes its prediction down before it makes the run it is of: each
stage's processor time is a part that stays and a part that grows with the days. Processor time, not wall-clock time,
because others may use the machine; where they do, the figures say so and are no claim.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
from bench_scale import machine  # noqa: E402

from obsnet.demo.options import DemoOptions  # noqa: E402
from obsnet.demo.run import run_demo  # noqa: E402
from obsnet.provenance import processor_seconds  # noqa: E402


def run(folder, days, network):
    """Run the chain of so many days; return processor seconds by stage, those of making the world as ``world``."""
    options = DemoOptions.model_construct(  # more days than a demo has
        out=folder / f"{network}-{days}", network=network, planted="370000", days=days, seed=1, workers=None
    )
    before = processor_seconds()
    record, _ = run_demo(options, say=lambda line: print(line, file=sys.stderr, flush=True))
    took = {name: stage["processor_seconds"] for name, stage in record["stages"].items()}
    if any(stage["skipped"] for stage in record["stages"].values()):
        return took | {"world": None}  # went on after a kill: what was done before is not known here
    return took | {"world": round(processor_seconds() - before - sum(took.values()), 2)}


def predicted(one, other, factor):
    """Return what each stage takes at a size, from runs of half a size and of all of it.

    Parameters
    ----------
    one, other : dict of str to float
        Seconds at half the size, and at the size.
    factor : float
        The size asked for over the size.
    """
    slope = {name: 2.0 * max(other[name] - one[name], 0.0) for name in other}
    return {name: other[name] + slope[name] * (factor - 1.0) for name in other}


def check(folder, days, network):
    """Predict twice the days, then run them."""
    run(folder / "warm", 3, network)  # compiles
    sizes = {n: run(folder, n, network) for n in (days // 2, days)}
    if any(v["world"] is None for v in sizes.values()):
        raise SystemExit("a run was made before: give an empty folder, so that all is measured")
    said = predicted(*sizes.values(), 2.0)
    total = sum(said.values())
    print(f"{2 * days} days are predicted to take {total:.1f} s of processor time: {said}", flush=True)
    found = run(folder, 2 * days, network)
    ratio = total / sum(found.values())
    return {
        "predicted": said,
        "found": found,
        "predicted_over_found": round(ratio, 3),
        "within_25_percent": 0.75 <= ratio <= 1.25,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int)
    parser.add_argument("--network", choices=("existing", "idealised"), default="existing")
    parser.add_argument("--check", action="store_true", help="predict twice the days before running them")
    given = parser.parse_args()
    before = machine()
    if given.check:
        found = check(given.folder, given.days or 6, given.network)
    else:
        found = {"days": given.days or 365, "stages": run(given.folder, given.days or 365, given.network)}
    print(json.dumps({"machine": before, **found}, indent=1))


if __name__ == "__main__":
    main()
