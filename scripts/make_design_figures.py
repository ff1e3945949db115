"""Make the pictures and the tables of docs/design.md from docs/design_case.toml and of `obsnet design detect`.

python scripts/make_design_figures.py                  # rewrites docs/design_*.png and the tables
python scripts/make_design_figures.py --only detect    # docs/design_detect.png and its table
python scripts/make_design_figures.py --docs D         # the same of a copy of the documents

`--parts DIR` keeps what detect has found of each network, to go on after a stop.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image

from inversion.study.designs.run_design import run_design
from inversion.study.detect.run_detect import detect_cell, run_detect
from inversion.study.options import DesignOptions, DetectOptions, OsseOptions
from inversion.study.osse.run_osse import run_osse
from inversion.study.words import named
from obsnet.config import read_toml, validate

DOCS = Path(__file__).resolve().parents[1] / "docs"
DETECT_START, DETECT_END = "<!-- detect: made by scripts/make_design_figures.py -->", "<!-- /detect -->"
PERIOD = "2018-12/2019-02"  # a winter; a year is four times the work
START, END = "<!-- scenarios: made by scripts/make_design_figures.py -->", "<!-- /scenarios -->"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder with design_case.toml and design.md")
    parser.add_argument("--only", choices=("studies", "detect"), help="the case's two studies, or detect")
    parser.add_argument("--parts", type=Path, help="folder where detect keeps its parts")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.only != "detect":
            studies(chosen.docs, Path(folder))
        if chosen.only != "studies":
            detection(chosen.docs, chosen.parts or Path(folder))


def studies(docs: Path, out: Path) -> None:
    """Make the pictures and the table of the case."""
    data = read_toml(docs / "design_case.toml")
    _, found = run_osse(validate(OsseOptions, data["osse"]), data, docs, out, say)
    run_design(validate(DesignOptions, data["design"]), data, docs, out, say)
    for source, target in (("osse.png", "design_osse.png"), ("design.png", "design_choice.png")):
        shrink(out / source, docs / target)
    rows = [
        "| rank | network | observations | China, Mt CO₂ a⁻¹ | reduction of a province | inside 68 % | inside 95 % |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {row['rank']} | {row['scenario']} | {row['observations']:,} | {row['national_sd']:,.0f} "
        f"| {row['mean_reduction']:.0%} | {row['inside_68']:.1%} | {row['inside_95']:.1%} |"
        for row in found["scenarios"]
    ]
    write(docs / "design.md", START, END, rows)


def detection(docs: Path, out: Path) -> None:
    """Make the map and the table of what could be found."""
    _, found = run_detect(DetectOptions(period=PERIOD), docs, out, report=say)
    shrink(out / "detect.png", docs / "design_detect.png")
    systems = found["systems"]
    table = {(r["region"], r["system"]): r for r in found["rows"]}
    rows = [f"| | Mt | {' | '.join(systems)} |", "|---" * (len(systems) + 2) + "|"]
    for region in dict.fromkeys(r["region"] for r in found["rows"]):
        first = table[region, systems[0]]
        if first["inventory"] is not None:
            cells = [detect_cell(table[region, s]) for s in systems]
            rows.append(f"| {named(region, 'en')} | {first['inventory']:,.0f} | {' | '.join(cells)} |")
    write(docs / "design.md", DETECT_START, DETECT_END, rows)


def shrink(source: Path, target: Path) -> None:
    """Write a picture 1,100 pixels wide with 256 colours."""
    picture = Image.open(source).convert("RGB")
    small = picture.resize((1100, round(1100 * picture.height / picture.width)), Image.Resampling.LANCZOS)
    small.quantize(256, kmeans=2).save(target, optimize=True)


def write(page: Path, start: str, end: str, rows: list[str]) -> None:
    """Put a table between its marks."""
    head, rest = page.read_text(encoding="utf-8").split(start)
    page.write_text(f"{head}{start}\n" + "\n".join(rows) + f"\n{end}{rest.split(end)[1]}", encoding="utf-8")


def say(line: str) -> None:
    """Show how far it has come."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
