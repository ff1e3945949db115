"""Damage to files, seeded: what disks, networks, editors and other programs do to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["mutate"]

Random = np.random.Generator
_HUGE = (
    "1e300",
    "-1e300",
    "99999999999999999999",
    "-1",
    "nan",
    "inf",
    "",
    "0",
    "1e-320",
    "90000-01-01",
    "\u0663",
)
_WORDS = (b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x00" * 8, b"\x80" + b"\x00" * 7, b"\x2a\x05\xf2\x00" * 2)


def flip_bits(data: bytes, rng: Random) -> bytes:
    out = bytearray(data)
    for place in rng.integers(0, len(out), int(rng.choice([1, 1, 2, 8, 64]))):
        out[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(out)


def flip_in_head(data: bytes, rng: Random) -> bytes:
    out = bytearray(data)
    for place in rng.integers(0, min(len(out), 4096), int(rng.choice([1, 2, 4]))):
        out[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(out)


def cut(data: bytes, rng: Random) -> bytes:
    return data[: int(rng.integers(0, len(data)))]


def cut_out(data: bytes, rng: Random) -> bytes:
    first, length = int(rng.integers(0, len(data))), int(rng.choice([1, 7, 512, 4096]))
    return data[:first] + data[first + length :]


def put_in(data: bytes, rng: Random) -> bytes:
    place, length = int(rng.integers(0, len(data) + 1)), int(rng.choice([1, 3, 512, 5000]))
    return data[:place] + rng.bytes(length) + data[place:]


def swap_blocks(data: bytes, rng: Random) -> bytes:
    size = int(rng.choice([16, 512, 4096]))
    blocks = [data[k : k + size] for k in range(0, len(data), size)]
    one, two = rng.integers(0, len(blocks), 2)
    blocks[one], blocks[two] = blocks[two], blocks[one]
    return b"".join(blocks)


def blank_block(data: bytes, rng: Random) -> bytes:
    size = int(rng.choice([64, 512, 4096]))
    start = int(rng.integers(0, len(data)))
    return data[:start] + b"\0" * min(size, len(data) - start) + data[start + size :]


def huge_word(data: bytes, rng: Random) -> bytes:
    """Overwrite an aligned word with an extreme number: sizes, offsets and counts live there."""
    size = int(rng.choice([2, 4, 8]))
    place = int(rng.integers(0, max(len(data) // size, 1))) * size
    word = _WORDS[int(rng.integers(0, len(_WORDS)))][:size]
    return data[:place] + word + data[place + size :]


def huge_number(data: bytes, rng: Random) -> bytes:
    """Replace a number in a text by one that does not fit."""
    found = list(re.finditer(rb"-?\d+\.?\d*", data[: 1 << 18]))
    if not found:
        return flip_bits(data, rng)
    match = found[int(rng.integers(0, len(found)))]
    word = _HUGE[int(rng.integers(0, len(_HUGE)))].encode()
    return data[: match.start()] + word + data[match.end() :]


def long_line(data: bytes, rng: Random) -> bytes:
    lines = data.split(b"\n")
    k = int(rng.integers(0, len(lines)))
    letter = [b"x", b"9", b" ", b",", b";", b'"', b"#"][int(rng.integers(0, 7))]
    lines[k] += letter * int(rng.choice([1000, 300_000, 1_000_000]))
    return b"\n".join(lines)


def other_line_ends(data: bytes, rng: Random) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(
        b"\n", [b"\r", b"\r\n", b"\r\r\n", b"\n\n"][int(rng.integers(0, 4))]
    )


def move_lines(data: bytes, rng: Random) -> bytes:
    lines = data.split(b"\n")
    k, n = int(rng.integers(0, len(lines))), int(rng.integers(1, 4))
    taken, rest = lines[k : k + n], lines[:k] + lines[k + n :]
    how = int(rng.integers(0, 3))
    if how == 0:
        return b"\n".join(rest)
    place = int(rng.integers(0, len(rest) + 1))
    return b"\n".join((lines if how == 1 else rest)[:place] + taken + (lines if how == 1 else rest)[place:])


def odd_bytes(data: bytes, rng: Random) -> bytes:
    place = int(rng.integers(0, len(data) + 1))
    odd = [b"\0", b"\xff\xfe", "中文".encode("gbk"), b"\xef\xbb\xbf", b"\x1a", b'"', b"'", b"\\", b"%s{}"][
        int(rng.integers(0, 9))
    ]
    return data[:place] + odd * int(rng.choice([1, 1, 50])) + data[place:]


_ANY = (flip_bits, flip_bits, cut, cut_out, put_in, swap_blocks, blank_block)
_BINARY = (*_ANY, flip_in_head, flip_in_head, huge_word, huge_word)
_TEXT = (*_ANY, huge_number, huge_number, long_line, other_line_ends, move_lines, odd_bytes)


def edit_hdf5(path: Path, rng: Random) -> None:
    """Change what a netCDF-4 file says of itself: the library finds nothing wrong with such a file."""
    import h5py

    with h5py.File(path, "r+") as file:
        nodes: list[str] = []
        file.visit(nodes.append)
        name = nodes[int(rng.integers(0, len(nodes)))] if nodes else "/"
        node = file[name]
        attributes = list(node.attrs) or list(file.attrs)
        owner = node if list(node.attrs) else file
        how = int(rng.integers(0, 7))
        if how == 0 and nodes:
            del file[name]
        elif how == 1 and attributes:
            del owner.attrs[attributes[int(rng.integers(0, len(attributes)))]]
        elif how in (2, 3) and attributes:
            values = [
                "furlong",
                b"\xff\xfe",
                5,
                -1.5,
                [1, 2, 3],
                "",
                np.float16(1),
                "days since 90000-01-01",
                np.nan,
            ]
            key = attributes[int(rng.integers(0, len(attributes)))]
            owner.attrs[key] = values[int(rng.integers(0, len(values)))]
        elif how == 4 and isinstance(node, h5py.Dataset):
            shape = [(), (1,), (0,), (3, 3), (5_000_000_000,), (2, 1_000_000_000)][int(rng.integers(0, 6))]
            kept = dict(node.attrs)
            kind = node.dtype
            del file[name]
            chunks = True if np.prod(shape, dtype=np.float64) > 1000 else None
            made = file.create_dataset(name, shape, kind, chunks=chunks)
            for key, value in kept.items():
                if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"):
                    made.attrs[key] = value
        elif how == 5 and isinstance(node, h5py.Dataset) and node.dtype.kind in "fiu" and node.size:
            odd = [np.nan, 1e30, -1e30, 0, -32768, 9.96921e36][int(rng.integers(0, 6))]
            with np.errstate(all="ignore"):
                node[...] = np.full(node.shape, odd).astype(node.dtype)
        elif isinstance(node, h5py.Dataset):
            kind = ["S3", "f2", "i1", "u8", h5py.string_dtype()][int(rng.integers(0, 5))]
            shape = node.shape
            del file[name]
            file.create_dataset(name, shape, kind)


def mutate(source: Path, target: Path, rng: Random) -> str:
    """Write a damaged copy of a file; return the name of what was done to it."""
    data = source.read_bytes()
    is_hdf5 = data[:4] == b"\x89HDF"
    if is_hdf5 and rng.random() < 0.35:
        target.write_bytes(data)
        try:
            edit_hdf5(target, rng)
            return "edit_hdf5"
        except (OSError, RuntimeError, ValueError, KeyError, TypeError):  # not everything can be edited
            target.write_bytes(data)
    is_text = not is_hdf5 and b"\0" not in data[:4096]
    kinds: tuple[Callable[[bytes, Random], bytes], ...] = _TEXT if is_text else _BINARY
    kind = kinds[int(rng.integers(0, len(kinds)))]
    out = kind(data, rng) if data else rng.bytes(10)
    target.write_bytes(out)
    return kind.__name__
