"""Walk one real province from its energy balance to a verdict: docs/inventory.md, "One real province".

    python scripts/walk_inventory.py [--folder FOLDER] [--out docs] [--seed 1]

Real: the balances of Hebei and seven provinces around it of 2007 ($OBSNET_SAMPLE_DATA), the plants, the boundaries;
and every step but one is a command, printed as it is run. Simulated: what stations would have seen in 2007, for there
are no observations of that year. A truth is drawn around the table (each province off by the sd that the table states,
each cell by a quarter), carried to stations by idealised winds, and observed with errors. Three runs, one seed:

as tabled     Hebei's truth is its table
too low       Hebei's truth is 30 % more than its table: the verdict has to find it
two stations  the same truth, and all stations but two are gone: the verdict has to say that it cannot know

Writes inventory_verdict.png and, in FOLDER, the files of every step.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
DATA = Path(os.environ.get("OBSNET_SAMPLE_DATA", ROOT.parent / "shared" / "data")) / "inventory"
BALANCES = (1, 2, 3, 4, 10, 12, 15, 16)
HEBEI = "130000"
BOX = (29.0, 43.0, 110.0, 123.0)  # south, north, west, east
EVERY_DAYS = 3  # early afternoon
BACKGROUND, POINT_SD, INSTRUMENT_SD, BIOSPHERE_SD, CELL_SD = 384.0, 2.0, 0.1, 2e-7, 0.25
CASE = """
[run]
name = "walk"
out = "run"

