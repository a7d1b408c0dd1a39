"""Check that a verified search reads the images that its embeddings are of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from asl.console.plain_console import PlainConsole
from asl.counts import counted
from asl.data.catalog import Catalog
from asl.features.fingerprints import Outdated
from asl.types import AslError, StrArray


def check_images(key: str, ids: StrArray, images: Catalog) -> None:
    """Compare the ids of embeddings with those of the images; print how many have no image.

    Args:
        key: of the configuration that named the images.
        ids: ``[N]`` ids of embeddings.
        images: to read their pixels from.

    Raises:
        AslError: none of the embeddings has an image.
    """
    missing = ids[~np.isin(ids, images.ids)]
    if not len(missing):
        return
    example = f"e.g. {str(missing[0])!r}"
    if len(missing) == len(ids):
        raise AslError(
            f"{key}: none of the {counted(len(ids), 'embedded image')} is among these images, "
            f"{example} "
            f"(they are named like {str(images.ids[0])!r}); give the images that were extracted, "
            "with the same id_style="
        )
    PlainConsole(stderr=True).warn(
        f"{key}: {len(missing):,} of {counted(len(ids), 'embedded image')} "
        f"{'is' if len(missing) == 1 else 'are'} not among these images, {example}: not verified"
    )


def warn_changed(
    key: str, ids: StrArray, images: Catalog, stamps: Mapping[str, str | None]
) -> None:
    """Print how many images have changed since they were embedded.

    Args:
        key: of the configuration that named the images.
        ids: ``[N]`` ids of the images to compare.
        images: as they are now.
        stamps: id -> stamp of the image that was embedded (:mod:`asl.features.fingerprints`).
    """
    rows = {name: row for row, name in enumerate(images.ids.tolist())}
    outdated = Outdated(images)
    changed = [
        name
        for name in ids.tolist()
        if name in rows and (stamp := stamps.get(name)) and outdated.has_changed(rows[name], stamp)
    ]
    if changed:
        PlainConsole(stderr=True).warn(
            f"{key}: {len(changed)} of {counted(len(ids), 'image')} changed since they were "
            "embedded, "
            f"e.g. {changed[0]!r}; they are verified as they are now, but found by their old "
            "features: extract them again"
        )
