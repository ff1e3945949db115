"""Make the pictures of docs/stations.md from the sample data.

    python scripts/make_station_figures.py            # writes docs/waliguan.png
    python scripts/make_station_figures.py --out somewhere

The numbers in the same document are printed by the commands it shows.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import stations
from stations.pictures.options import PictureOptions
from stations.pictures.plots import plot_record

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    data = Path(os.environ.get("OBSNET_SAMPLE_DATA", ROOT.parent / "shared" / "data"))
    record = stations.read(data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    target = arguments.out / "waliguan.png"
    for note in plot_record(record, target, PictureOptions(language="en", dpi=72)):
        print(note)
    print(f"{target}: {target.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
