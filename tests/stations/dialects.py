# ruff: noqa: E501  (a line of a file's layout is one line here)
"""Writers of the text dialects, for round trips; SYNTHETIC: right in layout, made-up in content."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import stations
from stations.readers import read_all


@dataclass
class Rows:
    """What a dialect is asked to hold; the length of `time` decides."""

    time: np.ndarray  # datetime64[s], UTC, as stamped
    value: np.ndarray  # in the species' unit
    uncertainty: np.ndarray | None = None
    flag: list[str] | None = None
    sample: list[str] | None = None
    n: np.ndarray | None = None
    sd: np.ndarray | None = None
    site: str = "WLG"
    species: str = "co2"
    unit: str = "ppm"
    scale: str = "CO2_X2019"
    latitude: float = 36.29
    longitude: float = 100.9
    altitude: float = 3815.0
    intake: float = 5.0
    extra: dict = field(default_factory=dict)

    def __post_init__(self):
        size = len(self.time)
        self.uncertainty = np.full(size, 0.1) if self.uncertainty is None else self.uncertainty
        self.flag = ["..."] * size if self.flag is None else self.flag
        self.sample = [f"F{i}" for i in range(size)] if self.sample is None else self.sample
        self.n = np.full(size, 10) if self.n is None else self.n
        self.sd = np.full(size, 0.25) if self.sd is None else self.sd

    def parts(self, i):
        """Return year … second of a row."""
        text = str(self.time[i].astype("datetime64[s]"))
        return [text[0:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19]]


def simple(size=4, start="2020-01-01T00:00:00", step=3600, **kwargs) -> Rows:
    """Return rows an hour apart with values 400, 400.5, …"""
    time = np.datetime64(start, "s") + np.arange(size) * np.timedelta64(step, "s")
    return Rows(time, 400.0 + 0.5 * np.arange(size), **kwargs)


def iso(time) -> str:
    return f"{time.astype('datetime64[s]')}Z"


def noaa_text(rows: Rows, tag="event", header=None) -> str:
    """NOAA text since 2021: event (flask), hourly, daily or monthly."""
    kind = "surface-flask" if tag == "event" else "surface-insitu"
    name = f"{rows.species}_{rows.site.lower()}_{kind}_1_ccgg_{tag}"
    head = [
        "# header_lines : 0", "#", f"# dataset_name: {name}", "# GLOBAL ATTRIBUTES", "#", f"# site_code : {rows.site}",
        f"# site_name : Station {rows.site}", f"# dataset_parameter : {rows.species}", f"# dataset_selection_tag : {tag}",
        f"# dataset_calibration_scale : {rows.scale}",
    ]  # fmt: skip
    if len(rows.time):
        head += [
            f"# dataset_start_date : {iso(rows.time.min())}",
            f"# dataset_stop_date : {iso(rows.time.max())}",
        ]
    head += [
        "# value:_FillValue : -999.999",
        f"# value:units : {rows.unit}",
        "# value_unc:_FillValue : -999.999",
        "#",
    ]
    if tag == "event":
        columns = (
            "site_code year month day hour minute second datetime time_decimal air_sample_container_id value value_unc "
            "latitude longitude altitude elevation intake_height method event_number instrument analysis_datetime qcflag"
        )
        body = [
            f"{rows.site} {' '.join(str(int(p)) for p in rows.parts(i))} {iso(rows.time[i])} 2020.5 {rows.sample[i]} {rows.value[i]} "
            f"{rows.uncertainty[i]} {rows.latitude} {rows.longitude} {rows.altitude} {rows.altitude - rows.intake} {rows.intake} P {1000 + i} "
            f"PC1 2020-02-01T00:00:00 {rows.flag[i]}"
            for i in range(len(rows.time))
        ]
    else:
        columns = (
            "site_code year month day hour minute second datetime time_decimal value value_std_dev nvalue latitude longitude "
            "altitude elevation intake_height qcflag"
        )
        body = [
            f"{rows.site} {' '.join(str(int(p)) for p in rows.parts(i))} {iso(rows.time[i])} 2020.5 {rows.value[i]} {rows.sd[i]} "
            f"{rows.n[i]} {rows.latitude} {rows.longitude} {rows.altitude} {rows.altitude - rows.intake} {rows.intake} {rows.flag[i]}"
            for i in range(len(rows.time))
        ]
    head = header if header is not None else head
    head[0] = f"# header_lines : {len(head) + 1}"
    return "\n".join([*head, columns, *body]) + "\n"


def noaa_old(rows: Rows) -> str:
    """NOAA event text before 2021."""
    columns = (
        "sample_site_code sample_year sample_month sample_day sample_hour sample_minute sample_seconds sample_id sample_method "
        "parameter_formula analysis_group_abbr analysis_value analysis_uncertainty analysis_flag analysis_instrument analysis_year "
        "analysis_month analysis_day analysis_hour analysis_minute analysis_seconds sample_latitude sample_longitude "
        "sample_altitude sample_elevation sample_intake_height event_number"
    )
    head = ["# number_of_header_lines: 4", "# comment: synthetic", "# comment:", f"# data_fields: {columns}"]
    body = [
        f"{rows.site} {' '.join(rows.parts(i))} {rows.sample[i]:>8} P {rows.species:>8}     CCGG {rows.value[i]:>9} {rows.uncertainty[i]:>9} "
        f"{rows.flag[i]}  H4 2020 02 01 12 0{i % 10} 00 {rows.latitude:>9} {rows.longitude:>9} {rows.altitude:>8} "
        f"{rows.altitude - rows.intake:>8} {rows.intake:>8} {1000 + i:>8}"
        for i in range(len(rows.time))
    ]
    return "\n".join([*head, *body]) + "\n"


def wdcgg(rows: Rows, layout="2021", tag="event", zone="UTC", scales=None) -> str:
    """WDCGG text of 2021 or of today; `scales` is a list of (code, name) with ``rows.extra['scale']`` per row."""
    scales = scales or [(3, rows.scale)]
    codes = rows.extra.get("scale", [scales[0][0]] * len(rows.time))
    qc = rows.extra.get("qc", [1] * len(rows.time))
    head = [
        "# header_lines : 0", f"# Data_Set_Name : {rows.species}_{rows.site.lower()}_x", "#", "# GLOBAL ATTRIBUTES", "#",
        f"# {'site_gaw_id' if layout == '2021' else 'site_wdcgg_id'} : {rows.site}", "# site_name : Stätion", f"# site_latitude : {rows.latitude}",
        f"# site_longitude : {rows.longitude}", "# site_lst2utc : UTC+08:00", f"# dataset_parameter : {rows.species}",
        f"# dataset_selection_tag : {tag}", f"# dataset_time_zone : {zone}", "# contributor_acronym : CMA",
        "# dataset_processing : one line", "# dataset_processing : and another",
    ]  # fmt: skip
    for i, (code, name) in enumerate(scales, 1):
        head += [f"# scale_{i}_code : {code}", f"# scale_{i}_name : {name}"]
    head += ["# instrument_1 : CRDS", "# value:_FillValue : -999.999", f"# value:units : {rows.unit}", "# nvalue:_FillValue : -9",
             "# latitude:_FillValue : -999.999999999", "# flask_no:_FillValue : -999.999"]  # fmt: skip
    end = rows.extra.get("end")
    ends = ["-999 -9 -9 -9 -9 -9"] * len(rows.time)
    if end is not None:
        ends = [" ".join(Rows(end, rows.value).parts(i)) for i in range(len(end))]
    if layout == "2021":
        columns = (
            "# site_gaw_id year month day hour minute second year month day hour minute second value value_unc nvalue latitude longitude "
            "altitude elevation intake_height flask_no ORG_QCflag QCflag instrument measurement_method scale"
        )
        values = [f"{rows.value[i]} {rows.sd[i]}" for i in range(len(rows.time))]
    else:
        columns = (
            "# site_wdcgg_id st_year st_month st_day st_hour st_minute st_second end_year end_month end_day end_hour end_minute end_second "
            "value value_wmo_scale value_sd value_unc_1 value_unc_1_id value_unc_1_method value_unc_2 value_unc_2_id value_unc_2_method "
            "value_unc_3 value_unc_3_id value_unc_3_method nvalue latitude longitude altitude elevation intake_height flask_no ORG_QCflag "
            "QCflag instrument measurement_method scale"
        )
        none = "-999999.999 -9 -9"
        values = [
            f"{rows.value[i]} {rows.value[i]} {rows.sd[i]} {rows.uncertainty[i]} 1 10 {none} {none}"
            for i in range(len(rows.time))
        ]
    body = [
        f"{rows.site} {' '.join(rows.parts(i))} {ends[i]} {values[i]} {rows.n[i]} {rows.latitude} {rows.longitude} {rows.altitude} "
        f"{rows.altitude - rows.intake} {rows.intake} -999.999 {rows.flag[i]} {qc[i]} 1 18 {codes[i]}"
        for i in range(len(rows.time))
    ]
    lines = [*head, columns]
    lines[0] = f"# header_lines : {len(lines)}"
    return "\n".join([*lines, *body]) + "\n"


def rem_monthly(rows: Rows, lines=25, calibration="WMO CO2 X2007(1990-08-01 - 2017-12-01)") -> str:
    """WDCGG's old monthly file with 25 or 32 lines of REM."""
    said = {
        1: f"  EXPLANATORY {lines}-LINE FOR THE MONTHLY DATA", 2: "  FILENAME: co2_wlg_surface-flask_2_monthly.txt",
        3: "  STATION: Mt. Waliguan", 6: "  SUBMITTED BY: CMA", 7: "  LATITUDE:   36 17' N", 8: "  LONGITUDE: 100 54' E",
        9: "  ALTITUDE:     3810 m", 11: f"  PARAMETER: {rows.species.upper()}", 13: f"  UNIT: {rows.unit}", 17: f"  CALIBRATION: {calibration}",
        18: "  TABLENAME: WLG236N002f1", lines - 1: f" M      {rows.species.upper()}   V    ND      SD   F   RATIO_A   RATIO_B",
    }  # fmt: skip
    head = [f"REM{i:02d}{said.get(i, '')}" for i in range(1, lines + 1)]
    body = [
        f"{rows.parts(i)[0]} {rows.parts(i)[1]} {rows.value[i]:>8} -99 {rows.n[i]:>5} {rows.sd[i]:>7} -99  1.000000  0.000000"
        for i in range(len(rows.time))
    ]
    return "\n".join([*head, *body]) + "\n"


