"""Keys of regions in others' tables: ISO 3166 codes, several joined, misspelt, or a name of the system's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

__all__ = ["parts_of", "region_key", "region_keys"]

# ISO 3166-1 alpha-3.
_CODES = """
ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS BIH BLM BLR BLZ
BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB CUW CXR CYM CYP CZE DEU
DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB GIN GLP GMB GNB GNQ GRC
GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA JAM JEY JOR JPN KAZ KEN KGZ KHM
KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG
MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN PCN PER PHL PLW PNG POL
PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM SPM SRB SSD STP SUR SVK SVN
SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR UMI URY USA UZB VAT VCT VEN VGB
VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE
"""
CODES = frozenset(_CODES.split())
_TOGETHER = {"BELUX": "BEL+LUX", "BENELUX": "BEL+LUX+NLD"}


@lru_cache(maxsize=4096)
def region_key(name: object) -> tuple[str, str]:
    """Return the key of a region that a table names, and what is to be said of it.

    Parameters
    ----------
    name : str or bytes
        ``DEU``; ``BEL-LUX-NLD`` and ``BENELUX``, which both mean ``BEL+LUX+NLD``; a code whose letters stand in
        another order and fit one code only; any other name, which is the system's own and stays as it is.

    Examples
    --------
    >>> region_key(b"DEU"), region_key("LUX-BEL"), region_key("NW_EU")
    (('DEU', ''), ('BEL+LUX', ''), ('NW_EU', ''))
    >>> region_key("SKV")
    ('SVK', 'SKV is no country code, read as SVK')
    """
    text = (
        (name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)).replace("\0", "").strip()
    )
    if text.upper() in _TOGETHER:
        return _TOGETHER[text.upper()], ""
    found, said = [], []
    for part in text.replace("+", "-").split("-"):
        code = part.strip().upper()
        if code not in CODES:
            alike = [c for c in CODES if sorted(c) == sorted(code)]
            if len(code) != 3 or len(alike) != 1:
                return text, ""
            said.append(f"{part.strip()} is no country code, read as {alike[0]}")
            code = alike[0]
        found.append(code)
    return "+".join(sorted(set(found))), "; ".join(said)


def region_keys(names: Sequence[object]) -> tuple[tuple[str, ...], list[str]]:
    """Return the keys of all regions of a table and what is to be said of them."""
    found = [region_key(n) for n in names]
    return tuple(k for k, _ in found), [said for _, said in found if said]


def parts_of(key: str) -> tuple[str, ...]:
    """Return the countries that a key joins; itself alone where it is no compound."""
    return tuple(key.split("+"))
