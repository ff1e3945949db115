"""Our own Parquet files: written compactly and atomically, sealed, and held to their contract when read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from obsnet import schema
from obsnet.atomic import atomic_path
from obsnet.holdings import HOLDS
from obsnet.reading import reading
from obsnet.seal import check_parquet, seal_parquet

__all__ = ["GROUP", "read_table", "write_table", "write_whole"]

GROUP = 1 << 13  # rows of a group of observations: a satellite is over few provinces meanwhile


def write_table(
    table: pa.Table,
    path: str | os.PathLike[str],
    *,
    distinct: Sequence[str] = (),
    group: int | None = None,
    quick: bool = False,
) -> None:
    """Write a Parquet file atomically.

    Bytes of floats are split by significance before zstd 1 (half the size and half the time of dictionaries),
    times are stored as differences, strings as dictionaries.

    Parameters
    ----------
    table : pyarrow.Table
        Any.
    path : path
        File.
    distinct : sequence of str
        String columns that hardly repeat, such as identities: stored as differences too.
    group : int, optional
        Rows of a group; readers skip groups whose values lie outside of what they look for.
    quick : bool
        LZ4 in the place of zstd: two thirds of the time to write soundings and to read them, a seventh more bytes.
    """
    encodings: dict[str, str] = {}
    dictionaries, statistics = [], []
    for field in table.schema:
        nested = pa.types.is_list(field.type)
        if not nested:  # nobody looks for a row by its profile
            statistics.append(field.name)
        kind = field.type.value_type if nested else field.type
        if pa.types.is_floating(kind) and not pa.types.is_float16(kind):
            encodings[f"{field.name}.list.element" if nested else field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_timestamp(kind) and not nested:
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif field.name in distinct:
            encodings[field.name] = "DELTA_BYTE_ARRAY"
        elif not nested:
            dictionaries.append(field.name)
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="lz4" if quick else "zstd",
            compression_level=None if quick else 1,
            use_dictionary=dictionaries or False,
            write_statistics=statistics,
            column_encoding=encodings or None,
            row_group_size=group,
        )
        seal_parquet(temporary)


def write_whole(table: pa.Table, path: Path, ids: Mapping[str, int]) -> None:
    """Write a whole-year part with the input files that it holds; see `obsnet.holdings`."""
    said = {**(table.schema.metadata or {}), HOLDS: json.dumps(dict(ids), sort_keys=True).encode()}
    write_table(table.replace_schema_metadata(said), path, distinct=("obs_id",), group=GROUP, quick=True)


def read_table(path: str | os.PathLike[str], contract: schema.Contract) -> pa.Table:
    """Read a Parquet file, its checksums verified, and check it against its contract.

    Raises
    ------
    FormatError
        The file is damaged or no Parquet file.
    SchemaError
        It is of another contract or version.
    """
    footer = check_parquet(path)
    schema.check_stored(footer.schema.to_arrow_schema(), contract, str(path))
    with reading(path, "Parquet"):
        table = pq.ParquetFile(path, metadata=footer).read()
        # Texts that are no UTF-8 and lists that end elsewhere fail here, not in their users.
        table.validate(full=True)
    return schema.check(table, contract, str(path))
