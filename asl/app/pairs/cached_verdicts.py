"""Verdicts in the user's cache, by the two thumbnails that were compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from asl.app.library.cached_parts import pixel_versions
from asl.app.library.content_cache import ContentCache, open_cache
from asl.app.library.image_store import ImageStore
from asl.app.library.thumbnails import ThumbnailFile
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import DigestPair, verifier_id, verify_all
from asl.types import AslError

_VERDICTS_PER_TRANSACTION = 960


def verify_with_cache(
    pairs: Sequence[DigestPair], *, store: Path, workers: int
) -> Iterator[tuple[DigestPair, PairVerdict | str]]:
    """Verify pairs as :func:`verify_all` does; those that the cache has are not compared again.

    Args:
        pairs: (first, second) digests.
        store: SQLite file that holds the thumbnails.
        workers: processes.

    Yields:
        The pair, and its verdict or the reason why it could not be compared, in the order given.
    """
    cache = open_cache() if pairs else None
    if cache is None:
        yield from verify_all(pairs, store=store, workers=workers)
        return
    kind = _kind()
    key_of = _keys(pairs, store)
    known = cache.get(kind, list(key_of.values()))
    left = [pair for pair in pairs if key_of.get(pair) not in known]
    verified = _kept(verify_all(left, store=store, workers=workers), cache, kind, key_of)
    for pair in pairs:
        key = key_of.get(pair)
        if key in known:
            yield pair, PairVerdict.from_json(known[key].decode())
        else:
            yield next(verified)
    cache.tidy()


def recall_verdicts(
    pairs: Sequence[DigestPair], *, store: ImageStore, path: Path
) -> set[DigestPair]:
    """Return the pairs that an earlier comparison decided.

    Verdicts that only the user's cache has are copied to the store.

    Args:
        pairs: (first, second) digests.
        store: with verdicts of its own.
        path: its file, which holds the thumbnails.
    """
    known = set(store.verdicts(verifier_id(), pairs))
    left = [pair for pair in pairs if pair not in known]
    cache = open_cache() if left else None
    if cache is None:
        return known
    key_of = _keys(left, path)
    found = cache.get(_kind(), list(key_of.values()))
    recalled = [(pair, found[key].decode()) for pair, key in key_of.items() if key in found]
    store.put_verdicts(verifier_id(), [(*pair, text) for pair, text in recalled])
    return known.union(pair for pair, _ in recalled)


def _kind() -> str:
    """Name the verdicts of this verifier on pixels of these packages, in the cache."""
    return f"verdict {verifier_id()} {pixel_versions()}"


def _kept(
    results: Iterator[tuple[DigestPair, PairVerdict | str]],
    cache: ContentCache,
    kind: str,
    key_of: dict[DigestPair, str],
) -> Iterator[tuple[DigestPair, PairVerdict | str]]:
    """Yield results and add the verdicts to the cache, also where the reader stops."""
    unsaved: list[tuple[str, bytes]] = []
    try:
        for pair, result in results:
            if isinstance(result, PairVerdict) and pair in key_of:
                unsaved.append((key_of[pair], result.to_json().encode()))
            if len(unsaved) >= _VERDICTS_PER_TRANSACTION:
                cache.put(kind, unsaved)
                unsaved = []
            yield pair, result
    finally:
        cache.put(kind, unsaved)


def _keys(pairs: Sequence[DigestPair], store: Path) -> dict[DigestPair, str]:
    """Return pair -> key by its thumbnails; pairs that lack one are left out."""
    names: dict[str, str] = {}
    with closing(ThumbnailFile(store)) as thumbnails:
        for digest in dict.fromkeys(digest for pair in pairs for digest in pair):
            try:
                names[digest] = hashlib.sha256(thumbnails(digest)).hexdigest()
            except AslError:  # its comparison will name the reason
                continue
    return {
        pair: f"{names[pair[0]]} {names[pair[1]]}"
        for pair in pairs
        if pair[0] in names and pair[1] in names
    }
