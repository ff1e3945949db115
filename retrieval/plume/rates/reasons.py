"""Why a rate is not to be believed."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["REASONS", "RejectReason", "words_of"]


class RejectReason(IntFlag):
    """Why a rate is rejected; 0 means it may be used. Numbers are kept beside their reasons, never dropped."""

    OUTSIDE = 1 << 0
    NOT_FOUND = 1 << 1
    MERGED = 1 << 2
    SLOW_WIND = 1 << 3
    DIRECTION = 1 << 4
    SHORT = 1 << 5
    FEW_PIXELS = 1 << 6
    GAPS = 1 << 7
    UPWIND = 1 << 8
    BELOW_LIMIT = 1 << 9
    UNCERTAIN = 1 << 10
    NO_FIT = 1 << 11
    DISAGREE = 1 << 12
    ANGLE = 1 << 13


REASONS = {
    RejectReason.OUTSIDE: ("source outside the swath", "排放源在刈幅之外"),
    RejectReason.NOT_FOUND: ("no plume found at the source", "源处未检出羽流"),
    RejectReason.MERGED: ("merged with the plume of another source", "与其他源的羽流重叠"),
    RejectReason.SLOW_WIND: ("wind too slow, for its error or altogether", "风速过低或误差过大"),
    RejectReason.DIRECTION: ("plume and wind go different ways", "羽流与风向不一致"),
    RejectReason.SHORT: ("plume too short", "羽流过短"),
    RejectReason.FEW_PIXELS: ("too few pixels", "有效像元过少"),
    RejectReason.GAPS: ("too much of the plume unseen", "羽流缺测过多"),
    RejectReason.UPWIND: ("enhanced air arrives from upwind", "上风向已有增强"),
    RejectReason.BELOW_LIMIT: ("below the detection limit", "低于检出限"),
    RejectReason.UNCERTAIN: ("error too large for a rate", "不确定度过大"),
    RejectReason.NO_FIT: ("no fit", "拟合失败"),
    RejectReason.DISAGREE: ("methods disagree", "各方法结果不一致"),
    RejectReason.ANGLE: ("track nearly along the wind", "轨迹与风向近乎平行"),
}


def words_of(reasons: int, language: str = "en") -> str:
    """Return reasons in words, separated by semicolons; empty for none.

    Examples
    --------
    >>> words_of(RejectReason.MERGED | RejectReason.SLOW_WIND)
    'merged with the plume of another source; wind too slow, for its error or altogether'
    """
    k = 1 if language == "zh" else 0
    return ("；" if k else "; ").join(text[k] for bit, text in REASONS.items() if reasons & bit)
