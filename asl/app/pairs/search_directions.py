"""Name the direction of the verified pairs of a search by the rule of scans and detectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.picture_parts import open_picture
from asl.app.pairs.origin import find_origin
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import both_directions
from asl.app.pairs.same_content import same_content
from asl.console.progress import progress_bar
from asl.data.catalog import Catalog
from asl.data.images import MAX_PIXELS
from asl.matching import Verdict, Verifier
from asl.matching.align.prepare import Prepared
from asl.parallel import usable_cores
from asl.types import F32, AslError, ScoredPairs

LEAST_PROBABILITY = 0.5  # of one direction, from which a pair is a match
_Content = tuple[str, Facts]  # SHA-256 of the encoded bytes, empty where unreadable; facts


@dataclass(frozen=True)
class SearchDirections:
    """Verify pairs in both directions and name the original; picklable."""

    def inspect(
        self, forward: Verdict, query: Prepared, reference: Prepared, verifier: Verifier
    ) -> PairVerdict:
        """Complete the verdict on query -> reference by the other direction.

        Args:
            forward: verdict on query -> reference.
            query: prepared image.
            reference: prepared image.
            verifier: that gave ``forward``.
        """
        return both_directions(forward, query, reference, verifier)

    def name(
        self,
        inspected: Mapping[int, PairVerdict],
        pairs: ScoredPairs,
        images: tuple[Catalog, Catalog],
        log_norms: tuple[F32, F32],
    ) -> dict[int, str]:
        """Name the directions; the files of matching pairs are read for what they say.

        Args:
            inspected: row of ``pairs`` -> its verdict.
            pairs: P pairs.
            images: of the queries, and of the references.
            log_norms: float32 ``[P]`` ln |f| of the query and of the reference of every pair.

        Returns:
            Row -> ``reference->query``, ``query->reference``, ``unclear``, or ``none`` where
            neither is a copy of the other.
        """
        rows = [
            row for row, verdict in inspected.items() if verdict.probability >= LEAST_PROBABILITY
        ]
        chosen = np.array(rows, dtype=np.int64)
        queries = _contents(images[0], pairs.query_ids[chosen].tolist())
        references = _contents(images[1], pairs.reference_ids[chosen].tolist())
        named = dict.fromkeys(inspected, "none")
        for row, query, reference in zip(rows, queries, references, strict=True):
            known = query[0] and reference[0]  # two unreadable files are not the same file
            same = same_content(query, reference) if known else None
            origin = find_origin(
                same or inspected[row],
                query[1],
                reference[1],
                first_log_norm=float(log_norms[0][row]),
                second_log_norm=float(log_norms[1][row]),
            )
            named[row] = origin.between("query", "reference")
        return named


def _contents(catalog: Catalog, ids: list[str]) -> list[_Content]:
    """Read the content of images, each once, with a progress bar."""
    rows = {name: row for row, name in enumerate(catalog.ids.tolist())}
    names = list(dict.fromkeys(ids))
    found: dict[str, _Content] = {}
    with (
        progress_bar("reading files", unit="images") as progress,
        ThreadPoolExecutor(usable_cores(), thread_name_prefix="facts") as threads,
    ):
        contents = threads.map(lambda name: _content(catalog, rows[name]), names)
        for name, content in zip(names, contents, strict=True):
            found[name] = content
            progress(len(found), len(names))
    return [found[name] for name in ids]


def _content(catalog: Catalog, row: int) -> _Content:
    """Read the content of an image; one that went away since its comparison has no facts."""
    try:
        data = catalog.read(row)
        facts, _ = open_picture(data, MAX_PIXELS)
    except (AslError, OSError):
        return "", Facts(0, 0, 0)
    return hashlib.sha256(data).hexdigest(), facts