def icos_l2(
    rows: Rows, scale="115: WMO X2004A", instruments=None, zone="UTC +0", comment="Times are UTC", total=None
) -> str:
    """ICOS ATC Level 2 continuous series."""
    gas = rows.species
    head = [
        f"# TITLE: {gas.upper()} - synthetic", "# FILE NAME: synthetic", "# TOTAL LINES: 0", "# HEADER LINES: 0", f"# STATION CODE: {rows.site}",
        "# STATION NAME: Somewhere", f"# LATITUDE: {rows.latitude} N", f"# LONGITUDE: {rows.longitude} E",
        f"# ALTITUDE: {rows.altitude - rows.intake} m asl", f"# PARAMETER: {gas.upper()}", "# TIME INTERVAL: hourly",
        f"# MEASUREMENT UNIT: {rows.unit}", f"# TIME ZONE: {zone}", f"# MEASUREMENT SCALE: {scale}", "# COMMENT:", f"#   - {comment}", "#",
    ]  # fmt: skip
    columns = (
        f"#Site;SamplingHeight;Year;Month;Day;Hour;Minute;DecimalDate;{gas};Stdev;NbPoints;Flag;InstrumentId;QualityId;LTR;CMR;STTB;QcBias;"
        f"QcBiasUncertainty;{gas}-WithoutSpikes;Stdev-WithoutSpikes;NbPoints-WithoutSpikes"
    )
    instruments = instruments or ["115"] * len(rows.time)
    body = [
        f"{rows.site};{rows.intake};{';'.join(rows.parts(i)[:5])};2021.1;{rows.value[i]};{rows.sd[i]};{rows.n[i]};{rows.flag[i]};{instruments[i]};"
        f"1;0.177;0.215;-0.598;;;{rows.value[i]};{rows.sd[i]};{rows.n[i]}"
        for i in range(len(rows.time))
    ]
    head[3] = f"# HEADER LINES: {len(head) + 1}"
    head[2] = f"# TOTAL LINES: {len(head) + 1 + len(body) if total is None else total}"
    return "\n".join([*head, columns, *body]) + "\n"


