"""Stores and HDF5 descriptors open as the roles of a search; what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.data.isc_hdf5 import write_descriptors, write_submission
from asl.features.feature_store import FeatureStore
from asl.pipeline.descriptors import open_descriptors
from asl.types import AslError, Embeddings, UsageError


def some(prefix: str, seed: int) -> Embeddings:
    features = np.random.default_rng(seed).normal(size=(6, 8))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(6)], features)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for prefix, seed, model in (("Q", 0, "one"), ("R", 1, "one"), ("X", 2, "other")):
        embeddings = some(prefix, seed)
        write_descriptors(embeddings, tmp_path / f"{prefix}.h5")
        store = FeatureStore.create(tmp_path / prefix, model=model, dim=8, preprocessing={})
        store.add(embeddings.ids.tolist(), embeddings.vectors, [])
    write_descriptors(some("T", 3), tmp_path / "T.h5")
    write_submission(
        some("Q", 0).as_queries(), some("R", 1).as_references(), tmp_path / "both.hdf5"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("queries", "references", "model"),
    [("Q.h5", "R.h5", ""), ("Q", "R", "one"), ("Q", "R.h5", "one"), ("both.hdf5", None, "")],
)
def test_every_form_gives_the_same_roles(
    files: Path, queries: str, references: str | None, model: str
) -> None:
    inputs = open_descriptors(
        str(files / queries),
        str(files / references) if references else None,
        str(files / "T.h5"),
    )
    for role, expected in (("queries", some("Q", 0)), ("references", some("R", 1))):
        opened = getattr(inputs, role)
        assert opened.ids.tolist() == expected.ids.tolist()
        np.testing.assert_allclose(opened.vectors, expected.vectors, atol=1e-6)
    assert inputs.background is not None
    assert inputs.background.ids.tolist() == some("T", 3).ids.tolist()
    assert inputs.model == model


@pytest.mark.parametrize(
    ("paths", "error", "said"),
    [
        (("Q", "X", None), AslError, "of different models"),
        (("Q", None, None), UsageError, "references: needed beside queries="),
        (("Q.h5", "gone.h5", None), UsageError, r"references: there is no .*gone\.h5"),
        (("Q.h5", "R.h5", "gone"), UsageError, r"background: there is no .*gone"),
        (
            ("Q.h5", "R.h5", "Q.h5"),
            AslError,
            "background: 6 of its 6 images are among the queries, too",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    files: Path, paths: tuple[str | None, ...], error: type[Exception], said: str
) -> None:
    queries, references, background = (
        str(files / path) if path is not None else None for path in paths
    )
    with pytest.raises(error, match=said):
        open_descriptors(str(queries), references, background)
