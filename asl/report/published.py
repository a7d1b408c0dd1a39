"""Published rows of the benchmarks, each with its source, to stand beside what was measured here."""

from __future__ import annotations

from rich.table import Table

_Row = tuple[str, float, float | None, str]
# (method, µAP, R@P90, source); None: not given there. Numbers in percent as printed.
_NDEC: list[_Row] = [
    ("CopyNCE, descriptor + matcher, ViT-B/16 + ViT-S/16", 72.5, 36.8, "CopyNCE poster, ICCV 2025"),
    ("Strong ASL, several backbones", 64.1, None, "CopyNCE poster, ICCV 2025"),
    ("D2LV + ASL, several backbones", 61.3, None, "CopyNCE poster, ICCV 2025"),
]
_DEV2: list[_Row] = [
    ("ViT4ICD, ViT-B 224, score normalisation (tuned on dev I)", 78.6, 73.6, "its README"),
    ("CopyNCE, ViT-S 224, score normalisation", 72.6, 68.4, "CopyNCE, table 1"),
    ("SSCD disc_mixup, ResNet-50, score normalisation", 72.5, 63.1, "CopyNCE, table 1"),
    ("SSCD disc_mixup, ResNet-50", 61.5, 38.3, "CopyNCE, table 1"),
]
_FINAL: list[_Row] = [
    ("lyakaap (ISC21 descriptor track 1st)", 63.5, 55.4, "official leaderboard"),
    ("S-square", 59.1, 50.9, "official leaderboard"),
    ("VisionForce (BoT)", 57.9, 48.9, "official leaderboard"),
]
ROWS: dict[str, list[_Row]] = {"ndec": _NDEC, "disc21_dev2": _DEV2, "disc21_final": _FINAL}


def published_table(benchmark: str) -> Table | None:
    """The known rows of a benchmark; None where there are none.

    Re-runs of the public SSCD weights land within 0.2 µAP of the printed row, which is the
    tolerance to expect of a correct protocol.
    """
    if benchmark not in ROWS:
        return None
    table = Table(
        "published",
        "µAP",
        "R@P90",
        "source",
        title="For comparison (percent)",
        title_justify="left",
    )
    for method, uap, recall, source in ROWS[benchmark]:
        table.add_row(method, f"{uap:.1f}", "–" if recall is None else f"{recall:.1f}", source)
    return table