def icos_flask(rows: Rows) -> str:
    """ICOS ATC flask samples: an hour, integrated."""
    head = ["# TITLE: synthetic", "# FILE NAME: synthetic", f"# STATION CODE: {rows.site}", f"# LATITUDE: {rows.latitude} N",
            f"# LONGITUDE: {rows.longitude} E", f"# ALTITUDE: {rows.altitude} m asl", f"# MEASUREMENT UNIT: {rows.unit}",
            f"# MEASUREMENT SCALE: {rows.scale}"]  # fmt: skip
    columns = f"#Site;SamplingHeight;FlaskId;SamplerId;FlaskSamplingId;SamplingStart;SamplingEnd;{rows.species};MeasUnc;EstRep;ScalLink;CombUnc;NbPoints;Flag;InstrumentId"
    body = [
        f"{rows.site};{rows.intake};{rows.sample[i]};961;{i};{iso(rows.time[i])};{iso(rows.time[i] + np.timedelta64(1, 'h'))};{rows.value[i]};"
        f"{rows.uncertainty[i]};0.1;-999.990;-999.990;1;{rows.flag[i]};1480"
        for i in range(len(rows.time))
    ]
    return "\n".join([*head, columns, *body]) + "\n"


def icos_integrated(rows: Rows, unit="days", length=14.0) -> str:
    """ICOS ATC integrated samples of 14C: a start, and how long."""
    head = ["# TITLE: 14C - synthetic", "# FILE NAME: synthetic", f"# STATION CODE: {rows.site}",
            f"# LATITUDE: {rows.latitude} N", f"# LONGITUDE: {rows.longitude} E", f"# ALTITUDE: {rows.altitude} m asl",
            "# TIME INTERVAL: integrated sampling", "# MEASUREMENT UNIT: Δ (per mil)",
            "# MEASUREMENT SCALE: Oxalic acid 2", "# COMMENT:", "#   - Times are UTC",
            f"#   - IntegrationTime: length of the sampling in {unit}"]  # fmt: skip
    columns = "#Site;SamplingHeight;Year;Month;Day;Hour;Minute;DecimalDate;SamplerId;IntegrationTime;14C;WeightedStdErr;NbPoints;Flag;InstrumentId"
    body = [
        f"{rows.site};{rows.intake};{';'.join(rows.parts(i)[:5])};2021.1;501;{length};{rows.value[i]};{rows.uncertainty[i]};1;O;1480"
        for i in range(len(rows.time))
    ]
    return "\n".join([*head, columns, *body]) + "\n"


