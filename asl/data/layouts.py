"""Open benchmarks in their published layouts: our own folders, NDEC, DISC21, Copydays.

``data/README.md`` shows the files of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asl.counts import counted
from asl.data.catalog import Catalog, FileCatalog, open_catalog, subset
from asl.data.hard_pair_lists import HardPair, read_hard_pairs
from asl.data.truth import read_truth
from asl.storage import no_folder, read_json
from asl.types import AslError, TruthPairs, UsageError, as_ids

MAX_BROKEN_PAIRS = 0.1  # share of pair folders that may be broken


@dataclass(frozen=True, eq=False)
class Benchmark:
    """An opened benchmark.

    Attributes:
        name: for people.
        references: images that queries may be copies of.
        queries: images that are searched for.
        truth: true (query, reference) pairs, and the kinds of the queries.
        train: training images, also the background of score normalisation; None without any.
        hard_pairs: training images that look alike and are not copies.
        pair_images: ids of training images that only come with a pair.
        broken_pairs: folder of a pair that is no pair -> reason.
    """

    name: str
    references: Catalog
    queries: Catalog
    truth: TruthPairs
    train: Catalog | None = None
    hard_pairs: tuple[HardPair, ...] = ()
    pair_images: frozenset[str] = frozenset()
    broken_pairs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role, ids, catalog in (
            ("reference", self.truth.reference_ids, self.references),
            ("query", self.truth.queries, self.queries),
        ):
            missing = np.setdiff1d(ids, catalog.ids)
            if len(missing):
                raise AslError(
                    f"{self.name}: {counted(len(missing), f'{role} id')} of the truth without an "
                    f"image, e.g. {str(missing[0])!r}; ids are file names without folder and suffix"
                )


def open_benchmark(path: str | Path, *, layout: str = "auto") -> Benchmark:
    """Open a benchmark.

    Args:
        path: its folder.
        layout: ``folder`` (references/, queries/, truth.csv), ``ndec``, ``disc21_dev1``,
            ``disc21_dev2``, ``disc21_final``, ``disc21`` (the only part that is present),
            ``copydays``, or ``auto`` to guess by the folders.

    Raises:
        UsageError: no such folder or layout.
        AslError: something that the layout needs is missing (it is named), several parts of DISC21
            are present and none is chosen, or the truth names unknown images.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UsageError(f"{no_folder(folder)}; give the folder of a benchmark")
    openers: dict[str, Callable[[Path], Benchmark]] = {
        "folder": _open_folder,
        "ndec": _open_ndec,
        "disc21": _open_only_disc,
        "disc21_dev1": lambda root: _open_disc(root, "dev1"),
        "disc21_dev2": lambda root: _open_disc(root, "dev2"),
        "disc21_final": lambda root: _open_disc(root, "final"),
        "copydays": _open_copydays,
    }
    chosen = guess_layout(folder) if layout == "auto" else layout
    if chosen not in openers:
        raise UsageError(f"layout: expected {', '.join(openers)} or auto, got {layout!r}")
    return openers[chosen](folder)


def guess_layout(folder: Path) -> str:
    """Return the layout whose own folders are present.

    Raises:
        AslError: none of them.
    """
    if (folder / "query_images_h5").is_dir():
        return "ndec"
    if (folder / "original").is_dir() and (folder / "strong").is_dir():
        return "copydays"
    if (folder / "truth.csv").is_file():
        return "folder"
    if (folder / "references").is_dir() and list(folder.glob("*ground_truth*.csv")):
        return "disc21"
    raise AslError(
        f"{folder}: not a benchmark; expected references/, queries/ and truth.csv, "
        "or a published layout (data/README.md)"
    )


def _images(folder: Path, *parts: str) -> Catalog:
    path = folder.joinpath(*parts)
    if not path.is_dir():
        raise AslError(
            f"{folder}: has no folder {'/'.join(parts)}; data/README.md shows the layout"
        )
    return open_catalog(path, id_style="stem")


def _optional(folder: Path, name: str) -> Catalog | None:
    return open_catalog(folder / name, id_style="stem") if (folder / name).is_dir() else None


def _open_folder(folder: Path) -> Benchmark:
    pairs = folder / "hard_pairs.csv"
    truth = _complete(read_truth(_file(folder, "truth.csv")), _images(folder, "queries"))
    return Benchmark(
        name=folder.name,
        references=_images(folder, "references"),
        queries=_images(folder, "queries"),
        truth=truth,
        train=_optional(folder, "train"),
        hard_pairs=tuple(read_hard_pairs(pairs)) if pairs.is_file() else (),
    )


