"""The words of limits and evidence in Chinese."""

from __future__ import annotations

__all__ = ["in_chinese", "in_two"]

WORDS = {
    # columns of the evidence
    "age_years": "年数",
    "bias": "偏差",
    "calibrated": "标定日期",
    "coverage": "覆盖率",
    "days": "天数",
    "difference": "差值",
    "expected": "应有",
    "file": "文件",
    "flag": "标记",
    "found": "实测",
    "from": "起",
    "grade": "等级",
    "item": "项目",
    "median": "中位数",
    "months": "月数",
    "name": "名称",
    "note": "说明",
    "part": "分量",
    "passes": "符合",
    "period": "时段",
    "reference": "比对值",
    "rows": "行数",
    "scale": "标尺",
    "source": "来源",
    "station": "台站",
    "time": "时间",
    "to": "止",
    "valid": "有效",
    "value": "数值",
    # what evidence says
    "calibrated after the data": "标定晚于资料",
    "cmr": "连续测量重复性",
    "icos_cmr": "连续测量重复性",
    "icos_ltr": "长期重复性",
    "icos_smr": "短期重复性",
    "listed before": "重复列出",
    "ltr": "长期重复性",
    "no date": "无日期",
    "repeatability": "重复性",
    "smr": "短期重复性",
    "target runs": "目标气测量",
    "too old": "超过年限",
    "uncertainty": "不确定度",
    "uncertainty_measurement": "测量不确定度",
    "uncertainty_systematic": "系统不确定度",
    "unknown": "未知",
    # grades
    "primary": "一级",
    "secondary": "二级",
    "tertiary": "三级",
    "working": "工作级",
    # what a record says of itself
    "altitude_m": "海拔",
    "intake_height_m": "进气口高度",
    "latitude": "纬度",
    "longitude": "经度",
    "responsible": "负责人",
    "site": "站点",
    "species": "气体",
    "unit": "单位",
    # flags
    "calibration": "标定",
    "duplicate": "重复",
    "elsewhere": "由另一文件计入",
    "geolocation": "位置",
    "gradient": "梯度",
    "hours": "时段外",
    "operator": "算子",
    "outlier": "离群",
    "pair": "平行样不符",
    "producer": "台站剔除",
    "range": "超出范围",
    "screen": "筛选",
    "selection": "非本底",
    "spike": "尖峰",
    "stuck": "数值停滞",
    "suspect": "可疑",
    "variability": "变率过大",
    "wind": "风",
}


def in_chinese(text: str) -> str:
    """Return a word of the evidence in Chinese; names and numbers stay."""
    return WORDS.get(text, text)


def in_two(text: str) -> str:
    """Return a word in Chinese and English, once where both are the same."""
    chinese = in_chinese(text)
    return text if chinese == text else f"{chinese} {text}"
