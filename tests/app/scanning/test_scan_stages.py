"""The time left of a scan, replayed from the stages of a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.app.scanning import scan_stages
from asl.app.scanning.scan_stages import PRIOR, Stage
from asl.console.schemas.scan_config import ScanConfig
from asl.console.time_left import TimeLeft
from asl.shared_defaults import MODELS

FACTOR = 2.0  # within which the time left is right from a fifth of a scan on
# scripts/bench_scan.py with --compare promising, on 369 pictures (photographs, 84 edited ones, 59
# members of 8 families) and on 10,063 (of which 2,400 are edited): number of pictures -> stage ->
# images or pairs, processor seconds on busy cores.
RECORDED = {
    369: {
        scan_stages.EMBED: (369, 7.6),
        scan_stages.EXTRACT: (369, 16.9),
        scan_stages.VOTE: (369, 16.1),
        scan_stages.TEST: (1702, 14.3),
        scan_stages.COMPARE: (370, 59.1),
        scan_stages.RELATIVES: (0, 2.8),
        scan_stages.PARENTS: (167, 4.2),
    },
    10_063: {
        scan_stages.EMBED: (10_063, 217.7),
        scan_stages.EXTRACT: (10_063, 525.4),
        scan_stages.VOTE: (10_063, 291.6),
        scan_stages.TEST: (8971, 60.5),
        scan_stages.COMPARE: (13_366, 1800.3),
        scan_stages.RELATIVES: (2734, 404.4),
        scan_stages.PARENTS: (2912, 94.9),
    },
}


def stages(monkeypatch: pytest.MonkeyPatch, options: ScanConfig, photos: int) -> list[Stage]:
    monkeypatch.setattr(scan_stages, "usable_cores", lambda: 2)
    return scan_stages.scan_stages(options, photos)


def replay(
    expected: list[Stage], seconds: dict[str, float], counts: dict[str, int]
) -> list[tuple[float, float]]:
    """Return (seconds passed, seconds left as shown) of a scan that takes some seconds a stage."""
    left, now, shown = TimeLeft(expected, 0.0, prior=PRIOR), 0.0, []
    for place, stage in enumerate(expected):
        units = counts.get(stage.label, 0)
        length = seconds.get(stage.label, 0.0)
        left.begin(place, now)
        for step in range(1, 101):
            now += length / 100
            left.update(step / 100, now, units=units)
            text = left.shown(now)
            assert text is not None
            shown.append((now, text))
    return shown


@pytest.mark.parametrize("photos", RECORDED)
@pytest.mark.parametrize("slower", [0.5, 1.0, 6.0])
@pytest.mark.parametrize("known", [None, scan_stages.EMBED])
def test_the_time_left_of_a_real_scan_is_right_within_a_factor(
    photos: int, slower: float, known: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a quick machine, on that of the costs, on a busy one; and with embeddings in the cache."""
    options = ScanConfig(photos=[Path("photos")], compare="promising", model=MODELS[0])
    recorded = RECORDED[photos]
    seconds = {label: slower * cpu / 2 for label, (_, cpu) in recorded.items()}
    counts = {label: units for label, (units, _) in recorded.items()}
    if known:
        seconds[known] *= 0.02
    shown = replay(stages(monkeypatch, options, photos), seconds, counts)
    whole = shown[-1][0]
    for point in (0.2, 0.4, 0.6, 0.8):
        passed, left = next(pair for pair in shown if pair[0] >= point * whole)
        truth = whole - passed
        assert truth / FACTOR <= left <= truth * FACTOR, f"at {point:.0%}"


def test_more_pairs_are_expected_where_all_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(photos: int, **options: object) -> float:
        config = ScanConfig(photos=[Path("photos")], **options)  # type: ignore[arg-type]
        listed = stages(monkeypatch, config, photos)
        return next(stage.cost for stage in listed if stage.label == scan_stages.COMPARE)

    assert cost(2000, compare="all") > 2 * cost(2000)
    assert cost(900) > cost(2000), "all of few pictures are compared"
    assert cost(2000, model="mine.safetensors") == cost(2000, compare="all")
    assert cost(100_000) == pytest.approx(10 * cost(10_000))
