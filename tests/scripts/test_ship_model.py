"""The penalty of a shipped model, and what its card keeps of an earlier one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

from asl.pipeline.inputs import SearchInput
from asl.scoring.score import Score
from asl.types import AslError, QueryEmbeddings, ReferenceEmbeddings, TruthPairs

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import ship_model

PENALTIES = [Score("hinge", lam=lam, tau=tau) for lam in (0.0, 0.3) for tau in (0.0, 0.5)]


def made(gap: float, reverse_gap: float, seed: int) -> ship_model.Embedded:
    """Sixty copies, and as many reverse crops that look more alike.

    Args:
        gap: log-norm of a copy above that of its original.
        reverse_gap: the same of a reverse crop and what it is similar to.
        seed: of the vectors.
    """
    rng, count = np.random.default_rng(seed), 60
    originals = rng.normal(0, 1, (2 * count, 24))
    noise = np.repeat([0.9, 0.5], count)[:, None] * rng.normal(0, 1, originals.shape)
    log_norms = np.repeat(np.float32([gap, reverse_gap]), count)

    def unit(rows: np.ndarray) -> np.ndarray:
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    ids = [np.array([f"{letter}{row:03d}" for row in range(2 * count)]) for letter in "QR"]
    features = SearchInput(
        QueryEmbeddings(ids[0], unit(originals + noise), log_norms),
        ReferenceEmbeddings(ids[1], unit(originals), np.zeros(2 * count, np.float32)),
    )
    truth = TruthPairs(
        ids[0][:count],
        ids[1][:count],
        ids[0],
        kinds={
            name: "crop" if row < count else "hard:reverse_crop"
            for row, name in enumerate(ids[0].tolist())
        },
    )
    return ship_model.Embedded(features, truth)


def test_a_penalty_ranks_no_pages_lower_than_cosine(capsys: pytest.CaptureFixture[str]) -> None:
    photographs, pages = made(-1.0, 3.0, 0), made(0.4, -1.0, 1)
    alone = ship_model.choose([photographs], PENALTIES)
    assert (alone.lam, alone.tau) == (0.3, 0.0)
    both = ship_model.choose([photographs, pages], PENALTIES)
    assert (both.lam, both.tau) == (0.3, 0.5), "norms of pages differ by less than that"
    assert photographs.uap(both) > photographs.uap(Score("cosine"))
    assert pages.uap(both) >= pages.uap(Score("cosine")) > pages.uap(alone)
    assert "(other set: " in capsys.readouterr().out
    with pytest.raises(AslError, match=r"^--pages: every penalty"):
        ship_model.choose([photographs, pages], [Score("hinge", lam=0.3, tau=0.0)])


def options(**given: str) -> argparse.Namespace:
    names = ("licence", "start", "data", "calibration_data")
    return argparse.Namespace(model="mine", **{name: given.get(name) for name in names})


def test_a_shipped_model_keeps_what_its_card_says() -> None:
    trained = {"steps": 10, "data": ["folder"]}
    first = ship_model.facts_of(options(data="photos", licence="CC0"), trained)
    assert first == {"licence": "CC0", "start": "", "data": "photos", "calibration_data": ""}
    card = {**first, "training": trained, "calibration": {}, "norm": {"stages": 1}}
    again = ship_model.facts_of(options(calibration_data="others"), card)
    assert again == {**first, "calibration_data": "others"}
    assert ship_model.training_facts(card) == {**trained, "norm": {"stages": 1}}
    with pytest.raises(AslError, match="mine: name its training images"):
        ship_model.facts_of(options(), trained)
