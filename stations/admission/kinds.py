"""The kinds of admission criterion, by the name that a table of requirements uses."""

from __future__ import annotations

from obsnet.kind_tables import Kind
from stations.admission import data, measurement

__all__ = ["KINDS"]

KINDS = {
    "coverage": Kind(data.CoverageOptions, data.coverage),
    "span": Kind(data.SpanOptions, data.span),
    "metadata": Kind(data.MetadataOptions, data.metadata),
    "rejected": Kind(data.RejectedOptions, data.rejected),
    "scale": Kind(measurement.ScaleOptions, measurement.scale),
    "standards": Kind(measurement.StandardsOptions, measurement.standards),
    "repeatability": Kind(measurement.RepeatabilityOptions, measurement.repeatability),
    "target_bias": Kind(measurement.TargetOptions, measurement.target_bias),
    "comparison": Kind(measurement.CompareOptions, measurement.comparison),
    "calibration_interval": Kind(measurement.CalibrationOptions, measurement.calibration_interval),
    "uncertainty": Kind(measurement.StatedUncertaintyOptions, measurement.uncertainty),
}
