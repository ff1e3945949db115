"""One spelling a scale."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stations.record.scale_names import canonical_scale, is_known


@pytest.mark.parametrize(
    ("text", "species", "name"),
    [
        ("CO2_X2019", "CO2", "WMO CO2 X2019"),
        ("WMO CO2 X2019", "CO2", "WMO CO2 X2019"),
        ("WMO-CO2-X2007", "CO2", "WMO CO2 X2007"),
        ("X2007", "CO2", "WMO CO2 X2007"),
        ("X2019CO2", "CO2", "WMO CO2 X2019"),
        ("CO2X2019", "CO2", "WMO CO2 X2019"),
        ("wmoco2x2019", "CO2", "WMO CO2 X2019"),
        ("X2004ACH4", "CH4", "WMO CH4 X2004A"),
        ("WMO X2004A", "CH4", "WMO CH4 X2004A"),
        ("WMO-X2004A", "CH4", "WMO CH4 X2004A"),
        ("CH4_X2004A", "CH4", "WMO CH4 X2004A"),
        ("NOAA 2004A CH4", "CH4", "WMO CH4 X2004A"),
        ("CO2_WMO_X2019", "CO2", "WMO CO2 X2019"),
        ("WMO N2O X2006A", "N2O", "WMO N2O X2006A"),
        ("WMO CO2 X2007 scale", "CO2", "WMO CO2 X2007"),
        ("TU1987", "CH4", "TU-87"),
        ("TU-87", "CH4", "TU-87"),
        ("Tohoku 1987", "CH4", "TU-87"),
        ("SIO-05", "SF6", "SIO-05"),
        ("SIO-16", "N2O", "SIO-16"),
        ("SIO-2016", "N2O", "SIO-16"),
        ("NOAA04", "CH4", "NOAA04"),
        ("CSIRO-94", "CO", "CSIRO-94"),
        ("METAS-2017", "HFC-32", "METAS-17"),
        ("", "CO2", "unknown"),
        ("Unknown", "CO2", "unknown"),
        ("--", "NF3", "unknown"),
        ("uncalibrated", "CO2", "uncalibrated"),
        ("Oxalic acid 2", "14C", "Oxalic acid 2"),
        ("X12", "CO2", "X12"),  # Scripps', not one of WMO's
        ("X08A", "CO2", "X08A"),
        ("Scripps X12", "CO2", "Scripps X12"),
        ("SIO X08A", "CO2", "Scripps X08A"),
        ("NOAA-2006A", "N2O", "WMO N2O X2006A"),
        ("NOAA 2006A N2O", "N2O", "WMO N2O X2006A"),
        ("NOAA-2004A", "CH4", "WMO CH4 X2004A"),
        ("NOAA/ESRL 2007", "CO2", "WMO CO2 X2007"),
        ("NOAA/GML X2019", "CO2", "WMO CO2 X2019"),
        ("NOAA-2014", "SF6", "WMO SF6 X2014"),
        ("WMO CO 2014A", "CO", "WMO CO X2014A"),
        ("WMO-CO-2014A", "CO", "WMO CO X2014A"),
        ("WMO CH4 2004A", "CH4", "WMO CH4 X2004A"),
        ("WMO CO2 X2007 mole fraction scale", "CO2", "WMO CO2 X2007"),
        ("WMO CO2 X2019 (as of 2021)", "CO2", "WMO CO2 X2019"),
        ("NOAA/GMD X2006A", "N2O", "WMO N2O X2006A"),
        ("NOAA CCL X2019", "CO2", "WMO CO2 X2019"),
        ("CH4 X2004A WMO", "CH4", "WMO CH4 X2004A"),
        ("NOAA06A", "N2O", "WMO N2O X2006A"),
        ("NOAA-04A", "CH4", "WMO CH4 X2004A"),
        ("NOAA-06", "SF6", "WMO SF6 X2006"),
        ("WMO X2004A", "H2", "WMO H2 X2004A"),  # kept, and not known
        ("NOAA/CMDL 83", "CH4", "CMDL-83"),  # before WMO kept one; the name of `scales.toml`
        ("NOAA CMDL-1983", "CH4", "CMDL-83"),
        ("CMDL 83 CH4", "CH4", "CMDL-83"),
        ("CMDL 83 CO2", "CH4", "CMDL 83 CO2"),  # of another gas: kept, and not known
        ("NOAA/CMDL 93", "CO2", "WMO CO2 X93"),
        ("NOAA/CMDL 2004", "CH4", "WMO CH4 X2004"),
        ("NIES 94 CH4 scale", "CH4", "NIES-94"),
        ("AGAGE SIO-98", "N2O", "SIO-98"),
        ("Tohoku University 1987", "CH4", "TU-87"),
        ("NOAA-2006A", "CO2", "NOAA06A"),  # no WMO scale of CO2 has that year
    ],
)
def test_spellings_found_in_files(text, species, name):
    assert canonical_scale(text, species) == name


@pytest.mark.parametrize(
    "name",
    [
        "WMO CO2 X2019",
        "WMO CH4 X2004A",
        "SIO-05",
        "NOAA04",
        "TU-87",
        "unknown",
        "uncalibrated",
        "Scripps X12",
    ],
)
def test_known(name):
    assert is_known(name)


@pytest.mark.parametrize("name", ["WMO CO2 X2004A", "WMO CO2 X2020", "Home-made 7", "X", "X12"])
def test_not_known(name):
    assert not is_known(name)


@given(st.text(max_size=30), st.sampled_from(["CO2", "CH4", "CFC-11"]))
def test_a_canonical_name_stays_itself(text, species):
    once = canonical_scale(text, species)
    assert canonical_scale(once, species) == once
