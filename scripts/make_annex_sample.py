"""Make the sample annex of the documents, and a picture of two of its pages.

    python scripts/make_annex_sample.py obsnet-demo

FOLDER is that of `obsnet demo`. Writes ``docs/annex_en.docx``, ``docs/annex_zh.docx`` and, where LibreOffice and
pdftoppm are installed, ``docs/annex.png``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from obsnet.config import read_toml, validate
from obsnet.report.options import ReportOptions
from obsnet.report.run import report_files

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = (1, 4)  # shown


def sample(folder: Path, language: str, out: Path) -> Path:
    """Write the annex of a folder of outputs in one language."""
    given: dict[str, Any] = dict(read_toml(folder / "case.toml")["report"])
    options = validate(ReportOptions, {**given, "formats": ["docx"], "language": language}, "case.toml")
    shutil.copy(folder / "run.json", out)
    shutil.copytree(folder / ".stages", out / ".stages", dirs_exist_ok=True)
    report_files(folder / "posterior.nc", folder / "provinces.csv", out, options, folder / "store")
    return Path(shutil.copy(out / "annex.docx", DOCS / f"annex_{language}.docx"))


def picture(annex: Path, work: Path) -> None:
    """Draw pages of a document side by side."""
    import matplotlib.pyplot as plt

    office = shutil.which("libreoffice") or shutil.which("soffice")
    if office is None or shutil.which("pdftoppm") is None:
        print("no picture: LibreOffice or pdftoppm is not installed")
        return
    subprocess.run(
        [office, "--headless", "--convert-to", "pdf", "--outdir", str(work), str(annex)],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        ["pdftoppm", "-r", "75", "-png", str(work / f"{annex.stem}.pdf"), str(work / "page")], check=True
    )
    pages = sorted(work.glob("page-*.png"))
    print(f"{annex.name}: {len(pages)} pages, {annex.stat().st_size // 1024} KiB")
    figure, axes = plt.subplots(1, len(PAGES), figsize=(11, 7.8), layout="constrained", facecolor="0.6")
    for place, number in zip(axes, PAGES, strict=True):
        place.imshow(plt.imread(pages[number - 1]))
        place.set_axis_off()
    figure.savefig(DOCS / "annex.png", dpi=90)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as place:
        made = [sample(folder, language, Path(place)) for language in ("zh", "en")]
        picture(made[-1], Path(place))
    print(f"written: {', '.join(str(p) for p in made)}")


if __name__ == "__main__":
    main()
