"""The bridge of every tested sum: inventory, lines, harmonised inventory, difference, inversion.

With ``+`` for a component that only the inversion sees and ``-`` for one that only the inventory has::

    harmonised = inventory + sum of lines,      var = s^2 + sum of the lines' variances
    inventory + sum of lines + difference - inversion = 0

What is tested is the harmonised inventory, with the kernel of the sector that sees it. A line that nobody states leaves
the bridge open, and nothing is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from obsnet.crosscheck.bridge.definitions import COMPONENTS, LAND, NET_NAMES, components_of, needed
from obsnet.crosscheck.bridge.lines import Line, stated_lines
from obsnet.crosscheck.bridge.options import BridgeOptions
from obsnet.crosscheck.compared.quantity import Quantities
from obsnet.crosscheck.rules.published import is_national
from obsnet.crosscheck.words import say
from obsnet.errors import ConfigError
from obsnet.inventory.words import NATION
from obsnet.language import NOTHING, Words
from obsnet.typing import Floats

__all__ = ["COLUMNS", "Bridge", "bridge_table", "harmonise", "make_bridge", "refuse_net"]

COLUMNS = ("region", "name_en", "name_zh", "line", "label_en", "label_zh", "value", "sd", "total", "source")


@dataclass(frozen=True)
class Bridge:
    """What lies between an inventory and an inversion.

    Parameters
    ----------
    signs : dict of str to int
        Components and whether they are added or taken off.
    lines : tuple of Line
    without : frozenset of str
        Left out.
    seen : frozenset of str
        Components that the inversion's sector sees.
    """

    signs: dict[str, int]
    lines: tuple[Line, ...]
    without: frozenset[str]
    seen: frozenset[str]


def make_bridge(options: BridgeOptions) -> Bridge | None:
    """Return the bridge that options ask for, if any.

    Raises
    ------
    ConfigError
        One side stated without the other, and what `needed` and `stated_lines` refuse.
    """
    if not options.inventory and not options.sector:
        if options.lines or options.without:
            raise ConfigError("a bridge needs both ends: --bridge-inventory and --bridge-sector")
        return None
    if not options.inventory or not options.sector:
        lacking = "inventory" if not options.inventory else "sector"
        raise ConfigError(f"a bridge needs both ends: say --bridge-{lacking} too")
    without = components_of(options.without, "--bridge-without")
    seen = components_of(options.sector, "--bridge-sector")
    signs = needed(components_of(options.inventory, "--bridge-inventory"), seen, without)
    return Bridge(signs, tuple(stated_lines(options.lines, options.uncertainty)), without, seen)


def refuse_net(sector: str, gas: str, bridge: Bridge | None, *, bridges: bool = True) -> None:
    """Refuse a sector that sees a net flux unless a bridge leads to it, and a bridge of what is not CO2.

    Parameters
    ----------
    sector, gas : str
        Of the inversion.
    bridge : Bridge or None
    bridges : bool
        Whether the command takes a bridge, which its user is then told of.
    """
    if bridge is not None and gas != "CO2":
        raise ConfigError(
            f"a bridge of definitions is of CO2, the inversion is of {gas}: leave out --bridge-inventory"
        )
    led = bridge is not None and bridge.seen & LAND
    if not led and gas == "CO2" and sector.casefold().replace("-", "_") in NET_NAMES:
        way = ", or state what lies between (--bridge-inventory, --bridge-sector net, --bridge-lines)"
        raise ConfigError(
            f"sector {sector!r} of the inversion is a net flux, and an inventory of sources is never held against it: "
            f"take a fossil sector{way if bridges else ''}"
        )


def harmonise(tested: Quantities, bridge: Bridge) -> Quantities:
    """Return what is tested with harmonised inventories; a sum of which a line is missing may not be tested.

    Parameters
    ----------
    tested : Quantities
    bridge : Bridge
    """
    value, sd = tested.inventory.copy(), tested.inventory_sd.copy()
    barred, remarks = list(tested.barred), [list(r) for r in tested.remarks]
    for k, one in enumerate(tested.tested):
        lines, missing = _lines_of(bridge, one.members)
        why = _open(missing, lines)
        if why.en:
            barred[k] = barred[k] if barred[k].en else why
            continue
        change = sum(sign * line.value for sign, line in lines)
        spread = float(np.sqrt(sum(line.sd**2 for _, line in lines)))
        value[k], sd[k] = value[k] + change, float(np.hypot(sd[k], spread))
        if lines:
            remarks[k].append(say("harmonised", change=f"{change:+,.3g}", spread=f"{spread:,.2g}"))
        if bridge.without:
            left = [COMPONENTS[c] for c in sorted(bridge.without)]
            remarks[k].append(
                say(
                    "not in the bridge",
                    which=", ".join(w.en for w in left),
                    which_zh="、".join(w.zh for w in left),
                )
            )
    return replace(tested, inventory=value, inventory_sd=sd, barred=tuple(barred), remarks=tuple(remarks))


def bridge_table(
    tested: Quantities, harmonised: Quantities, bridge: Bridge, posterior: Floats, posterior_sd: Floats
) -> Any:
    """Return the bridge of every sum that is closed, `COLUMNS`; ``total`` runs and ends at the inversion.

    Parameters
    ----------
    tested, harmonised : Quantities
        Before and after `harmonise`.
    bridge : Bridge
    posterior, posterior_sd : ndarray, shape (tested,)
        Of the inversion.
    """
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    for k, one in enumerate(tested.tested):
        lines, missing = _lines_of(bridge, one.members)
        if not np.isfinite(tested.inventory[k]) or _open(missing, lines).en:
            continue
        after = float(harmonised.inventory[k])
        steps: list[tuple[str, Words, float, float, str]] = [
            ("inventory", Words("inventory", "清单"), tested.inventory[k], tested.inventory_sd[k], "")
        ]
        steps += [
            ("+".join(sorted(line.components)), _label(line, sign), sign * line.value, line.sd, line.source)
            for sign, line in lines
        ]
        gap = float(posterior[k]) - after
        spread = float(np.hypot(posterior_sd[k], harmonised.inventory_sd[k]))
        steps.append(("difference", Words("difference", "差值"), gap, spread, ""))
        running = np.cumsum([s[2] for s in steps])
        rows += [
            (one.key, *one.name, name, *label, value, error, total, source)
            for (name, label, value, error, source), total in zip(steps, running, strict=True)
        ]
        rows.append(
            (
                one.key,
                *one.name,
                "inversion",
                "inversion",
                "反演",
                posterior[k],
                posterior_sd[k],
                posterior[k],
                "",
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _lines_of(bridge: Bridge, members: Sequence[str]) -> tuple[list[tuple[int, Line]], list[str]]:
    """Return the signed lines of a sum of regions, and the components that nobody states of it."""
    left, found = dict(bridge.signs), []
    national = {NATION} if is_national(members) else set()
    for part in _parts(bridge.lines):
        if not set(part) <= set(left):
            continue
        mine = [line for line in bridge.lines if line.components == part]
        by_region: Mapping[str, Line] = {line.region: line for line in mine}
        sign = {left[c] for c in part}
        if len(sign) > 1:
            continue
        if set(members) <= set(by_region):
            lines = [by_region[r] for r in members]
        elif national <= set(by_region) and national:
            lines = [by_region[NATION]]
        else:
            continue
        # lines of regions err together, as inventories of a sum do
        total = sum(line.value for line in lines)
        sources = "; ".join(dict.fromkeys(line.source for line in lines))
        found.append(
            (sign.pop(), Line(part, lines[0].region, total, sum(line.sd for line in lines), sources))
        )
        for c in part:
            del left[c]
    return found, list(left)


def _parts(lines: Sequence[Line]) -> list[frozenset[str]]:
    """Return the sets of components that lines are of, in the order of `COMPONENTS`."""
    order = list(COMPONENTS)
    return sorted({line.components for line in lines}, key=lambda p: min(order.index(c) for c in p))


def _open(missing: Sequence[str], lines: Sequence[tuple[int, Line]]) -> Words:
    """Say what leaves a bridge open: a component that nobody states, a line without an uncertainty."""
    if missing:
        names = [COMPONENTS[c] for c in missing]
        which, which_zh = ", ".join(n.en for n in names), "、".join(n.zh for n in names)
        return say("bridge open", which=which, which_zh=which_zh, keys=", ".join(missing))
    bare = [line for _, line in lines if not np.isfinite(line.sd)]
    if bare:
        key = min(bare[0].components)
        return say("line without error", which=COMPONENTS[key].en, which_zh=COMPONENTS[key].zh, name=key)
    return NOTHING


def _label(line: Line, sign: int) -> Words:
    names = [COMPONENTS[c] for c in COMPONENTS if c in line.components]
    return Words(
        ("+ " if sign > 0 else "− ") + " and ".join(n.en for n in names),
        ("加 " if sign > 0 else "减 ") + "及".join(n.zh for n in names),
    )
