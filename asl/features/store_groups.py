"""Several stores together: regions go the way of their whole images, sides of a search are of one model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from asl.features.feature_store import FeatureStore
from asl.features.writer_lock import one_writer
from asl.types import AslError


def verify_all(output: str | Path) -> None:
    """Compare every shard of a store and of its regions with its hash.

    Raises:
        AslError: one differs (it is named).
    """
    for path in _stores(Path(output)):
        FeatureStore.open(path).verify()


def gone_images(output: str | Path, there: Collection[str], *, share: float) -> list[str]:
    """The images of a store that are not there any more, sorted; none where there is no store yet.

    Args:
        output: folder of the store.
        there: ids of the images that are there.
        share: of the images of the store, above which something else must be wrong.

    Raises:
        AslError: more than ``share`` of them are gone, or none would be left.
    """
    if not FeatureStore.is_store(output):
        return []
    known = FeatureStore.open(output).stamps().keys()
    gone = sorted(known - set(there))
    if len(gone) > share * len(known):
        raise AslError(
            f"prune: {len(gone)} of {len(known)} images of {output} are not among the images, e.g. {gone[0]!r}; "
            f"prune={share:g} allows for a share of {share:g}. Are images= and id_style= the right ones?"
        )
    return gone


def forget_gone(output: str | Path, there: Collection[str], *, share: float) -> int:
    """Let a store and its regions forget the images that are not there any more; how many those were.

    Killed at any moment and called again, it goes on: the whole images come last.

    Raises:
        AslError: as :func:`gone_images`, or no image that could be embedded would be left.
    """
    paths = _stores(Path(output))
    with one_writer(paths):
        gone = set(gone_images(output, there, share=share))
        if gone and not set(FeatureStore.open(output).ids.tolist()) - gone:
            raise AslError(
                f"prune: nothing would be left in {output}; delete it, and the index that was made of it"
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


def check_models(models: Mapping[str, str]) -> None:
    """Refuse a search between features of different models.

    Args:
        models: key of a side -> hash of the model that made it; an empty one is not known.

    Raises:
        AslError: two differ (keys and models are named).
    """
    known = {key: model for key, model in models.items() if model}
    if len(set(known.values())) > 1:
        said = ", ".join(f"{key} {model}" for key, model in known.items())
        raise AslError(
            f"{', '.join(known)}: are of different models ({said}); extract all of them with one model="
        )
