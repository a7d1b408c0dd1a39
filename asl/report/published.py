"""Published results of the benchmarks, each with its protocol and source, for comparison."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

CAPPED = "500,000 best pairs over all queries"
NEAREST = "10 nearest of every query"
UNSTATED = "not stated"


@dataclass(frozen=True)
class PublishedRow:
    """One published result, in percent as printed there.

    Attributes:
        method: name, network and postprocessing.
        uap: micro average precision.
        recall_at_p90: recall at 90 % precision; None where not given.
        recall_at_1: recall of the first reference; None where not given.
        protocol: length of the evaluated lists; µAP of the two usual ones differs by .5 to 1.9.
        source: where it is printed.
    """

    method: str
    uap: float
    recall_at_p90: float | None
    recall_at_1: float | None
    protocol: str
    source: str


_POSTER = "CopyNCE poster, ICCV 2025"
_TABLE_1 = "CopyNCE, table 1"
_ROSETTA = "Rosetta documentation, July 2026"
_BOARD = "official leaderboard, ISC 2021"

ROWS: dict[str, list[PublishedRow]] = {
    "ndec": [
        PublishedRow(
            "CopyNCE, descriptor + matcher, ViT-B/16 + ViT-S/16",
            72.5,
            36.8,
            None,
            UNSTATED,
            _POSTER,
        ),
        PublishedRow("Strong ASL, several backbones", 64.1, None, None, CAPPED, _POSTER),
        PublishedRow("D2LV + ASL, several backbones", 61.3, None, None, CAPPED, _POSTER),
        PublishedRow("SSCD, re-run by Rosetta", 44.2, None, 76.2, UNSTATED, _ROSETTA),
        PublishedRow(
            "Rosetta, DINOv2-S/14, 256 dimensions, 224 px", 39.1, None, 94.4, UNSTATED, _ROSETTA
        ),
    ],
    "disc21_dev2": [
        PublishedRow(
            "ViT4ICD, ViT-B 224, score normalisation (tuned on dev I)",
            78.6,
            73.6,
            None,
            UNSTATED,
            "its README",
        ),
        PublishedRow(
            "CopyNCE, ViT-S 224, score normalisation", 72.6, 68.4, None, NEAREST, _TABLE_1
        ),
        PublishedRow(
            "SSCD disc_mixup, ResNet-50, score normalisation", 72.5, 63.1, None, NEAREST, _TABLE_1
        ),
        PublishedRow("SSCD disc_mixup, ResNet-50", 61.5, 38.3, None, NEAREST, _TABLE_1),
    ],
    "disc21_final": [
        PublishedRow("lyakaap (ISC21 descriptor track 1st)", 63.5, 55.4, None, CAPPED, _BOARD),
        PublishedRow("S-square", 59.1, 50.9, None, CAPPED, _BOARD),
        PublishedRow("VisionForce (BoT)", 57.9, 48.9, None, CAPPED, _BOARD),
    ],
}


def published_table(benchmark: str) -> Table | None:
    """Make the table of a benchmark's published results; None if it has none.

    Re-runs of the public SSCD weights land within 0.2 µAP of the printed value, which is the
    tolerance to expect of a correct protocol.
    """
    if benchmark not in ROWS:
        return None
    table = Table(
        "published",
        "µAP",
        "R@P90",
        "R@1",
        "protocol",
        "source",
        title="For comparison (percent)",
        title_justify="left",
    )
    for row in ROWS[benchmark]:
        numbers = (row.uap, row.recall_at_p90, row.recall_at_1)
        cells = ["–" if value is None else f"{value:.1f}" for value in numbers]
        table.add_row(row.method, *cells, row.protocol, row.source)
    return table
