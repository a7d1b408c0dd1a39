"""A background holds no queries and no references; images are there where they are compared."""

from __future__ import annotations

import numpy as np
import pytest

from asl.pipeline.inputs import SearchInput, check_background
from asl.types import AslError, Embeddings, UsageError


def some(prefix: str, seed: int, count: int = 8) -> Embeddings:
    rng = np.random.default_rng(seed)
    return Embeddings.from_features(
        [f"{prefix}{n}" for n in range(count)], rng.normal(size=(count, 16))
    )


def inputs(background: Embeddings) -> SearchInput:
    return SearchInput(
        some("q", 0).as_queries(), some("r", 1).as_references(), background.as_background()
    )


@pytest.mark.parametrize(("prefix", "seed", "role"), [("q", 0, "queries"), ("r", 1, "references")])
def test_a_background_with_images_of_another_role_is_refused(
    prefix: str, seed: int, role: str
) -> None:
    shared, other = some(prefix, seed), some("t", 2)
    mixed = Embeddings(
        np.concatenate([other.ids, shared.ids[2:5]]),
        np.concatenate([other.vectors, shared.vectors[2:5]]),
        np.concatenate([other.log_norms, shared.log_norms[2:5]]),
    )
    with pytest.raises(
        AslError, match=f"3 of its 11 images are among the {role}, too, e.g. '{prefix}2'"
    ):
        check_background(inputs(mixed))


@pytest.mark.parametrize(("prefix", "seed", "role"), [("q", 0, "queries"), ("r", 1, "references")])
def test_searched_images_under_other_ids_are_no_background(
    prefix: str, seed: int, role: str
) -> None:
    shared, other = some(prefix, seed), some("t", 2)
    renamed = Embeddings(
        np.concatenate([other.ids, np.array(["other/name"])]),
        np.concatenate([other.vectors, shared.vectors[2:3]]),
        np.concatenate([other.log_norms, shared.log_norms[2:3]]),
    )
    said = f"1 of 9 of its images equal {role} under other ids, e.g. 'other/name' and '{prefix}2'"
    with pytest.raises(AslError, match=said):
        check_background(inputs(renamed))


def test_a_plain_image_in_a_large_background_is_no_overlap() -> None:
    plain, others = some("r", 1), some("t", 2, count=150)
    mixed = Embeddings(
        np.concatenate([others.ids, np.array(["black"])]),
        np.concatenate([others.vectors, plain.vectors[:1]]),
        np.concatenate([others.log_norms, plain.log_norms[:1]]),
    )
    check_background(inputs(mixed))


def test_equal_names_of_other_images_are_no_overlap() -> None:
    """Two folders may both have an IMG_0001.jpg."""
    check_background(inputs(some("r", 5)))
    check_background(inputs(some("t", 5)))
    check_background(SearchInput(some("q", 0).as_queries(), some("r", 1).as_references()))


def test_features_without_images_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="query_images= and reference_images="):
        inputs(some("t", 5)).images()
