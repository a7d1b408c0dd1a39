"""A changed column of a table is noticed when it is read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asl.data.checked_parquet import has_checksums, read_parquet, write_parquet


def test_a_changed_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    names = pa.array([f"image-{number}" for number in range(50)])
    columns = {
        "name": names,
        "again": names.dictionary_encode(),
        "score": [number / 7 for number in range(50)],
        "rank": list(range(50)),
        "note": [None, *["x"] * 49],
    }
    table = pa.table(columns)
    write_parquet(table, path)
    again = read_parquet(path)
    assert has_checksums(again)
    assert again.to_pydict() == table.to_pydict()
    assert read_parquet(path, columns=["score"]).column_names == ["score"]
    data = bytearray(path.read_bytes())
    data[len(data) // 6] ^= 1
    path.write_bytes(data)
    with pytest.raises((pa.ArrowException, OSError)):
        read_parquet(path)


def test_a_column_in_place_of_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_parquet(pa.table({"score": [0.5, 0.25], "other": [1.0, 2.0]}), path)
    metadata = pq.read_table(path).schema.metadata
    swapped = pa.table({"score": [1.0, 2.0], "other": [0.5, 0.25]})
    pq.write_table(swapped.replace_schema_metadata(metadata), path)
    with pytest.raises(ValueError, match="the checksum of column 'score' differs"):
        read_parquet(path)


def test_tables_of_others_have_none(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    assert not has_checksums(read_parquet(tmp_path / "t.parquet"))
