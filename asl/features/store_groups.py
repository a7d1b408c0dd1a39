"""Operations on several stores: a store and its regions, and the inputs of one search."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from asl.counts import counted
from asl.features.feature_store import FeatureStore
from asl.features.writer_lock import one_writer
from asl.model_names import how_to_use, model_text
from asl.types import AslError


def verify_all(output: str | Path) -> None:
    """Compare every shard of a store and of its regions with its checksum.

    Raises:
        AslError: one differs (it is named).
    """
    for path in _stores(Path(output)):
        FeatureStore.open(path).verify()


def verify_below(folder: str | Path) -> None:
    """Compare every shard of all stores in a folder and its sub-folders with its checksum.

    Raises:
        AslError: one differs (it is named).
    """
    for manifest in sorted(Path(folder).rglob("manifest.json")):
        if FeatureStore.is_store(manifest.parent):
            FeatureStore.open(manifest.parent).verify()


def gone_images(output: str | Path, present: Collection[str], *, share: float) -> list[str]:
    """List the images of a store that no longer exist, sorted; none where there is no store.

    Args:
        output: folder of the store.
        present: ids of the images that exist.
        share: largest share of the images of the store that may be gone.

    Raises:
        AslError: more of them are gone.
    """
    if not FeatureStore.is_store(output):
        return []
    known = FeatureStore.open(output).stamps().keys()
    gone = sorted(known - set(present))
    if len(gone) > share * len(known):
        raise AslError(
            f"prune: {len(gone)} of {counted(len(known), 'image')} of {output} are not among the "
            "images, e.g. "
            f"{gone[0]!r}; prune={share:g} allows for a share of {share:g}. Are images= and "
            "id_style= the right ones?"
        )
    return gone


def forget_gone(output: str | Path, present: Collection[str], *, share: float) -> int:
    """Mark the images that no longer exist as deleted, in a store and its regions.

    The whole images come last, so that a killed run can be repeated.

    Args:
        output: folder of the store.
        present: ids of the images that exist.
        share: largest share of the images of the store that may be gone.

    Returns:
        Number of images marked.

    Raises:
        AslError: as :func:`gone_images`, or no embedded image would remain.
    """
    paths = _stores(Path(output))
    with one_writer(paths):
        gone = set(gone_images(output, present, share=share))
        if gone and not set(FeatureStore.open(output).ids.tolist()) - gone:
            raise AslError(
                f"prune: nothing would be left in {output}; delete it, and the index that was made "
                "of it"
            )
        for path in paths:
            store = FeatureStore.open(path)
            store.forget(sorted(gone & store.stamps().keys()))
    return len(gone)


def _stores(output: Path) -> list[Path]:
    return [
        path
        for path in (*sorted((output / "regions").glob("*")), output)
        if FeatureStore.is_store(path)
    ]


def check_models(models: Mapping[str, str], *, embedded: Collection[str] = ()) -> None:
    """Refuse a search between features of different models.

    Args:
        models: key of an input -> hash of its model; empty where unknown.
        embedded: keys of the inputs that are images, which model= embeds.

    Raises:
        AslError: two differ (keys and models are named).
    """
    known = {key: model for key, model in models.items() if model}
    if len(set(known.values())) > 1:
        listed = ", ".join(f"{key}: {model_text(model)}" for key, model in known.items())
        stored = {model for key, model in known.items() if key not in embedded}
        remedy = "extract all of them with one model="
        if len(stored) == 1:
            remedy = f"{how_to_use(stored.pop())}, or {remedy}"
        raise AslError(f"{', '.join(known)}: features of different models ({listed}); {remedy}")