def proffast_raw(rows: Rows) -> str:
    """A day as PROFFAST itself writes it: blanks between columns, the Julian date alone."""
    columns = "JulianDate HHMMSS_ID SX gndP gndT latdeg londeg altim appSZA azimuth XH2O XDUM1 XAIR XCO2 XCH4 XCO job01_niter"
    body = [
        f"{(rows.time[i] - np.datetime64('1970-01-01')) / np.timedelta64(1, 'D') + 2440587.5:.6f} 090606 SN 949.40 284.46 "
        f"{rows.latitude} {rows.longitude} 539.0 45.1 -43.06 1.6E+03 1.6E+03 9.98E-01 {rows.value[i]:.5E} 1.88E+00 0.0E+00 3"
        for i in range(len(rows.time))
    ]
    return "\n".join([columns, *body]) + "\n"


def noaa_trends(
    names="year,month,decimal date,average,deseasonalized,ndays,sdev,unc",
    rows=(),
    unit="micromol/mol, abbreviated as ppm",
) -> str:
    """NOAA's table of monthly means at Mauna Loa, shortened."""
    rows = rows or ["1958,3,1958.2027,315.71,314.44,-1,-9.99,-0.99", "1958,4,1958.2877,-99.99,315.16,-1,-9.99,-0.99",
                    "1976,6,1976.4590,333.90,331.30,0,-9.99,-0.99", "2024,1,2024.0417,422.80,422.50,27,0.73,0.27"]  # fmt: skip
    head = ["# USE OF NOAA GML DATA", f"# expressed as a mole fraction in dry air, {unit}",
            "# on the WMO X2019 scale"]  # fmt: skip
    return "\n".join([*head, *([names] if names else []), *rows]) + "\n"


