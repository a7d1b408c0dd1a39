"""Keys of a verb are checked without torch, and none is ignored."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from asl.pipeline.key_checks import (
    check_background_size,
    check_background_use,
    check_least,
    refuse_other_constants,
    refuse_unused,
    uses_background,
)
from asl.scoring.normalization import ScoreNormalization
from asl.types import UsageError

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Keys:
    lam: float | None = None
    tau: float | None = None
    normalize: str = "none"
    whiten: int = 0
    negatives: float = 0.0
    background: str | None = None
    files: list[str] = field(default_factory=list)


def test_a_key_that_nothing_reads_is_named_with_its_value() -> None:
    refuse_unused(Keys(), ("lam", "files"), reason="here")
    with pytest.raises(UsageError, match=r"^lam: has no effect here, got lam=0.1; leave it out$"):
        refuse_unused(Keys(lam=0.1), ("tau", "lam"), reason="here")
    with pytest.raises(UsageError, match=r"files=\['a'\]"):
        refuse_unused(Keys(files=["a"]), ("files",), reason="here")


@pytest.mark.parametrize(
    ("mode", "unread"),
    [
        ("cosine", {"lam", "tau"}),
        ("paper", {"lam"}),
        ("strict", {"lam"}),
        ("soft", {"tau"}),
        ("hinge", set()),
        ("all", set()),
    ],
)
def test_each_mode_reads_its_own_constants(mode: str, unread: set[str]) -> None:
    for key in ("lam", "tau"):
        config = Keys(**{key: 0.1})
        if key in unread:
            with pytest.raises(UsageError, match=f"^{key}: has no effect with score {mode}"):
                refuse_other_constants(config, mode)
        else:
            refuse_other_constants(config, mode)


def test_a_background_and_what_needs_it_go_together() -> None:
    assert uses_background(Keys(normalize="subtract", whiten=4)) == ["normalize", "whiten"]
    check_background_use(Keys())
    check_background_use(Keys(background="t", negatives=0.35))
    with pytest.raises(UsageError, match=r"^background: needed for normalize, whiten;"):
        check_background_use(Keys(normalize="subtract", whiten=4))
    with pytest.raises(UsageError, match=r"^background: has no effect without .*, got t;"):
        check_background_use(Keys(background="t"))


def test_sizes_choices_and_least_values() -> None:
    check_background_size(5, 8, whiten=4, rule=ScoreNormalization(1.0, 0, 4))
    for count, dim, whiten in ((5, 8, 5), (50, 8, 9)):
        with pytest.raises(UsageError, match=rf"^whiten: must be at most .*, got {whiten}$"):
            check_background_size(count, dim, whiten=whiten, rule=None)
    with pytest.raises(UsageError, match=r"^sn_last: rank 5 needs 6 background images, got 5"):
        check_background_size(5, 8, whiten=0, rule=ScoreNormalization(1.0, 0, 5))
    check_least(Keys(), {"lam": 0})
    for value in (-0.5, float("nan")):
        with pytest.raises(UsageError, match=r"^lam: must be 0 or more, got"):
            check_least(Keys(lam=value), {"lam": 0})


@pytest.mark.parametrize("verb", ["search", "extract", "evaluate", "reproduce"])
def test_a_verb_is_imported_without_torch(verb: str) -> None:
    code = (
        f"import sys, asl.{verb}; "
        "print(sorted({'torch', 'faiss', 'timm', 'lightning', 'cv2', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
