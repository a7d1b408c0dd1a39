"""Embed images into a feature store; run again, embed only what is new.

Examples:
  asl extract images=PHOTOS output=store
  asl extract images=shards.tar model=runs/mine output=store workers=8
  asl extract images=list.txt model=lite0 output=store id_style=stem
  asl extract images=PHOTOS output=store regions=fine       regions too: small crops are found
  asl extract images=PHOTOS output=store index=library.index
  asl extract images=PHOTOS output=store prune=0.1          forget deleted images, at most 10 %
  asl extract images=PHOTOS output=store part=3/8           the third of eight array jobs
  asl extract images=PHOTOS output=store merge=8            join the eight finished parts

images is a folder, an image, a .txt or .csv list, an uncompressed .tar or a folder of them, or a
.parquet. Unreadable images are listed in the store with their reason; a run with more than
max_failure_rate of them stops. A run that was killed resumes where it stopped and counts the
failures before. A part is written beside the output; the joined store is byte-identical to one made
on a single machine. An index holds what a search needs, sorted and memory-mapped; asl search takes
it as references=.
"""

from __future__ import annotations

from dataclasses import dataclass

from asl.console.schema_groups import CheckedChoices
from asl.console.schemas.shared_keys import IdStyle, Machine, Regions
from asl.shared_defaults import MAX_FAILURE_RATE, MODEL, SHARD_SIZE


@dataclass(kw_only=True)
class ExtractInputs:
    """Images and store.

    Attributes:
        images: folder, image, list, tar or Parquet table of the images.
        output: folder of the store.
        id_style: ids are paths, or file names without suffix (stem, as in DISC21).
        max_failure_rate: share of unreadable images above which the run stops; fewer than 20 images
            may have as many failures as 20 (2 of them by default), but not all.
        shard_size: images per shard.
        check_files: compare every shard of an existing store with its checksum first.
        prune: forget images that are no longer among the images, in the store and in an index that
            is written from it, up to this share; more are an error (a wrong folder, a missing
            disk). null: forget none.
    """

    images: str
    output: str
    id_style: IdStyle = "path"
    max_failure_rate: float = MAX_FAILURE_RATE
    shard_size: int = SHARD_SIZE
    check_files: bool = False
    prune: float | None = None


@dataclass(kw_only=True)
class ExtractModel:
    """Model.

    Attributes:
        model: asl_lite0, asl_lite1, lite0, or the path of a saved embedder.
        size: side of the images in pixels instead of the model's own.
        regions: regions of every image to embed as well: none, coarse (6) or fine (15).
        fast_decode: decode large JPEGs at a half, a quarter or an eighth of their size: faster,
            features differ a little; use it for queries and references alike.
    """

    model: str = MODEL
    size: int | None = None
    regions: Regions = "none"
    fast_decode: bool = False


@dataclass(kw_only=True)
class ExtractIndex:
    """Index and array jobs.

    Attributes:
        index: folder of an index to write from the finished store, or milvus+ADDRESS for a
            collection there.
        milvus_index: index type of a new collection with its parameters, such as HNSW,M=16 or
            IVF_SQ8; all but FLAT are approximate.
        part: I/N embeds the I-th of N parts only.
        merge: number of finished parts to join; nothing is embedded.
    """

    index: str | None = None
    milvus_index: str = "FLAT"
    part: str | None = None
    merge: int | None = None


@dataclass(kw_only=True)
class ExtractConfig(ExtractInputs, ExtractModel, ExtractIndex, Machine, CheckedChoices):
    """Keys of ``asl extract``."""
