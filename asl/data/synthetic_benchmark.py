"""Build a benchmark in the shape of NDEC from photographs.

It has edited copies, distractors and every kind of hard negative.

::

    references/  R000000.jpg ...   originals of the copies, then distractors, in random order
    queries/     Q00000.jpg ...    copies, distractors and hard negatives, in random order
    truth.csv                      query_id,reference_id,kind (empty reference: no match)
    train/, hard_pairs.csv         training images and look-alikes among them, where they were given
    manifest.json                  what was made from what, with hashes and licences

The role of each photograph depends on the seed alone. No edit of a query is one of a training
recipe (see :mod:`asl.edits.benchmark_kinds`), and foreign images of overlays are never references.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from asl.counts import counted
from asl.data.catalog import Catalog
from asl.data.images import ImageError, Pixels, decode_image, encode_image
from asl.data.truth import write_truth
from asl.edits import Edit, View
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import view_rng
from asl.edits.geometric import Crop
from asl.storage import atomic_folder, write_json
from asl.types import AslError, Progress, TruthPairs

FORMAT = "asl-benchmark-1"


@dataclass(frozen=True)
class BenchmarkPlan:
    """Numbers of queries of each kind.

    Attributes:
        copies: edited copies, the kinds in turn.
        distractor_queries: edited photographs whose originals are not references.
        reverse_crops: whole photographs whose crop is a reference.
        group_negatives: members of groups of look-alikes of which another member is a reference.
        seed: of every choice and edit.
        quality: JPEG quality of the written images.
    """

    copies: int = 600
    distractor_queries: int = 550
    reverse_crops: int = 150
    group_negatives: int = 150
    seed: int = 0
    quality: int = 92


@dataclass(frozen=True, eq=False)
class BenchmarkSources:
    """Source images of a benchmark.

    Attributes:
        photos: unrelated photographs: originals, distractors, reverse crops.
        groups: name of a kind of look-alike (``video``, ``scene`` ...) -> groups of images of the
            same thing.
        crops: two catalogs of the same length: crops made by people, and their originals, row by
            row.
        licences: folder or set -> its licence, for the manifest.
    """

    photos: Catalog
    groups: Mapping[str, Sequence[Catalog]] = field(default_factory=dict)
    crops: tuple[Catalog, Catalog] | None = None
    licences: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Job:
    """One image to write: its source and its edit."""

    catalog: Catalog
    row: int
    kind: str = ""
    edit: Edit | None = None
    partner: _Job | None = None  # reference that a query copies, or that it looks like
    match: bool = False
    origin: str = "photos"  # name of the source; ids are unique within one source only


def build_benchmark(
    output: str | Path,
    sources: BenchmarkSources,
    *,
    kinds: Mapping[str, Edit],
    plan: BenchmarkPlan,
    progress: Progress | None = None,
) -> Path:
    """Write a benchmark folder; it appears under its name when it is complete.

    Args:
        output: the folder; must not exist.
        sources: photographs, groups, crops.
        kinds: kind of query -> its edit, e.g. :func:`asl.edits.benchmark_kinds.benchmark_kinds`.
        plan: numbers of queries.
        progress: called with (images written, images to write).

    Raises:
        AslError: the folder exists, or there are not enough photographs for the plan.
    """
    output = Path(output)
    if output.exists():
        raise AslError(f"{output}: exists already; delete it or choose another output")
    with atomic_folder(output) as folder:
        write_benchmark(folder, sources, kinds=kinds, plan=plan, progress=progress)
    return output


def write_benchmark(
    folder: Path,
    sources: BenchmarkSources,
    *,
    kinds: Mapping[str, Edit],
    plan: BenchmarkPlan,
    progress: Progress | None = None,
) -> None:
    """Write a benchmark into an empty folder; arguments and errors as :func:`build_benchmark`."""
    rng = np.random.default_rng([plan.seed, 7])
    references, queries, pool = _choose(sources, kinds, plan, rng)
    total = len(references) + len(queries)
    written = 0

    def count() -> None:
        nonlocal written
        written += 1
        if progress:
            progress(written, total)

    reference_ids = _write(references, folder / "references", "R", 6, plan, pool, rng, count)
    query_ids = _write(queries, folder / "queries", "Q", 5, plan, pool, rng, count)
    truth = _truth(queries, query_ids, reference_ids)
    write_truth(truth, folder / "truth.csv")
    manifest = _manifest(sources, plan, references, queries, reference_ids, query_ids, folder)
    write_json(folder / "manifest.json", manifest)


def _choose(
    sources: BenchmarkSources,
    kinds: Mapping[str, Edit],
    plan: BenchmarkPlan,
    rng: np.random.Generator,
) -> tuple[list[_Job], list[_Job], Pool]:
    photos = rng.permutation(len(sources.photos))
    needed = plan.copies + plan.distractor_queries + plan.reverse_crops
    if len(photos) < needed + 1 or plan.copies < 1 or plan.distractor_queries < 1:
        raise AslError(
            f"benchmark: the plan takes {counted(needed, 'photograph')} (copies and distractors "
            f"at least 1), there are {len(photos)}"
        )
    bounds = np.cumsum([plan.copies, plan.distractor_queries, plan.reverse_crops])
    originals, outside, reversed_, rest = (part.tolist() for part in np.split(photos, bounds))
    references = [_Job(sources.photos, row) for row in originals]
    names = list(kinds)
    queries = [
        _Job(
            sources.photos,
            job.row,
            names[number % len(names)],
            kinds[names[number % len(names)]],
            job,
            True,
        )
        for number, job in enumerate(references)
    ]
    for number, row in enumerate(outside):
        queries.append(_Job(sources.photos, row, "distractor", kinds[names[number % len(names)]]))
    for row in reversed_:
        cut = _Job(sources.photos, row, edit=Crop(area=(0.25, 0.7), aspect=(0.6, 1.6)))
        references.append(cut)
        queries.append(_Job(sources.photos, row, "hard:reverse_crop", None, cut))
    references += [_Job(sources.photos, row) for row in rest]
    _add_groups(sources.groups, kinds, plan, rng, references, queries)
    _add_crops(sources.crops, rng, references, queries)
    pool = Pool([_decode(_Job(sources.photos, row)) for row in outside[:40]])
    return references, queries, pool


def _add_groups(
    groups: Mapping[str, Sequence[Catalog]],
    kinds: Mapping[str, Edit],
    plan: BenchmarkPlan,
    rng: np.random.Generator,
    references: list[_Job],
    queries: list[_Job],
) -> None:
    """Add one image of each group as a reference with a true copy, others as hard negatives."""
    every = [
        (kind, group) for kind, members in groups.items() for group in members if len(group) > 1
    ]
    names = list(kinds)
    for number, (kind, group) in enumerate(every):
        rows = rng.permutation(len(group)).tolist()
        origin = f"{kind}/{number}"
        anchor = _Job(group, rows[0], origin=origin)
        references.append(anchor)
        name = names[number % len(names)]
        queries.append(_Job(group, rows[0], name, kinds[name], anchor, True, origin))
        share = -(-plan.group_negatives // len(every))
        queries += [
            _Job(group, row, f"hard:{kind}", None, anchor, origin=origin)
            for row in rows[1 : 1 + share]
        ]


def _add_crops(
    crops: tuple[Catalog, Catalog] | None,
    rng: np.random.Generator,
    references: list[_Job],
    queries: list[_Job],
) -> None:
    """Add crops made by people: two thirds as true copies, one third in the reverse direction."""
    if crops is None:
        return
    small, whole = crops
    if len(small) != len(whole):
        raise AslError(
            f"crops: {counted(len(small), 'crop')} for {counted(len(whole), 'original')}; they "
            "must pair up row by row"
        )
    for place, row in enumerate(rng.permutation(len(small)).tolist()):
        is_copy = place % 3 != 2
        reference = _Job(whole if is_copy else small, row, origin="whole" if is_copy else "crops")
        references.append(reference)
        kind = "real_crop" if is_copy else "hard:real_reverse_crop"
        asked, origin = (small, "crops") if is_copy else (whole, "whole")
        queries.append(_Job(asked, row, kind, None, reference, is_copy, origin))


def _decode(job: _Job) -> Pixels:
    try:
        return decode_image(job.catalog.read(job.row))
    except (ImageError, OSError) as error:
        raise AslError(
            f"benchmark: {job.catalog.locate(job.row)} cannot be read ({error}); remove it"
        ) from error


def _write(
    jobs: list[_Job],
    folder: Path,
    letter: str,
    digits: int,
    plan: BenchmarkPlan,
    pool: Pool,
    rng: np.random.Generator,
    count: Callable[[], None],
) -> dict[int, str]:
    """Write images under neutral names in random order; returns id(job) -> image id."""
    folder.mkdir(parents=True)
    ids = {}
    for number, place in enumerate(rng.permutation(len(jobs)).tolist()):
        job, name = jobs[place], f"{letter}{number:0{digits}d}"
        image = _decode(job)
        if job.edit is not None:
            key = f"{letter}/{job.catalog.ids[job.row]}/{job.kind}"
            image = job.edit(
                View.original(image, foreign=pool), view_rng(key=key, seed=plan.seed, number=0)
            ).image
        try:
            (folder / f"{name}.jpg").write_bytes(encode_image(image, plan.quality))
        except ImageError as error:
            raise AslError(f"benchmark: {name}: {error}") from error
        ids[id(job)] = name
        count()
    return ids


def _truth(
    queries: list[_Job], query_ids: dict[int, str], reference_ids: dict[int, str]
) -> TruthPairs:
    ordered = sorted(queries, key=lambda job: query_ids[id(job)])
    return TruthPairs.from_pairs(
        [(query_ids[id(job)], reference_ids[id(job.partner)]) for job in ordered if job.match],
        other_queries=[query_ids[id(job)] for job in ordered],
        kinds={query_ids[id(job)]: job.kind for job in ordered},
    )


def _manifest(
    sources: BenchmarkSources,
    plan: BenchmarkPlan,
    references: list[_Job],
    queries: list[_Job],
    reference_ids: dict[int, str],
    query_ids: dict[int, str],
    folder: Path,
) -> dict[str, Any]:
    def facts(job: _Job, name: str, role: str) -> dict[str, Any]:
        data = (folder / role / f"{name}.jpg").read_bytes()
        source = f"{job.origin}/{job.catalog.ids[job.row]}"
        entry = {"id": name, "source": source, "sha256": hashlib.sha256(data).hexdigest()}
        if job.kind:
            entry["kind"] = job.kind
        if role == "queries" and job.partner is not None:
            # For a hard negative this is the look-alike reference, not a match.
            entry["partner"] = reference_ids[id(job.partner)]
        return entry

    return {
        "format": FORMAT,
        "plan": asdict(plan),
        "licences": dict(sources.licences),
        "references": sorted(
            (facts(j, reference_ids[id(j)], "references") for j in references),
            key=lambda e: e["id"],
        ),
        "queries": sorted(
            (facts(j, query_ids[id(j)], "queries") for j in queries), key=lambda e: e["id"]
        ),
    }
