"""Published rows: each with its protocol and source, in percent."""

from __future__ import annotations

import pytest
from rich.console import Console

from asl.report.published import CAPPED, NEAREST, ROWS, UNSTATED, published_table


@pytest.mark.parametrize("benchmark", sorted(ROWS))
def test_every_row_names_its_protocol_and_source(benchmark: str) -> None:
    for row in ROWS[benchmark]:
        assert row.protocol in (CAPPED, NEAREST, UNSTATED)
        assert row.source
        assert all(1 < value < 100 for value in (row.uap, row.recall_at_p90 or 50))


def test_the_table_shows_what_is_known() -> None:
    table = published_table("ndec")
    assert table is not None
    console = Console(width=200, record=True)
    console.print(table)
    text = console.export_text()
    assert "39.1" in text
    assert "94.4" in text
    assert "44.2" in text
    assert "76.2" in text
    assert "protocol" in text
    assert published_table("copydays") is None
