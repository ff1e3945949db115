"""Hypothesis strategies of the records that text dialects must carry unharmed."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.stations.dialects import Rows

# Two decimals survive every dialect; the range is what a station may see.
values = st.integers(35000, 60000).map(lambda v: v / 100.0)
spreads = st.integers(1, 900).map(lambda v: v / 1000.0)
noaa_flags = st.sampled_from(["...", "C..", ".S.", "M..", "..P", "NS."])
icos_flags = st.sampled_from(list("OURNKH"))


@st.composite
def rows(draw, step=60, flags=noaa_flags, max_size=12, latest=4_000_000_000, **kwargs):
    """Return distinct, ascending times on a grid of `step` seconds from 1970 to `latest`, with values and flags."""
    starts = draw(
        st.lists(st.integers(0, latest // step), min_size=1, max_size=max_size, unique=True).map(sorted)
    )
    size = len(starts)
    times = (np.array(starts, dtype=np.int64) * step).astype("datetime64[s]")

    def column(strategy):
        return draw(st.lists(strategy, min_size=size, max_size=size))

    return Rows(
        times,
        np.array(column(values)),
        uncertainty=np.array(column(spreads)),
        sd=np.array(column(spreads)),
        n=np.array(column(st.integers(1, 999))),
        flag=column(flags),
        **kwargs,
    )


WORDS = [b" nan ", b"-999.99", b"\n", b";", b",", b"1e308", b"-1", b" ", b"UTC", b"#", b"9" * 20]


@st.composite
def damage(draw, text: bytes):
    """Return a text with a few slices cut, repeated or overwritten."""
    data = bytearray(text)
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        a = draw(st.integers(0, len(data) - 1))
        b = min(a + draw(st.integers(0, 60)), len(data))
        kind = draw(st.sampled_from(["cut", "double", "noise", "end", "words"]))
        if kind == "cut":
            del data[a:b]
        elif kind == "double":
            data[b:b] = data[a:b]
        elif kind == "noise":
            data[a:b] = draw(st.binary(max_size=20))
        elif kind == "end":
            del data[a:]
        else:
            data[a:b] = draw(st.sampled_from(WORDS))
    return bytes(data)
