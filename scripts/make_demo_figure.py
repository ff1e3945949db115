"""Make the picture of README.md and docs/demo.md: run the twin experiment and keep its map of verdicts.

python scripts/make_demo_figure.py                    # in a folder of its own, minutes
python scripts/make_demo_figure.py --folder obsnet-demo   # go on with one that has run
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="of the experiment; what is done in it is not done again")
    parser.add_argument("--out", type=Path, default=DOCS, help="for the picture")
    choice = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = choice.folder or Path(scratch)
        subprocess.run([sys.executable, "-m", "obsnet", "demo", "--out", str(folder)], check=True)
        shutil.copyfile(folder / "verdicts.png", choice.out / "demo_verdicts.png")
    print(choice.out / "demo_verdicts.png")


if __name__ == "__main__":
    main()
