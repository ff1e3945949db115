"""CO2 factors of electricity in a network of provinces, solved by conservation.

Averages of announced factors: `obsnet.inventory.factors.consumption`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.reading import door
from obsnet.typing import Floats

__all__ = [
    "NetworkFactors",
    "network_factors",
    "read_network",
]


@dataclass(frozen=True, eq=False)
class NetworkFactors:
    """Factors of a network of provinces.

    Parameters
    ----------
    average : ndarray, shape (regions,)
        t CO2 a MWh consumed (= kg/kWh).
    fossil : ndarray, shape (regions,)
        t CO2 a MWh of fossil generation; NaN where there is none.
    market_excluded : float
        Emission of the whole network over its consumption less traded non-fossil electricity.
    consumption : ndarray, shape (regions,)
        MWh: generation and imports less exports.
    residual : float
        Sum of consumption x factor over emissions (with those of imports from outside), less 1: conservation.
    """

    average: Floats
    fossil: Floats
    market_excluded: float
    consumption: Floats
    residual: float


def network_factors(
    generation: Floats,
    emission: Floats,
    flow: Floats,
    *,
    fossil_generation: Floats | None = None,
    traded_nonfossil: Floats | None = None,
    imports: Floats | None = None,
    import_factor: Floats | float = 0.0,
) -> NetworkFactors:
    """Solve the consumption factors of provinces that exchange electricity.

    Parameters
    ----------
    generation, emission : ndarray, shape (regions,)
        MWh generated and t CO2 emitted by it.
    flow : ndarray, shape (regions, regions)
        MWh sent from row to column.
    fossil_generation, traded_nonfossil : ndarray, optional
        MWh; part of generation, and non-fossil electricity sold on the market.
    imports, import_factor : ndarray, optional
        MWh from outside the network and its t CO2 a MWh.

    Raises
    ------
    RangeError
        Negative amounts, a province that sends more than it has, fossil generation beyond all generation.
    SchemaError
        Shapes differ.

    Notes
    -----
    Electricity in a province is one mix: ``e_i (G_i + sum_j T_ji + M_i) = C_i + sum_j T_ji e_j + M_i m``, a linear
    system. What a province consumes carries ``e_i``; the sum of consumption x factor is the sum of emissions.

    Examples
    --------
    >>> made = network_factors(np.array([100.0, 100.0]), np.array([90.0, 0.0]), np.array([[0.0, 50.0], [0.0, 0.0]]))
    >>> made.average.round(3).tolist()
    [0.9, 0.3]
    """
    g, c, t = (np.asarray(a, dtype=np.float64) for a in (generation, emission, flow))
    n = g.size
    if g.shape != (n,) or c.shape != (n,) or t.shape != (n, n):
        raise SchemaError(f"generation {g.shape}, emission {c.shape} and flow {t.shape} do not fit together")
    m = np.zeros(n) if imports is None else np.asarray(imports, dtype=np.float64)
    outside = np.broadcast_to(np.asarray(import_factor, dtype=np.float64), (n,))
    t = np.where(np.eye(n, dtype=bool), 0.0, t)
    for name, values in (("generation", g), ("emission", c), ("flow", t), ("imports", m)):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise RangeError(f"{name} must not be negative or missing, found {np.nanmin(values):g}")
    supply = g + t.sum(axis=0) + m
    consumption = supply - t.sum(axis=1)
    if (supply <= 0).any() or (consumption < -1e-9 * supply).any():
        worst = int(np.argmin(consumption))
        raise RangeError(
            f"region number {worst} sends {t.sum(axis=1)[worst]:g} MWh and has {supply[worst]:g}"
        )
    average = np.asarray(np.linalg.solve(np.diag(supply) - t.T, c + m * outside), dtype=np.float64)
    fossil = np.full(n, np.nan)
    if fossil_generation is not None:
        f = np.asarray(fossil_generation, dtype=np.float64)
        if (f > g * (1 + 1e-9)).any() or (f < 0).any():
            raise RangeError("fossil generation must lie between 0 and all generation")
        fossil = np.asarray(np.where(f > 0, c / np.where(f > 0, f, 1.0), np.nan), dtype=np.float64)
    traded = 0.0 if traded_nonfossil is None else float(np.sum(traded_nonfossil))
    total = float((c + m * outside).sum())
    if traded >= consumption.sum():
        raise RangeError(
            f"traded non-fossil electricity ({traded:g} MWh) is not less than consumption ({consumption.sum():g})"
        )
    residual = float((consumption * average).sum() / total - 1.0) if total else 0.0
    return NetworkFactors(average, fossil, total / (consumption.sum() - traded), consumption, residual)


@door("a network")
def read_network(provinces: str | Path, flows: str | Path | None = None) -> tuple[list[str], dict[str, Any]]:
    """Read a network: ``region, generation, emission`` and, if there, ``fossil_generation, traded_nonfossil``; flows.

    Parameters
    ----------
    provinces : path
        Amounts in MWh and t CO2; headings in either language.
    flows : path, optional
        ``from, to, value`` in MWh.

    Returns
    -------
    regions : list of str
        Adcodes.
    amounts : dict
        Arguments of `network_factors`.
    """
    from obsnet.inventory.books import read_rows
    from obsnet.inventory.words import find_region

    optional = ("fossil_generation", "traded_nonfossil")
    amounts = ("generation", "emission")
    table = read_rows(provinces, ("region", *amounts), optional, numbers=(*amounts, *optional))
    regions = [find_region(r) for r in table["region"]]
    if len(set(regions)) != len(regions):
        again = sorted({r for r in regions if regions.count(r) > 1})
        raise SchemaError(f"{provinces}: {', '.join(again)} has several rows")
    found: dict[str, Any] = {c: table[c].to_numpy(float) for c in (*amounts, *optional) if c in table}
    flow = np.zeros((len(regions), len(regions)))
    if flows is not None:
        moves = read_rows(flows, ("from", "to", "value"), numbers=("value",))
        for start, end, value in zip(moves["from"], moves["to"], moves["value"], strict=True):
            ends = [find_region(start), find_region(end)]
            lost = [r for r in ends if r not in regions]
            if lost:
                raise FormatError(f"{flows}: {lost[0]} has no row in {provinces}")
            flow[regions.index(ends[0]), regions.index(ends[1])] += value
    return regions, {**found, "flow": flow}
