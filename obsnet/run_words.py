"""Sentences that an inversion writes into its file about itself, and their Chinese: one table for writer and reader.

A posterior file speaks English. Whoever shows a sentence of it in Chinese finds it here by its form; one that is not
here stands as it is.
"""

from __future__ import annotations

from typing import Any

from obsnet.language import Sentences, Words

__all__ = ["in_both", "line"]

_TEXTS = {
    "biased": (
        (
            "{source}: its {n} observations are {offset} ± {sd} off all that the inversion can explain; solve "
            "an offset "
            "([invert.offset] sigma) or leave it out"
        ),
        (
            "{source}：其 {n} 个观测偏离反演所能解释的部分 {offset} ± {sd}；请求解偏移量（[invert.offset] "
            "sigma）或剔除该来源"
        ),
    ),
    "far": (
        (
            "{n} observations lie more than {far} standard deviations from what all others predict: {named}; "
            "[invert.screen] rejects such rows"
        ),
        "{n} 个观测偏离其余观测的预测超过 {far} 倍标准差：{named}；[invert.screen] 可剔除此类观测",
    ),
    "negative cells": (
        (
            "{sector}: {n} of {all} cells are negative in the posterior mean, together {share} of its total, "
            "where the prior "
            "is nowhere; method lognormal or truncated keeps it positive"
        ),
        (
            "{sector}：后验均值在 {all} 个格点中有 {n} 个为负，合计占总量的 {share}，而先验无负值；"
            "lognormal 或 truncated 方法可保持为正"
        ),
    ),
    "screened": (
        "{n} observations ({share}) were screened; screened.parquet lists them",
        "{n} 个观测（{share}）被筛查，见 screened.parquet",
    ),
    "spread of members": (
        (
            "the members' spread is {lowest} of the error of their mean for {name} and {middle} in the middle "
            "of all totals; "
            "uncertainties here are that spread, tests use the error"
        ),
        (
            "集合离散度与其均值误差之比：{name} 为 {lowest}，各总量的中位数为 {middle}；此处不确定度为离散度，"
            "检验采用误差"
        ),
    ),
    "same air": (
        "the same air counts twice: {said} (first {first} and {second})",
        "同一空气被计入两次：{said}（首对为 {first} 与 {second}）",
    ),
    "unfinished": ("made from {what}", "由未完成的输入得到：{what}"),
    "one pattern": (
        "factors keep the prior's pattern inside their elements; no error of totals allows for another",
        "系数在其单元内保持先验的空间型态；总量误差未计入其他型态",
    ),
    "sampled together": (
        "sampling error of {n} columns: one for each of {cells} cells that share particles",
        "{n} 个柱观测的抽样误差：{cells} 个共用粒子的格各为一个",
    ),
    "shared particles": (
        (
            "share: columns within cells of {km} km and a minute share particles, each on paths moved to its own "
            "place; their Monte-Carlo errors go together (particles_of in receptors/)"
        ),
        (
            "共用粒子：{km} km、一分钟的格内各柱观测共用粒子，路径各自平移到其位置；"
            "蒙特卡洛误差相同（见 receptors/ 的 particles_of）"
        ),
    ),
    "set aside": ("{n} rows were set aside", "搁置 {n} 行"),
    "negative factors": (
        "{n} of {all} factors are negative in the posterior mean",
        "后验均值在 {all} 个系数中有 {n} 个为负",
    ),
    "few members": (
        (
            "{members} members cannot hold the {needed} degrees of freedom that the observations determine; "
            "take more members "
            "than that, radius_km, or an exact method"
        ),
        "{members} 个成员无法容纳观测所确定的 {needed} 个自由度；请增加成员、设置 radius_km 或采用精确解法",
    ),
    "mode": (
        (
            "the most likely fluxes within bounds ({held} of {all} at one) are not their mean, so their totals "
            "are biased and "
            "have no error of their own; method truncated draws them"
        ),
        "界限内的最可能通量（{all} 个中 {held} 个在界限上）并非均值，其总量有偏且无自身误差；truncated 方法对其抽样",
    ),
    "on land": (
        "{sector}: on the land of a cell, by its flux on {cells} cells; by area where it has none",
        "{sector}：按 {cells} 格点上的通量分配于格点内的陆地；无通量处按面积",
    ),
    "at sea": (
        "{sector}: at sea where a cell reaches the sea, by its flux on {cells} cells; by area where it has none",
        "{sector}：按 {cells} 格点上的通量分配于格点内的海面；无通量处按面积",
    ),
    "even": (
        "{sector}: even over a cell, by its flux on {cells} cells; by area where it has none",
        "{sector}：按 {cells} 格点上的通量在格点内均匀分配；无通量处按面积",
    ),
    "in no region": (
        "{sector}: {sea} of its flux is at sea and {land} on other land",
        "{sector}：通量的 {sea} 在海上，{land} 在其他陆地",
    ),
    "nearest land": (
        (
            "{sector}: {sea} of its flux is at sea and {land} on other land; {share} in cells at sea within {far} "
            "degree of a coast is the nearest land's"
        ),
        "{sector}：通量的 {sea} 在海上，{land} 在其他陆地；离岸 {far} 度内海上格点的 {share} 归最近陆地",
    ),
}
_SENTENCES = Sentences(_TEXTS)


def line(key: str, **values: Any) -> str:
    """Return a sentence for the file."""
    return _SENTENCES.line(key, **values)


def in_both(text: str) -> Words:
    """Return a sentence of the file in both languages; without Chinese where the table does not have it.

    Examples
    --------
    >>> in_both("3 rows were set aside").zh
    '搁置 3 行'
    """
    return _SENTENCES.in_both(text)