def _file(folder: Path, *names: str) -> Path:
    for name in names:
        matches = sorted(folder.glob(name))
        if matches:
            return matches[0]
    raise AslError(f"{folder}: has no {' or '.join(names)}; data/README.md shows the layout")


def _complete(truth: TruthPairs, queries: Catalog) -> TruthPairs:
    """Add the queries of the folder that a published truth leaves out: those without a match."""
    return TruthPairs(
        truth.query_ids, truth.reference_ids, np.union1d(truth.queries, queries.ids), truth.kinds
    )


def _open_ndec(folder: Path) -> Benchmark:
    queries = _images(folder, "query_images_h5")
    truth = _complete(read_truth(_file(folder, "public_ground_truth_h5.csv")), queries)
    train = _ndec_training(folder)
    # Ids from Q50000 on are hard negatives, those below are DISC21's development queries.
    matched = set(truth.query_ids.tolist())
    kinds = {
        query: "copy"
        if query in matched
        else "hard:ndec"
        if _number(query) >= 50_000
        else "distractor"
        for query in truth.queries.tolist()
    }
    truth = TruthPairs(truth.query_ids, truth.reference_ids, truth.queries, kinds)
    return Benchmark(
        "ndec",
        _images(folder, "references"),
        queries,
        truth,
        train.images,
        tuple(train.pairs),
        frozenset(train.pair_images),
        train.broken,
    )


@dataclass
class _NdecTraining:
    images: Catalog | None = None
    pairs: list[HardPair] = field(default_factory=list)
    pair_images: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


def _ndec_training(folder: Path) -> _NdecTraining:
    """Open training images and hard-negative pairs.

    An image of a pair that is not one of DISC21's gets the id ``FOLDER/NAME``. Folders that hold
    no pair are left out, up to a share of them.

    Raises:
        AslError: more than a tenth of the pair folders are broken.
    """
    train = _optional(folder, "train")
    ids = train.ids.tolist() if train else []
    paths = [train.locate(row) for row in range(len(train))] if train else []
    known = set(ids)
    result = _NdecTraining()
    root = folder / "negative_pair"
    folders = sorted(root.glob("*/")) if root.is_dir() else []
    for pair in folders:
        files = _pair_files(pair)
        if len(files) != 2:
            result.broken[str(pair)] = f"a pair is two images, found {len(files)}"
            continue
        members = []
        for file in files:
            is_disc = file.stem[:1] == "T" and file.stem[1:].isdigit()
            own = file.stem if is_disc else f"{pair.name}/{file.stem}"
            if own not in known:
                known.add(own)
                ids.append(own)
                paths.append(str(file))
                result.pair_images.append(own)
            members.append(own)
        result.pairs.append(HardPair(members[0], members[1]))
    if len(result.broken) > MAX_BROKEN_PAIRS * len(folders):
        first, reason = next(iter(result.broken.items()))
        raise AslError(
            f"{root}: {len(result.broken)} of {len(folders)} pair folders are broken, e.g. "
            f"{first}: {reason}; complete or delete them (up to {MAX_BROKEN_PAIRS:.0%} is left out)"
        )
    if ids:
        result.images = FileCatalog(as_ids(ids, name="train"), tuple(paths))
    return result


def _pair_files(pair: Path) -> list[Path]:
    return sorted(
        file for file in pair.iterdir() if file.is_file() and not file.name.startswith(".")
    )


# Part -> ids of its queries, folders that may hold them, files that may hold its truth (the first
# one with a pair of the part counts).
_DISC_PARTS = {
    "dev1": (range(25_000), ("queries", "dev_queries"), ("public_ground_truth.csv", "*dev*1*.csv")),
    "dev2": (
        range(25_000, 50_000),
        ("queries", "dev_queries"),
        ("*dev*2*.csv", "*phase2*dev*.csv"),
    ),
    "final": (range(50_000, 100_000), ("final_queries", "queries"), ("*final*ground_truth*.csv",)),
}


def _open_disc(folder: Path, part: str) -> Benchmark:
    """Open one part of DISC21; parts share folders and files and differ by their query numbers.

    Raises:
        AslError: no query or no true pair of this part is present.
    """
    queries = _disc_queries(folder, part)
    truth = _disc_truth(folder, part)
    if queries is None or truth is None:
        ids, folders, files = _DISC_PARTS[part]
        needed = (
            f"query in {' or '.join(folders)}/"
            if queries is None
            else f"true pair in {', '.join(files)}"
        )
        raise AslError(
            f"{folder}: has no {needed} with an id of Q{ids.start:05d} to Q{ids.stop - 1:05d}, "
            f"which layout disc21_{part} needs; data/README.md shows the layout"
        )
    references, train = _images(folder, "references"), _optional(folder, "train")
    return Benchmark(f"disc21_{part}", references, queries, _complete(truth, queries), train)


