"""Count how often a column of a balance with a wrong unit is noticed, and how often a right table is accused.

Run it on the folder of real balances: ``python scripts/calibrate_magnitude.py FOLDER``. Each column that is burnt is
multiplied by powers of ten, one at a time; what the reader refuses counts as found.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

from obsnet.errors import ObsnetError
from obsnet.inventory.balance import read as reading
from obsnet.inventory.balance.magnitude import magnitude_faults
from obsnet.inventory.factors.fuels import fuels

FACTORS = (1e-4, 1e-3, 0.1, 10.0, 1e3, 1e4)
GASES, OIL = "gases of coke and iron", "oil"
GROUPS = {
    "coal": "coal", "coke": "coke", "coke oven gas": GASES, "other gas": GASES, "natural gas": "natural gas",
    "liquid": OIL, "refinery gas": OIL, "coal liquid": "other coking products", "heat": "heat",
    "electricity": "electricity",
}  # fmt: skip


def noticed(balance: reading.Balance, fuel: str, factor: float) -> bool:
    """Tell whether a table is refused or accused once a column of it is multiplied."""
    table = balance.table.assign(**{fuel: balance.table[fuel] * factor})
    try:
        reading._plausible(table, balance.source)
    except ObsnetError:
        return True
    return bool(magnitude_faults(replace(balance, table=table)))


def main() -> None:
    """Print both counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="xls files of balances, a province each")
    files = sorted(parser.parse_args().folder.glob("[0-9]*.xls"))
    balances = [b for path in files for b in reading.read_balances(path)]
    accused = [b.source for b in balances if magnitude_faults(b)]
    print(f"right tables accused: {len(accused)} of {len(balances)} {accused}")
    found: Counter[tuple[str, float]] = Counter()
    tried: Counter[str] = Counter()
    for balance in balances:
        for fuel in balance.table.columns:
            group = GROUPS.get(fuels()[fuel].kind)
            if group is None or balance.value("final consumption", fuel) < 1.0:
                continue
            tried[group] += 1
            for factor in FACTORS:
                found[group, factor] += noticed(balance, fuel, factor)
    print("| column | " + " | ".join(f"× {f:g}" for f in FACTORS) + " |")
    print("|---|" + "---|" * len(FACTORS))
    for group, n in tried.items():
        print(f"| {group} ({n}) | " + " | ".join(f"{found[group, f] / n:.0%}" for f in FACTORS) + " |")


if __name__ == "__main__":
    main()