[invert]
species = "CO2"
store = "store"
footprints = "footprints"
prior = "both.nc"
step = "MS"
[invert.sector.fossil]
relative = 0.25
correlation_km = 100
regional_relative = 0.30
step = "all"
[invert.sector.biosphere]
sigma = 2e-7
correlation_km = 300
correlation_days = 30
[invert.boundary]
background = 384.0
sigma = 0.5
[invert.error]
point = 2.0
# drawn independent of each other; real ones are not
correlation_hours = 0
"""


def obsnet(*words: object, folder: Path, show: int = 4) -> None:
    """Run a command in a folder as a person would, and print it with the end of its answer."""
    text = [str(w) for w in words]
    print("$ obsnet", *text, flush=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "obsnet", *text],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    print(*(f"    {line}" for line in done.stdout.splitlines()[-show:]), sep="\n", flush=True)


def from_balance_to_prior(folder: Path) -> None:
    """Check, compile and grid, each by its command."""
    from shutil import copyfile

    for number in BALANCES:
        copyfile(DATA / f"energy_balance_2007/{number}.xls", folder / f"{number}.xls")
    copyfile(DATA / "powerplants/wri_gppd_China_raw.csv", folder / "plants.csv")
    obsnet("inventory", "check", "3.xls", folder=folder, show=2)
    how = ("--activity-sd", 0.05, "--factor-sd", 0.05)
    obsnet("inventory", "compile", "3.xls", *how, "--out", "inv", folder=folder, show=2)
    books = [f"{n}.xls" for n in BALANCES]
    obsnet("inventory", "compile", *books, *how, "--negative", "keep", "--out", "all", folder=folder, show=1)
    south, north, west, east = BOX
    grid = (
        "--grid",
        f"{south:g},{north:g},{west:g},{east:g},0.1",
        "--plants",
        "plants.csv",
        "--plant-fuels",
        "Coal",
    )
    obsnet("inventory", "grid", "all/inventory.csv", *grid, "--out", "prior.nc", folder=folder, show=1)


def stations(few: bool) -> dict[str, tuple[float, float]]:
    """Return stations two degrees apart over the box, or two of its corners."""
    south, north, west, east = BOX
    places = {
        f"S{i:02d}": (float(lat), float(lon))
        for i, (lat, lon) in enumerate(
            (a, b) for a in np.arange(south + 1, north, 2.0) for b in np.arange(west + 1, east, 2.0)
        )
    }
    return {k: places[k] for k in (min(places), max(places))} if few else places


def simulate(folder: Path, factor: float, few: bool, seed: int) -> None:
    """Write prior of both sectors, footprints, and what stations see of a drawn truth."""
    import pandas as pd
    import xarray as xr

    from inversion.jacobian.store import Jacobian, JacobianStore
    from inversion.study.idealised import TransportOptions, Wind, idealised_footprints
    from obsnet.cf import flux_dataset, write_netcdf
    from obsnet.grid import Grid
    from obsnet.regions import provinces
    from obsnet.schema import observation_table
    from obsnet.splitting import flux_shares
    from obsnet.store import ObservationStore

    start, stop = np.datetime64("2007-01-01", "us"), np.datetime64("2008-01-01", "us")
    with xr.open_dataset(folder.parent / "prior.nc", engine="netcdf4") as data:
        fine = Grid.regular(*BOX, 0.1, 0.1)
        fossil = data["flux"].sum("sector").to_numpy()[0]
    both = np.stack([fossil, np.zeros_like(fossil)])[None]
    text = {
        "title": "prior of the walk",
        "summary": "s",
        "source": "obsnet inventory grid",
        "license": "not stated",
    }
    write_netcdf(
        flux_dataset(both, fine, [start, stop], substance="CO2", sectors=["fossil", "biosphere"], **text),
        folder / "both.nc",
    )

    grid = Grid.regular(*BOX, 0.5, 0.5)
    area = fine.cell_area
    table = pd.read_csv(folder.parent / "all/inventory.csv", dtype={"region": str})
    stated = table[table["category"] == "total"].set_index("region")["uncertainty"]
    rng = np.random.default_rng([seed, 1])  # one truth for the three runs
    shares = flux_shares(provinces(), fine, {"fossil": fossil})
    part = shares.area("fossil")[: len(shares.regions)].toarray() / area.ravel()
    off = {r: 1.0 + s * rng.standard_normal() for r, s in sorted(stated.items())}
    off[HEBEI] = factor
    scale = np.array([off.get(r, 1.0) for r in shares.regions]) @ part + (1.0 - part.sum(axis=0))
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    distance = 111.2 * np.hypot(
        lat.ravel()[:, None] - lat.ravel(), 0.8 * (lon.ravel()[:, None] - lon.ravel())
    )
    root = np.linalg.cholesky(np.exp(-distance / 100.0) + 1e-9 * np.eye(grid.size))
    pattern = np.repeat(
        np.repeat((1.0 + CELL_SD * root @ rng.standard_normal(grid.size)).reshape(grid.shape), 5, 0), 5, 1
    )
    truth = fossil * scale.reshape(fossil.shape) * np.maximum(pattern, 0.0)
    held = (
        part @ (fossil * area).ravel(),
        part @ (truth * area).ravel(),
    )  # the pattern leaves totals as they were drawn
    wanted = np.array([off.get(r, 1.0) for r in shares.regions])
    keep = held[1] > 0
    again = np.where(keep, wanted * held[0] / np.where(keep, held[1], 1.0), 1.0)
    truth *= (again @ part + (1.0 - part.sum(axis=0))).reshape(fossil.shape)
    true_coarse = (truth * area).reshape(grid.shape[0], 5, grid.shape[1], 5).sum(axis=(1, 3)) / grid.cell_area
    edges = np.arange("2007-01", "2008-02", dtype="datetime64[M]").astype("datetime64[us]")
    biosphere = BIOSPHERE_SD * (root @ rng.standard_normal((grid.size, 12))).T

    places = stations(few)
    days = start + np.arange(8, 365, EVERY_DAYS) * np.timedelta64(1, "D") + np.timedelta64(6, "h")
    code = np.repeat(list(places), days.size)
    where = np.repeat(np.array(list(places.values())), days.size, axis=0)
    times = np.tile(days, len(places))
    wind = Wind(TransportOptions(), start, stop, seed)
    matrix = idealised_footprints(
        where[:, 0], where[:, 1], times, np.zeros(times.size, bool), grid=grid, time_edges=edges, wind=wind
    )
    ids = np.array([f"walk:{c}:{t}" for c, t in zip(code, times, strict=True)])
    months = np.searchsorted(edges, times, side="right") - 1
    sides = np.zeros((times.size, 6, 12))
    sides[np.arange(times.size), 2, months] = 1.0  # inflow of the month, one side standing for all
    import scipy.sparse as sp

    jacobian = Jacobian(
        matrix.astype(np.float32), ids, grid, edges, boundary=sp.csr_array(sides.reshape(times.size, -1))
    )
    store = JacobianStore(folder / "footprints").create(
        {"grid": grid, "time_edges": edges, "kind": "computed", "model": "idealised puffs", "species": None}
    )
    store.write("all", jacobian)
    flux = 1e6 * (np.tile(true_coarse.ravel(), (12, 1)) + biosphere)
    noise = np.random.default_rng([seed, 2 + few])
    inflow = 0.5 * noise.standard_normal(12)
    value = BACKGROUND + inflow[months] + matrix @ flux.ravel()
    value = value + np.hypot(POINT_SD, INSTRUMENT_SD) * noise.standard_normal(times.size)
    columns = {
        "obs_id": ids, "platform": code, "time": times, "latitude": where[:, 0], "longitude": where[:, 1],
        "value": value, "uncertainty": np.full(times.size, INSTRUMENT_SD),
    }  # fmt: skip
    ObservationStore(folder / "store").write(
        observation_table(columns, species="CO2", kind="point", source="walk", file_id="0" * 16)
    )
    (folder / "case.toml").write_text(CASE, encoding="utf-8")


def verdict(folder: Path, name: str, factor: float, few: bool, seed: int):
    """Simulate, invert, cross-check; return the row of Hebei."""
    import pandas as pd

    here = folder / name.replace(" ", "_")
    here.mkdir()
    simulate(here, factor, few, seed)
    print(f"# {name}: Hebei's truth is {factor:g} x its table, {len(stations(few))} stations")
    obsnet("invert", "case.toml", folder=here, show=1)
    obsnet("crosscheck", "run/posterior.nc", "../inv/inventory.csv", "--sector", "fossil", "--out", "run",
           folder=here, show=2)  # fmt: skip
    table = pd.read_csv(here / "run/provinces.csv", dtype={"region": str}).set_index("region")
    row = table.loc[HEBEI]
    print(
        f"Hebei: table {row['inventory']:.0f} ± {row['inventory_sd']:.0f}, inversion {row['posterior']:.0f} ± "
        f"{row['posterior_sd']:.0f}, smallest detectable {row['minimum_detectable']:.0f} Mt: {row['verdict']}",
        flush=True,
    )
    return row


def draw(rows, target: Path) -> None:
    """Draw table, truth and what the inversion says, of each run."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    for k, (_, factor, row) in enumerate(rows):
        y = -k
        axes.errorbar(row["inventory"], y + 0.15, xerr=1.96 * row["inventory_sd"], fmt="s", color="#4477aa", capsize=3,
                      label="table" if k == 0 else None)  # fmt: skip
        axes.errorbar(row["posterior"], y - 0.15, xerr=1.96 * row["posterior_sd"], fmt="o", color="#228833", capsize=3,
                      label="inversion" if k == 0 else None)  # fmt: skip
        axes.plot(row["inventory"] * factor, y, "k|", ms=16, label="truth" if k == 0 else None)
        axes.annotate(row["verdict"], (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set_yticks([-k for k in range(len(rows))], [name for name, _, _ in rows])
    axes.set_xlabel("Hebei, Mt CO2 a year, 2007 (observations simulated)")
    axes.set_ylim(0.5 - len(rows), 0.5)
    axes.legend(fontsize=8, loc="upper right")
    figure.savefig(target, dpi=90)
    print(f"{target.name}: {target.stat().st_size / 1024:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="for the files of every step; a new one")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="for the picture")
    parser.add_argument("--seed", type=int, default=1, help="of truth, winds and errors")
    choice = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "walk" if choice.folder is None else choice.folder
        if folder.exists():
            parser.error(f"{folder} exists; name a new folder")
        folder.mkdir(parents=True)
        from_balance_to_prior(folder)
        runs = (("as tabled", 1.0, False), ("too low", 1.3, False), ("two stations", 1.3, True))
        rows = [(name, f, verdict(folder, name, f, few, choice.seed)) for name, f, few in runs]
    choice.out.mkdir(parents=True, exist_ok=True)
    draw(rows, choice.out / "inventory_verdict.png")


if __name__ == "__main__":
    main()
