"""Shared particles through the whole run: restart, batches, forecast, and what is stored for an inversion."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inversion.case.inputs.reading import with_particles
from inversion.jacobian.store import JacobianStore
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.receptors.sharing import cells_of
from inversion.transport.run.folder import read_plan
from inversion.transport.run.options import FootprintOptions
from inversion.transport.run.plan import estimate
from inversion.transport.run.run import run_footprints
from inversion.transport.run.table import forecast, look
from obsnet.cli import main
from obsnet.config import validate
from obsnet.errors import ConfigError, FormatError
from obsnet.grid import Grid
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from tests.inversion.transport.receptors.test_releases import HATS, LEVELS, column
from tests.obsnet.met.worlds import era5

GRID = Grid.regular(22, 29, 102, 110, 1, 1)
T0 = np.datetime64("2020-06-01T12:00", "us")
KM = 40.0


@pytest.fixture(scope="module")
def met_file(tmp_path_factory):
    return era5(tmp_path_factory.mktemp("met") / "a.nc", hours=range(25))


def swath(rows=4, across=3, names="c"):
    """Soundings 10 km and a second apart: several in each cell of 40 km."""
    row, at = np.divmod(np.arange(rows * across), across)
    return column(
        np.linspace(1.0, 0.6, LEVELS.size),
        HATS,
        LEVELS,
        n=row.size,
        latitude=26.0 + 0.09 * row,
        longitude=106.0 + 0.1 * at,
        time=T0 + row.astype("timedelta64[s]"),
        obs_id=[f"{names}:{k}" for k in range(row.size)],
    )


def go(met_file, out, observations, **options):
    arguments = {
        "grid": GRID,
        "step": "3h",
        "settings": ParticleSettings(turbulence="mixed-layer", hours=6.0, particles=30, seed=4),
        "batch": 5,
        "share": KM,
        "work": Work(scheduler="serial"),
    }
    return run_footprints(observations, [met_file], out, **{**arguments, **options})


def same(a, b):
    one, two = JacobianStore(a).read(), JacobianStore(b).read()
    names = sorted(set(one.obs_id) & set(two.obs_id))
    assert names
    for name in ("matrix", "boundary", "stderr"):
        x, y = (getattr(j.select(names), name).toarray() for j in (one, two))
        np.testing.assert_array_equal(x, y)


def test_an_added_sounding_changes_no_other(met_file, tmp_path):
    """It stands within the cells of others, and is computed later: all is as if made at once."""
    whole = swath()
    found = go(met_file, tmp_path / "whole", whole)
    assert found["receptors"] == 12
    assert found["swarms"] < 12
    there = whole.slice(0, 11)
    go(met_file, tmp_path / "fp", there)
    before = JacobianStore(tmp_path / "fp").parts()
    assert go(met_file, tmp_path / "fp", whole)["made"] == 1
    assert set(before) < set(JacobianStore(tmp_path / "fp").parts())
    same(tmp_path / "whole", tmp_path / "fp")
    assert JacobianStore(tmp_path / "fp").read().obs_id.size == 12


def test_batches_cut_between_cells_and_change_nothing(met_file, tmp_path):
    go(met_file, tmp_path / "a", swath(), batch=100)
    largest = max(Counter(cells_of(swath(), KM)).values())
    for name, batch in (("b", largest), ("c", 1)):
        go(met_file, tmp_path / name, swath(), batch=batch)
        same(tmp_path / "a", tmp_path / name)
    cells = [
        set(pq.read_table(p)["particles_of"].to_pylist())
        for p in (tmp_path / "b" / "receptors").glob("*.parquet")
    ]
    assert len(cells) > 1
    assert sum(map(len, cells)) == len(set.union(*cells))
    assert max(len(own) for own in read_plan(tmp_path / "b").parts.values()) <= largest


def test_sharing_is_another_setting_and_said(met_file, tmp_path):
    found = go(met_file, tmp_path / "fp", swath())
    assert any(line.startswith("share: columns within cells of 40 km") for line in found["notes"])
    assert JacobianStore(tmp_path / "fp").meta["share"] == KM
    for share in (0.0, 20.0):
        with pytest.raises(ConfigError, match="holds footprints of other share"):
            go(met_file, tmp_path / "fp", swath(), share=share)
    # Folders made before there was sharing go on as they are.
    go(met_file, tmp_path / "apart", swath(), share=0.0)
    assert "share" not in read_plan(tmp_path / "apart").decides


def test_cells_wider_than_the_weather_are_refused_before_any_work(met_file, tmp_path):
    with pytest.raises(ConfigError, match=r"share = 300 km is more than the meteorology's nodes lie apart"):
        go(met_file, tmp_path / "fp", swath(), share=300.0)
    assert not (tmp_path / "fp" / "plan.json").exists()


def test_options_that_make_no_sense_with_sharing():
    base = {
        "met": ["a.nc"],
        "species": "CO2",
        "share": 10,
        "grid": {"south": 22, "north": 29, "west": 102, "east": 110, "dlat": 1, "dlon": 1},
    }
    with pytest.raises(ConfigError, match="paths are those of one receptor's particles"):
        validate(FootprintOptions, {**base, "paths": 60})
    with pytest.raises(ConfigError, match="share: of an observation store only"):
        validate(FootprintOptions, {**base, "receptors": "a.csv"})
    with pytest.raises(ConfigError, match="share"):
        validate(FootprintOptions, {**base, "share": -1})


def test_forecast_check_and_command_know_of_it(met_file, tmp_path, capsys):
    store = tmp_path / "out" / "observations"
    ObservationStore(store).write(swath())
    arguments = ["footprints", "run", str(met_file), "--store", str(store), "--species", "co2", "--grid"]
    arguments += ["22,29,102,110,1,1", "--step", "3h", "--hours", "6", "--particles", "30", "--share", "40"]
    arguments += [
        "--turbulence",
        "mixed-layer",
        "--scheduler",
        "serial",
        "--out",
        str(tmp_path / "fp"),
        "--json",
    ]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    swarms = found["swarms"]
    assert 1 < swarms < found["receptors"] == 12
    assert f"12 receptors that share {swarms} swarms of particles in 1 parts" in captured.err
    options = validate(
        FootprintOptions,
        {
            "met": [str(met_file)],
            "species": "CO2",
            "grid": {"south": 22, "north": 29, "west": 102, "east": 110, "dlat": 1, "dlon": 1},
            "share": 40,
        },
    )
    where = {"folder": tmp_path, "outputs": tmp_path / "out"}
    assert f"share {swarms} swarms" in forecast(options, **where, seed=0, workers=1)[0]
    assert any(
        f"from {swarms} shared swarms of particles" in str(line) for line in look(options, **where, before=())
    )


def test_the_forecast_counts_swarms_and_what_a_further_column_costs():
    run = ParticleSettings(turbulence="stilt", hours=72.0, particles=1000)

    def minutes(*counts, **more):
        words = estimate(*counts, run, 1, **more).split("about ")[1].split()
        return float(words[0]) * (60.0 if words[1] == "h" else 1.0)

    assert minutes(3000, 1, swarms=100) < 0.1 * minutes(3000, 1)
    assert minutes(3000, 1, swarms=100) > minutes(100, 1)
    assert minutes(3000, 1, swarms=3000) == minutes(3000, 1)


def test_an_inversion_is_told_whose_particles_they_are(met_file, tmp_path):
    go(met_file, tmp_path / "fp", swath())
    store = JacobianStore(tmp_path / "fp")
    told = with_particles(swath(), store)
    counts = told.group_by("particles_of").aggregate([("obs_id", "count")])["obs_id_count"].to_pylist()
    assert sum(counts) == 12
    assert max(counts) > 1
    part = store.parts()[0]
    (tmp_path / "fp" / "receptors" / f"{part}.parquet").unlink()
    with pytest.raises(FormatError, match="make the footprints again"):
        with_particles(swath(), store)
    go(met_file, tmp_path / "apart", swath(), share=0.0)
    assert with_particles(swath(), JacobianStore(tmp_path / "apart")).equals(swath())
    own = pq.read_table(next((tmp_path / "apart" / "receptors").glob("*.parquet")))
    assert own["particles_of"].equals(own["obs_id"])


def test_shared_columns_and_points_in_one_folder(met_file, tmp_path):
    from tests.inversion.transport.run.test_run import table

    points = table(n=3, first=11)
    both = pa.concat_tables([swath(), points], promote_options="default")
    go(met_file, tmp_path / "fp", both)
    go(met_file, tmp_path / "points", points, share=0.0)
    same(tmp_path / "fp", tmp_path / "points")