def scripps(rows=(), station=True) -> str:
    """Scripps' monthly means, shortened."""
    rows = rows or [("1958, 01, 21200, 1958.0411,  -99.99,  -99.99,  -99.99,  -99.99,  -99.99,  -99.99", "MLO"),
                    ("1958, 03, 21259, 1958.2027,  315.71,  314.43,  316.20,  314.90,  315.71,  314.43", "MLO"),
                    ("2023, 01, 44941, 2023.0411,  419.47,  419.10,  419.60,  419.20,  419.47,  419.10", "MKO")]  # fmt: skip
    end = ", Sta" if station else ""
    head = ['"-------------------------------------------------------------------------------------"',
            '" Atmospheric CO2 concentrations (ppm) derived from in situ air measurements          "',
            '" Source: R. F. Keeling, Scripps CO2 Program ( http://scrippsco2.ucsd.edu )           "',
            '" mole (ppm), reported on the 2012                                                    "',
            '" SIO manometric mole fraction scale.                                                 "',
            f"  Yr, Mn,    Date,      Date,     CO2,seasonally,        fit,  seasonally,      CO2, seasonally{end}",
            f"    ,   ,        ,          ,        ,  adjusted,           ,adjusted fit,   filled,adjusted filled{end[:1]}",
            f"    ,   ,   Excel,          ,   [ppm],     [ppm],      [ppm],       [ppm],    [ppm],      [ppm]{end[:1]}"]  # fmt: skip
    return "\n".join([*head, *(f"{row},{name}" if station else row for row, name in rows)]) + "\n"


def icos_dat(rows: Rows) -> str:
    """Older ICOS ATC file: blank separated, the descriptive flags at the end often missing."""
    columns = (
        f"Site Year Month Day Hour Minute Date {rows.species} Stdev NbPoints Flag QualityId LastModifiedYear LastModifiedMonth LastModifiedDay "
        "LastModifiedHour LastModifiedMinute AutoDescriptiveFlag ManualDescriptiveFlag"
    )
    body = [
        f"{rows.site} {' '.join(rows.parts(i)[:5])} 2011.2 {rows.value[i]} {rows.sd[i]} {rows.n[i]} {rows.flag[i]} 38938 2015 10 29 14 43 "
        + ("!Maintenance" if i % 2 else " ")
        for i in range(len(rows.time))
    ]
    return "\n".join([columns, *body]) + "\n"


def gcwerks_c(rows: Rows, gases=("SF6", "CFC-11"), flags=None, inlet="10m") -> str:
    """GCWerks .C: three header rows, two times a row."""
    names = ["Year", "yyyy", "mm", "dd", "hh", "mi", "ryyy", "rm", "rd", "rh", "ri", "Inlet", "Standard"]
    scale, unit = ["Scale:", *["--"] * 12], ["Unit:", *["--"] * 12]
    for gas in gases:
        names += [gas, "Flag"]
        scale += ["SIO-05", "--"]
        unit += ["ppt", "--"]
    flags = flags or ["--B-"] * len(rows.time)
    body = []
    for i in range(len(rows.time)):
        year, month, day, hour, minute, _ = rows.parts(i)
        cells = ["2018.0", year, month, day, hour, minute, year, month, day, "23", "59", inlet, "STD1"]
        for _ in gases:
            cells += [f"{rows.value[i]}", flags[i]]
        body.append(" ".join(f"{c:>13}" for c in cells))
    lines = ["Created:  1 Feb 21 21:06 GMT", "shangdianzi-medusa"]
    return (
        "\n".join([*lines, *(" ".join(f"{c:>13}" for c in line) for line in (scale, unit, names)), *body])
        + "\n"
    )


