"""The table of GPU memory in docs/ndec.md is what the counting code says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import count_memory


@pytest.mark.slow
def test_the_table_of_the_page_is_current() -> None:
    page = count_memory.PAGE.read_text(encoding="utf-8")
    written = page.split(count_memory.BEGIN)[1].split(count_memory.END)[0]
    assert written == count_memory.table(), "run python scripts/count_memory.py --write"
    rows = [line.split("|") for line in written.splitlines()[2:]]
    assert {row[1].strip().split("`")[1] for row in rows} == set(count_memory.experiments())


def test_split_classes_take_a_quarter_and_nothing_else_changes_but_buckets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, alone = count_memory.needed("d2lv")
    same, split = count_memory.needed("d2lv", processes=4)
    assert images == same == 100_000
    assert alone["class weights"] == 4 * split["class weights"] == 4 * 4 * images * 8192
    assert split["class logits"] == alone["class logits"], "four batches over a quarter each"
    assert split["activations"] == alone["activations"]
    monkeypatch.setattr(count_memory, "table", lambda: "| made |\n")
    monkeypatch.setattr(count_memory, "PAGE", tmp_path / "page.md")
    count_memory.PAGE.write_text(f"a\n{count_memory.BEGIN}old\n{count_memory.END}\nb\n")
    assert count_memory.main(["--write"]) == 0
    expected = f"a\n{count_memory.BEGIN}| made |\n{count_memory.END}\nb\n"
    assert count_memory.PAGE.read_text() == expected
