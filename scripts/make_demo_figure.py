"""Make the README's picture: run the twin experiment and keep its map of verdicts.

usage: python scripts/make_demo_figure.py [FOLDER]
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def main():
    target = Path(__file__).resolve().parents[1] / "docs" / "demo_verdicts.png"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch)
        subprocess.run([sys.executable, "-m", "obsnet", "demo", "--out", str(folder)], check=True)
        shutil.copyfile(folder / "verdicts.png", target)
    print(target)


if __name__ == "__main__":
    main()