def gcwerks_precisions(days: list[str], values: list[float], gases=("SF6", "CFC-11")) -> str:
    """The .precisions.C beside a .C."""
    head = [
        "# Created:  1 Feb 21 21:06 GMT",
        "# Standard reported",
        "#",
        "#        " + "   ".join(gases),
        "# Date   " + "  s   n" * len(gases),
    ]
    body = [f" {d} " + " ".join(f"{v} 7" for _ in gases) for d, v in zip(days, values, strict=True)]
    return "\n".join([*head, *body]) + "\n"


def gcwerks_crds(rows: Rows, gases=("ch4", "co2"), types=None) -> str:
    """GCWerks .dat of a laser analyser; the last gas has the rows' values."""
    top = f"{'-':>6} {'-':>6} {'-':>8} {'-':>4}" + "".join(f" {g:>9} {g:>7} {g:>5}" for g in gases)
    names = f"{'date':>6} {'time':>6} {'type':>8} {'port':>4}" + f" {'C':>9} {'stdev':>7} {'N':>5}" * len(
        gases
    )
    body = []
    for i in range(len(rows.time)):
        y, mo, d, h, mi, s = rows.parts(i)
        line = f"{y[2:] + mo + d:>6} {h + mi + s:>6} {(types or ['air'] * len(rows.time))[i]:>8} {9:>4}"
        for g in gases:
            value = rows.value[i] if g == gases[-1] else 1900.0 + i
            line += f" {value:>9.2f} {rows.sd[i]:>7.3f} {rows.n[i]:>5}"
        body.append(line)
    return "\n".join(["Created: 28 Sep 20 07:34 GMT", top, names, *body]) + "\n"


PICARRO = ["DATE", "TIME", "FRAC_DAYS_SINCE_JAN1", "FRAC_HRS_SINCE_JAN1", "JULIAN_DAYS", "EPOCH_TIME", "ALARM_STATUS", "INST_STATUS", "species",
           "MPVPosition", "solenoid_valves", "CH4", "CH4_dry", "CO2", "CO2_dry", "H2O", "h2o_reported"]  # fmt: skip


def picarro(epoch, co2, code=None, status=963, alarm=0, local_hours=0.0, valve=None) -> str:
    """Raw Picarro data log, 26 characters a column, CRLF as the analyser writes it."""
    lines = ["".join(f"{n:<26}" for n in PICARRO)]
    for i, (t, value) in enumerate(zip(epoch, co2, strict=True)):
        local = np.datetime64(round((t + local_hours * 3600) * 1000), "ms")
        date, clock = str(local).split("T")
        cells = [date, clock, "1.0", "1.0", "1.0", f"{t:.3f}", str(alarm), str(np.broadcast_to(status, len(epoch))[i]),
                 f"{3 if code is None else code[i]:.10E}", f"{0 if valve is None else valve[i]:.10E}", "0.0000000000E+000", f"{1.9:.10E}",
                 f"{1.91:.10E}", f"{value - 1:.10E}", f"{value:.10E}", f"{1.5:.10E}", f"{1.9:.10E}"]  # fmt: skip
        lines.append("".join(f"{c:<26}" for c in cells))
    return "\r\n".join(lines) + "\r\n"


def coccon(rows: Rows, separator=", ") -> str:
    """PROFFAST results as PROFFASTpylot combines them; local time is UTC+8."""
    names = [
        "UTC",
        "LocalTime",
        "spectrum",
        "JulianDate",
        "UTtimeh",
        "gndP",
        "gndT",
        "latdeg",
        "londeg",
        "altim",
        "appSZA",
        "azimuth",
        "XH2O",
        "XAIR",
        "XCO2",
        "XCH4",
        "XCO",
        "XCH4_S5P",
    ]
    body = []
    for i in range(len(rows.time)):
        time = rows.time[i].astype("datetime64[s]")
        julian = 2440587.5 + time.astype(np.int64) / 86400.0
        utc, local = (str(t).replace("T", " ") for t in (time, time + np.timedelta64(8, "h")))
        xair = f"{rows.extra.get('xair', 0.999):.5e}"
        numbers = [f"{julian:.5f}", "  5.0", "1010.20", "290.10", "39.90000", "116.40000", "60.000", "45.10", "-77.41",
                   "1.89954e+03", xair, f"{rows.value[i]:.7e}", "1.90000e+00", "1.10000e-01", "1.91000e+00"]  # fmt: skip
        body.append(separator.join([utc, local, "170608_054549SN.BIN", *numbers]))
    return "\n".join([separator.join(names), *body]) + "\n"


