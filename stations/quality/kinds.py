"""The kinds of quality rule, by the name that a table of rules uses.

A kind is an `Options` model (what a rule table may say) and a function of `stations.quality.rows.Rows` and those
options that returns what it found, by reason. To add a kind, add it here; nothing else has to know it.
"""

from __future__ import annotations

from obsnet.kind_tables import Kind
from stations.quality import circumstances, values

__all__ = ["KINDS"]

KINDS = {
    "range": Kind(values.RangeOptions, values.range_rule),
    "pair": Kind(values.PairOptions, values.pair_rule),
    "outlier": Kind(values.OutlierOptions, values.outlier_rule),
    "hampel": Kind(values.HampelOptions, values.hampel_rule),
    "spike": Kind(values.SpikeOptions, values.spike_rule),
    "rebs": Kind(values.RebsOptions, values.rebs_rule),
    "agage": Kind(values.AgageOptions, values.agage_rule),
    "within_hour": Kind(values.WithinHourOptions, values.within_hour_rule),
    "step": Kind(values.StepOptions, values.step_rule),
    "mountain_hours": Kind(circumstances.MountainOptions, circumstances.mountain_rule),
    "wind": Kind(circumstances.WindOptions, circumstances.wind_rule),
    "gradient": Kind(circumstances.GradientOptions, circumstances.gradient_rule),
    "stuck": Kind(values.StuckOptions, values.stuck_rule),
    "hours": Kind(circumstances.HoursOptions, circumstances.hours_rule),
    "uncertainty": Kind(values.RowUncertaintyOptions, values.uncertainty_rule),
    "period": Kind(circumstances.PeriodOptions, circumstances.period_rule),
}
