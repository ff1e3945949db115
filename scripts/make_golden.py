"""Make the golden files of tests/golden again; look at the difference before committing it.

Numbers of a stage that changed are written only where its version was raised (`obsnet.pipeline.Stage`).

usage: python scripts/make_golden.py
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden"


def province_areas():
    """Measure the 34 provinces on the ellipsoid, directly and by cells of half a degree."""
    from obsnet.coverage import polygon_area
    from obsnet.grid import Grid
    from obsnet.regions import provinces
    from obsnet.zonal import zonal_weights

    frame = provinces()
    zones = zonal_weights(frame, Grid.regular(0, 56, 70, 138, 0.5, 0.5), cache=False)
    table = pd.DataFrame(
        {
            "name": frame["name_en"],
            "area_km2": polygon_area(frame.geometry) / 1e6,
            "zonal_km2": zones.matrix.sum(axis=1)[: len(frame)] / 1e6,
        },
        index=frame.index,
    )
    return table.rename_axis("region").round(4)


def inventory_rates():
    """Turn the reported totals of 2019 into mean rates."""
    from obsnet.inventory.table import builtin, mole_rate

    table = builtin("ceads-2019")
    rate = [mole_rate(v, u, g) for v, u, g in zip(table["value"], table["unit"], table["gas"], strict=True)]
    return pd.DataFrame({"mol_s": rate}, index=table["region"]).round(3)


def main():
    """Write them all."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    for make in (province_areas, inventory_rates):
        path = FOLDER / f"{make.__name__}.csv"
        make().to_csv(path)
        print(path)
    stages()


def stages():
    """Run the small worlds and keep what their stages made, refusing changes under an old version."""
    sys.path.insert(0, str(FOLDER.parents[1]))
    from tests.golden.stage_numbers import KEPT, WORLDS, faults, read_kept, same_data, stage_numbers

    kept, made, wrong = read_kept(), {}, []
    for world in WORLDS:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            made[world] = stage_numbers(world, Path(folder))
        if world in kept and same_data(kept[world]):
            must_raise, others = faults(kept[world], made[world])
            wrong += must_raise
            if not must_raise and not others:
                made[world] = kept[world]  # last digits stay
    if wrong:
        raise SystemExit(
            "numbers changed; raise the VERSION of the stage (see its STAGE):\n" + "\n".join(wrong)
        )
    KEPT.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(KEPT)


if __name__ == "__main__":
    main()
