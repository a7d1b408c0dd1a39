"""Open features that were embedded elsewhere or before: stores, and the HDF5 files of ISC 2021."""

from __future__ import annotations

from pathlib import Path

from asl.counts import counted
from asl.data.catalog import Catalog
from asl.data.isc_hdf5 import is_descriptors, read_descriptors, read_submission
from asl.features.feature_store import FeatureStore
from asl.features.store_groups import check_models
from asl.pipeline.inputs import SearchInput, check_background
from asl.storage import absent
from asl.types import AslError, Embeddings, UsageError

_HDF5 = (".hdf5", ".h5")


def open_descriptors(
    queries: str,
    references: str | None,
    background: str | None,
    *,
    query_images: Catalog | None = None,
    reference_images: Catalog | None = None,
) -> SearchInput:
    """Open queries, references and background from feature stores or HDF5 descriptors.

    Args:
        queries: of a store or HDF5 file; an ISC submission holds the references, too.
        references: store, HDF5 file, folder of HDF5 files, or files joined by ``+``; None:
            ``queries`` is a submission.
        background: store or HDF5 file of training images; None: none.
        query_images: images of the queries, for reports.
        reference_images: images of the references, for reports.

    Raises:
        UsageError: a path does not exist, or references are missing.
        AslError: a file cannot be read, stores are of different models, or the background holds
            queries or references.
    """
    if not references and Path(queries).suffix not in _HDF5:
        raise UsageError(
            f"references: needed beside queries={queries}; "
            "only an ISC submission (.h5, .hdf5) holds both"
        )
    paths = {"queries": queries, "references": references, "background": background}
    given = {role: path for role, path in paths.items() if path}
    for role, path in given.items():
        if not Path(path).exists() and not is_descriptors(path):
            raise UsageError(f"{role}: {absent(path)}")
    models = {
        role: FeatureStore.open(path).manifest["model"]
        for role, path in given.items()
        if FeatureStore.is_store(path)
    }
    check_models(models)
    sides = _open_sides(queries, references)
    inputs = SearchInput(
        sides[0].as_queries(),
        sides[1].as_references(),
        _embeddings(background).as_background() if background else None,
        query_images=query_images,
        reference_images=reference_images,
        model=models.get("queries", ""),
    )
    if not len(inputs.queries) or not len(inputs.references):
        raise AslError(
            f"queries, references: nothing to search, "
            f"{counted(len(inputs.queries), 'query', 'queries')} and "
            f"{counted(len(inputs.references), 'reference')}; are these the right files?"
        )
    check_background(inputs)
    return inputs


def _open_sides(queries: str, references: str | None) -> tuple[Embeddings, Embeddings]:
    if references:
        return _embeddings(queries), _embeddings(references)
    return read_submission(queries)


def _embeddings(path: str) -> Embeddings:
    if is_descriptors(path):
        return read_descriptors(path)
    return FeatureStore.open(path).embeddings()
