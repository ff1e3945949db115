"""Where the invented world is observed: an idealised network, or a sparse one like today's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from obsnet.language import Words
from obsnet.typing import Floats

__all__ = ["EXISTING", "DemoSite", "Network", "existing", "idealised", "satellite_days"]

NetworkName = Literal["idealised", "existing"]


@dataclass(frozen=True)
class DemoSite:
    """A station.

    Parameters
    ----------
    code : str
        Three letters or digits.
    latitude, longitude : float
        Degrees.
    elevation, intake : float
        Metres above sea level, metres above ground.
    """

    code: str
    latitude: float
    longitude: float
    elevation: float
    intake: float


@dataclass(frozen=True)
class Network:
    """Who observes.

    Parameters
    ----------
    name : str
        ``"idealised"`` or ``"existing"``.
    sites : tuple of DemoSite
        Each gives one afternoon value a day.
    soundings_per_day : int
        Good soundings of the satellite a day, anywhere inside `bounds`.
    bounds : (south, north, west, east)
        Where the satellite has good soundings.
    note : Words
        What the report says of it.
    """

    name: str
    sites: tuple[DemoSite, ...]
    soundings_per_day: int
    bounds: tuple[float, float, float, float]
    note: Words


# Background stations whose records are public, with the coordinates their keepers publish.
EXISTING = (
    DemoSite("WLG", 36.2879, 100.8964, 3810.0, 5.0),
    DemoSite("SDZ", 40.65, 117.117, 293.9, 10.0),
    DemoSite("LAN", 30.30, 119.73, 138.0, 10.0),
    DemoSite("LFS", 44.73, 127.60, 310.0, 10.0),
    DemoSite("JSA", 29.63, 114.20, 750.0, 10.0),
    DemoSite("LLN", 23.47, 120.87, 2862.0, 10.0),
)
# Stations a province in the idealised network; provinces not named have none.
_STATIONS = {
    "110000": 2, "120000": 2, "130000": 7, "140000": 7, "150000": 8, "210000": 6, "220000": 4, "230000": 5,
    "310000": 2, "320000": 6, "330000": 5, "340000": 6, "350000": 4, "360000": 5, "370000": 7, "410000": 7,
    "420000": 6, "430000": 6, "440000": 6, "450000": 5, "500000": 4, "510000": 6, "520000": 5, "610000": 6,
    "640000": 3,
}  # fmt: skip
_SATELLITE_BOUNDS = (21.0, 50.0, 101.0, 132.0)


def existing() -> Network:
    """Return six background stations and one narrow-swath satellite."""
    note = Words(
        "six background stations and one satellite with some 25 good soundings a day over eastern China",
        "六个本底站和一颗卫星，中国东部每天约 25 个有效观测",
    )
    return Network("existing", EXISTING, 25, _SATELLITE_BOUNDS, note)


def idealised(provinces: Any, rng: np.random.Generator) -> Network:
    """Place stations inside provinces, away from each other.

    Parameters
    ----------
    provinces : geopandas.GeoDataFrame
        Index adcode, EPSG:4326.
    rng : numpy.random.Generator
        Candidates.
    """
    sites: list[DemoSite] = []
    for adcode, count in _STATIONS.items():
        for point in _spread(provinces.geometry[adcode], count, rng):
            code = f"{chr(65 + len(sites) // 26)}{chr(65 + len(sites) % 26)}{adcode[0]}"
            sites.append(DemoSite(code, round(float(point[1]), 4), round(float(point[0]), 4), 100.0, 50.0))
    note = Words(
        f"an idealised network that does not exist: {len(sites)} stations in {len(_STATIONS)} provinces and "
        "80 good soundings a day east of 101 E",
        f"并不存在的理想观测网：{len(_STATIONS)} 个省的 {len(sites)} 个站，东经 101° 以东每天 80 个有效卫星观测",
    )
    return Network("idealised", tuple(sites), 80, _SATELLITE_BOUNDS, note)


def _spread(polygon: Any, count: int, rng: np.random.Generator, candidates: int = 60) -> Floats:
    """Return (count, 2) points (lon, lat) inside a polygon, each as far as can be from those before it."""
    from shapely import contains_xy

    west, south, east, north = polygon.bounds
    points = np.empty((0, 2))
    while len(points) < candidates:
        trial = rng.uniform((west, south), (east, north), (20 * candidates, 2))
        points = np.vstack([points, trial[contains_xy(polygon, trial[:, 0], trial[:, 1])]])
    points = points[:candidates]
    centre = np.asarray(polygon.representative_point().coords[0])
    chosen = [int(np.argmin(((points - centre) ** 2).sum(1)))]
    while len(chosen) < count:
        distance = ((points[:, None] - points[chosen][None]) ** 2).sum(2).min(1)
        chosen.append(int(np.argmax(distance)))
    return points[chosen]


def satellite_days(
    network: Network, days: NDArray[np.datetime64], land: Any, rng: np.random.Generator
) -> list[dict[str, Floats]]:
    """Return positions and times of each day's soundings.

    Parameters
    ----------
    network : Network
        How many and where.
    days : ndarray of datetime64[D]
        UTC days.
    land : shapely geometry
        Soundings are over it only.
    rng : numpy.random.Generator
        Positions.

    Returns
    -------
    list of dict
        ``latitude, longitude`` (degrees), ``time`` (datetime64[us], 13:30 local solar time), one entry a day.
    """
    from shapely import contains_xy, prepare

    prepare(land)
    south, north, west, east = network.bounds
    out = []
    for day in days:
        lat = lon = np.empty(0)
        while len(lat) < network.soundings_per_day:
            trial = rng.uniform((south, west), (north, east), (4 * network.soundings_per_day, 2))
            inside = contains_xy(land, trial[:, 1], trial[:, 0])
            lat, lon = np.append(lat, trial[inside, 0]), np.append(lon, trial[inside, 1])
        lat, lon = lat[: network.soundings_per_day], lon[: network.soundings_per_day]
        seconds = (13.5 - lon / 15.0) * 3600.0
        order = np.argsort(seconds)
        time = day.astype("datetime64[us]") + np.round(seconds[order]).astype("timedelta64[s]")
        out.append({"latitude": lat[order], "longitude": lon[order], "time": time})
    return out
