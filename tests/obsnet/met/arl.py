"""An encoder of the ARL format, from its description, to test the decoder with."""

from __future__ import annotations

import numpy as np


def pack(values):
    """Return exponent, first value and bytes of a field, as PAKOUT does."""
    values = np.asarray(values, float)
    rows = np.diff(values, axis=1)
    columns = np.diff(values[:, 0])
    largest = max(np.abs(rows).max(initial=0.0), np.abs(columns).max(initial=0.0))
    exponent = int(np.floor(np.log(largest) / np.log(2.0)) + 1) if largest else 0
    scale = 2.0 ** (7 - exponent)
    out = np.empty(values.shape, np.uint8)
    start = values[0, 0]
    for j in range(values.shape[0]):
        old = start
        for i in range(values.shape[1]):
            step = int((values[j, i] - old) * scale + 127.5)
            out[j, i] = step
            old += (step - 127.0) / scale
            if i == 0:
                start = old
    return exponent, values[0, 0], out.tobytes()


def write(path, times, levels, surface, upper, *, lat, lon, kind=2, grid=None):
    """Write fields; `surface` and `upper` are functions of the time's number giving dicts of arrays.

    `grid` are the index record's twelve numbers, by default those of a latitude-longitude grid.
    """
    ny, nx = len(lat), len(lon)
    with open(path, "wb") as stream:
        for n, time in enumerate(times):
            stamp = np.datetime64(time, "m").astype(object)
            date = f"{stamp.year % 100:2d}{stamp.month:2d}{stamp.day:2d}{stamp.hour:2d} 0".encode()
            tables = [surface(n), *({k: v[m] for k, v in upper(n).items()} for m in range(len(levels)))]
            even = (90.0, 0.0, lat[1] - lat[0], lon[1] - lon[0], 0.0, 0.0, 0.0, 1.0, 1.0, lat[0], lon[0], 0.0)
            numbers = b"".join(f"{v:7.2f}".encode() for v in grid or even)
            body = b"TEST  0" + f"{stamp.minute:2d}".encode() + numbers
            head = f"{nx:3d}{ny:3d}{len(tables):3d}{kind:2d}"
            index = b""
            for height, table in zip((1.0, *levels), tables, strict=True):
                index += f"{height:6.5g}"[:6].rjust(6).encode() + f"{len(table):2d}".encode()
                index += b"".join(name.encode() + b"  0 " for name in table)
            body += head.encode() + f"{108 + len(index):4d}".encode() + index
            assert len(body) <= nx * ny, "the grid is too small for the index"
            stream.write(date + b" 099INDX" + b"   0" + b" 0.0000000E+00" * 2)
            stream.write(body.ljust(nx * ny))
            for m, table in enumerate(tables):
                for name, values in table.items():
                    exponent, first, data = pack(values)
                    label = date + f"{m:2d}99".encode() + name.encode() + f"{exponent:4d}".encode()
                    stream.write(label + f"{0.0:14.7E}{first:14.7E}".encode() + data)
    return path