COLSENS_ANGLES = (0.0, 0.3965, 0.793, 1.189, 1.484)


def proffast_day(folder: Path, day="200101", site="Beijing", levels=20, kernel=lambda z, a: 1.0 + 0.1 * a):
    """What PROFFAST leaves of a day: pT, priors and column sensitivities; the kernel is a function of km and rad."""
    folder.mkdir(exist_ok=True)
    height = np.linspace(0.05, 60.0, levels)  # km
    pressure = 1013.0 * np.exp(-height / 7.4)
    state = ["Index Altitude Temperature Pressure Column H2O HDO"]
    priors = []
    for i, (z, p) in enumerate(zip(height, pressure, strict=True)):
        state.append(f" {i} {z * 1e3:.2f} 250.0 {p * 100:.4f} 1.0E+24 {8000.0 * np.exp(-z / 2):.4f} 1.0")
        priors.append(f" {i} {z * 1e3:.2f} 1.0 1.0 {400.0 + z:.4f} 1.9 0.33 0.11 0.2095 0.0")
    blocks = []
    for gas in ("H2O", "HDO", "CO2", "CH4", "N2O", "CO", "O2", "HF"):
        scale = {"CO2": 1.0, "CH4": 2.0}.get(gas, 3.0)
        blocks += [
            "",
            f" column sensitivities of {gas}",
            "",
            " alt p " + " ".join(f"{a:.3E}" for a in COLSENS_ANGLES),
            "",
            "",
        ]
        for z, p in zip(height, pressure, strict=True):
            blocks.append(
                f" {z:.4E} {p:.4E} " + " ".join(f"{scale * kernel(z, a):.4E}" for a in COLSENS_ANGLES)
            )
    for kind, lines in (("pT_fast_out", state), ("VMR_fast_out", priors), ("colsens", blocks)):
        (folder / f"{site}{day}-{kind}.dat").write_text("\n".join(lines) + "\n")


TEXTS = {
    "noaa_event": (lambda: noaa_text(simple()), "co2_wlg_surface-flask_1_ccgg_event.txt"),
    "noaa_hourly": (lambda: noaa_text(simple(), tag="hourly"), "co2_wlg_surface-insitu_1_ccgg_hourly.txt"),
    "noaa_old": (lambda: noaa_old(simple()), "co2_wlg_surface-flask_1_ccgg_event.txt"),
    "wdcgg_2021": (lambda: wdcgg(simple()), "w.txt"),
    "wdcgg": (lambda: wdcgg(simple(), layout="now"), "w.txt"),
    "rem": (lambda: rem_monthly(simple()), "wlg.dat"),
    "icos_l2": (lambda: icos_l2(simple(flag=["O"] * 4)), "x.CO2"),
    "icos_flask": (lambda: icos_flask(simple(flag=["O"] * 4)), "x.CO2"),
    "icos_dat": (lambda: icos_dat(simple(flag=["U"] * 4)), "tta.co2.1minute.222m.min.dat"),
    "gcwerks_c": (lambda: gcwerks_c(simple()), "shangdianzi-medusa.18.C"),
    "gcwerks_crds": (lambda: gcwerks_crds(simple()), "sdz.picarro.hourly.10m.dat"),
    "picarro": (lambda: picarro([1.5e9, 1.5e9 + 2, 1.5e9 + 4], [400.0, 401.0, 402.0]), "X-DataLog_User.dat"),
    "coccon": (lambda: coccon(simple()), "comb_invparms.csv"),
    "coccon_raw": (lambda: proffast_raw(simple()), "ma200101-invparms.dat"),
    "icos_integrated": (lambda: icos_integrated(simple()), "x.14C"),
    "noaa_trends": (noaa_trends, "co2_mm_mlo.csv"),
    "scripps": (scripps, "monthly_in_situ_co2_mlo.csv"),
}


def read_text(text: str | bytes, name="file.txt", all_species=False, species=None, **options):
    """Write a file, read it, return the record."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return read_all(path, **options) if all_species else stations.read(path, species, **options)
