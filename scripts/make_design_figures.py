"""Make the pictures and the table of docs/design.md from docs/design_case.toml.

python scripts/make_design_figures.py            # rewrites docs/design_osse.png, docs/design_choice.png, the table
python scripts/make_design_figures.py --docs D   # the same of a copy of the documents
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image

from inversion.study.options import DesignOptions, OsseOptions
from inversion.study.run_design import run_design
from inversion.study.run_osse import run_osse
from obsnet.config import read_toml, validate

DOCS = Path(__file__).resolve().parents[1] / "docs"
START, END = "<!-- scenarios: made by scripts/make_design_figures.py -->", "<!-- /scenarios -->"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder with design_case.toml and design.md")
    docs = parser.parse_args().docs
    data = read_toml(docs / "design_case.toml")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        _, found = run_osse(
            validate(OsseOptions, data["osse"]), data, docs, out, lambda t: print(t, file=sys.stderr)
        )
        run_design(
            validate(DesignOptions, data["design"]), data, docs, out, lambda t: print(t, file=sys.stderr)
        )
        for source, target in (("osse.png", "design_osse.png"), ("design.png", "design_choice.png")):
            picture = Image.open(out / source).convert("RGB")
            small = picture.resize(
                (1100, round(1100 * picture.height / picture.width)), Image.Resampling.LANCZOS
            )
            small.quantize(256, kmeans=2).save(docs / target, optimize=True)
    rows = [
        "| network | observations | China, Mt CO₂ a⁻¹ | mean reduction of a province | inside 68 % | inside 95 % |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {row['scenario']} | {row['observations']:,} | {row['national_sd']:,.0f} | {row['mean_reduction']:.0%} "
        f"| {row['inside_68']:.1%} | {row['inside_95']:.1%} |"
        for row in found["scenarios"]
    ]
    page = docs / "design.md"
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(START)
    page.write_text(f"{head}{START}\n" + "\n".join(rows) + f"\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
