"""Show or empty the cache of what was computed from your pictures.

Examples:
  asl cache                              where it is, how many pictures, how large
  asl cache --empty                      delete what is in it
  asl cache --json                       for scripts
  ASL_CACHE=off asl scan PHOTOS          without it
  ASL_CACHE=/data/asl asl scan PHOTOS    in another folder
  ASL_CACHE_GB=20 asl scan PHOTOS        with another limit; 4 by default

Scans, detectors and the service keep thumbnails, embeddings, local features and verdicts of your
image files there, by content, model and settings: a scan into a new folder, or of a drive that was
away, embeds nothing again. What was sent to the service, bytes and arrays are not kept. Entries
that nobody used for half a year are deleted, and beyond the limit those that were not used for the
longest time.

Exit code: 0 done, 1 the cache is damaged, 2 wrong use.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class CacheConfig:
    """Options of ``asl cache``.

    Attributes:
        empty: delete all entries.
        json: print one JSON object instead of text.
    """

    empty: bool = False
    json: bool = False