def _open_only_disc(folder: Path) -> Benchmark:
    """Open the part with queries and truth, where there is only one."""
    present = [
        part for part in _DISC_PARTS if _disc_queries(folder, part) and _disc_truth(folder, part)
    ]
    if len(present) == 1:
        return _open_disc(folder, present[0])
    holds = (
        f"queries and truth of {' and '.join(present)}"
        if present
        else "no part of DISC21 with queries and truth"
    )
    raise AslError(
        f"{folder}: holds {holds}; name the layout: disc21_dev1 (Q00000 to Q24999), disc21_dev2 "
        "(Q25000 to Q49999) or disc21_final (from Q50000)"
    )


def _disc_queries(folder: Path, part: str) -> Catalog | None:
    ids, folders, _ = _DISC_PARTS[part]
    for name in folders:
        images = _optional(folder, name)
        rows = (
            [row for row, query in enumerate(images.ids.tolist()) if _number(query) in ids]
            if images
            else []
        )
        if images and rows:
            return images if len(rows) == len(images) else subset(images, rows)
    return None


def _disc_truth(folder: Path, part: str) -> TruthPairs | None:
    ids, _, patterns = _DISC_PARTS[part]
    for file in [
        path
        for pattern in (*patterns, "*ground_truth*.csv")
        for path in sorted(folder.glob(pattern))
    ]:
        whole = read_truth(file)
        rows = [row for row, query in enumerate(whole.query_ids.tolist()) if _number(query) in ids]
        if rows:
            own = [query for query in whole.queries.tolist() if _number(query) in ids]
            kinds = {query: whole.kinds[query] for query in own if query in whole.kinds}
            return TruthPairs(
                whole.query_ids[rows], whole.reference_ids[rows], as_ids(own, name="queries"), kinds
            )
    return None


def _number(query: str) -> int:
    return int(query[1:]) if query[:1] == "Q" and query[1:].isdigit() else -1


def _open_copydays(folder: Path) -> Benchmark:
    """Open Copydays: the images of all blocks are queries.

    A query is a copy of the original of its name, of ``strong`` the ones with its first four
    letters.
    """
    originals = _images(folder, "original")
    known = set(originals.ids.tolist())
    by_number: dict[str, list[str]] = {}
    for name in originals.ids.tolist():
        by_number.setdefault(name[:4], []).append(name)
    ids: list[str] = []
    paths: list[str] = []
    pairs: list[tuple[str, str]] = []
    kinds: dict[str, str] = {}
    blocks = ["strong", *_series(folder, "jpegqual"), *_series(folder, "crops")]
    for block in blocks:
        block_images = _images(folder, *block.split("/"))
        for row, name in enumerate(block_images.ids.tolist()):
            own = f"{block}/{name}"
            ids.append(own)
            paths.append(block_images.locate(row))
            kinds[own] = block
            exact = [name] if name in known else []
            matches = by_number.get(name[:4], []) if block == "strong" else exact
            pairs += [(own, match) for match in matches]
    references = originals
    if (folder / "distractors").is_dir():
        extra = open_catalog(folder / "distractors", id_style="path")
        names = [f"distractors/{name}" for name in extra.ids.tolist()]
        located = [extra.locate(row) for row in range(len(extra))]
        own_paths = [originals.locate(row) for row in range(len(originals))]
        references = FileCatalog(
            as_ids(originals.ids.tolist() + names, name="references"), tuple(own_paths + located)
        )
    queries = FileCatalog(as_ids(ids, name="queries"), tuple(paths))
    truth = TruthPairs.from_pairs(pairs, other_queries=ids, kinds=kinds)
    return Benchmark("copydays", references, queries, truth, _optional(folder, "train"))


def _series(folder: Path, name: str) -> list[str]:
    if not (folder / name).is_dir():
        return []
    inner = [part.name for part in (folder / name).iterdir() if part.is_dir()]
    return [f"{name}/{part}" for part in sorted(inner, key=lambda text: (len(text), text))]


def read_partners(folder: str | Path) -> dict[str, str]:
    """Read query -> its look-alike reference, for hard negatives of benchmarks built here."""
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        return {}
    queries = read_json(path, remedy="build the benchmark again").get("queries", [])
    return {entry["id"]: entry["partner"] for entry in queries if "partner" in entry}
