"""Check that a verified search reads the images that its embeddings are of."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from asl.data.catalog import Catalog
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
            f"{key}: none of the {len(ids)} embedded images is among these images, {example} "
            f"(they are named like {str(images.ids[0])!r}); give the images that were extracted, "
            "with the same id_style="
        )
    # Brackets in a name are no markup.
    Console(stderr=True).print(
        f"{key}: {len(missing)} of {len(ids)} embedded images are not among these images, "
        f"{example}; they are not verified",
        style="yellow",
        markup=False,
        soft_wrap=True,
    )
