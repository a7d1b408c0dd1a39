"""The feature store: a folder of ``.npy`` shards and a JSON manifest that alone is authoritative.

::

    manifest.json          model hash, dimensions, shards with their counts, checksums and runners
    shard-00000.npy        float32 [n, D] un-normalised features
    shard-00000.json       their n ids, the failures (id, reason) in between, the stamps of both

A shard is listed in the manifest only when both of its files are complete under their final names;
files that are not listed are left from a killed run and are overwritten. Nothing in a store depends
on when or where it was made (except the modification times in its stamps), so a resumed extraction
ends byte-identical to an uninterrupted one. An image that has changed is embedded again into a
later shard, which ``replaces`` earlier entries of it; a ``forgotten`` image is listed by a later
shard without features. Only deleting the store frees their rows on the disk.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asl.counts import counted
from asl.features.shard import StoreShard
from asl.features.store_manifest import REMEDY, check_listing, check_manifest
from asl.model_names import other_model
from asl.storage import (
    ReadError,
    checksum,
    make_folder,
    read_json,
    read_npy,
    write_bytes,
    write_json,
)
from asl.types import F32, AslError, Embeddings, StrArray

FORMAT = "asl-features-1"
_CHECKED_BYTES = 2**26  # of features up to which all are compared with their checksums when read
Failure = tuple[str, str]


class FeatureStore:
    """A store on disk; :meth:`add` and :meth:`forget` write to it."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        """Wrap an opened store; use :meth:`open` or :meth:`create`."""
        self._path = path
        self._manifest = manifest
        self._compared: set[str] = set()

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self._path

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Content of ``manifest.json``: model, dim, preprocessing, shards."""
        return self._manifest

    def __repr__(self) -> str:
        return f"FeatureStore({str(self.path)!r}, model={self.manifest['model']!r})"

    @classmethod
    def open(cls, path: str | Path) -> FeatureStore:
        """Open a store.

        Raises:
            AslError: there is none, or its manifest is damaged or of another format.
        """
        folder = Path(path)
        if not (folder / "manifest.json").exists():
            raise AslError(
                f"{folder}: not a feature store (it has no manifest.json); make one with asl "
                "extract"
            )
        manifest = read_json(folder / "manifest.json", remedy=REMEDY)
        if manifest.get("format") != FORMAT:
            raise AslError(
                f"{folder}: not a feature store of this version: its format is "
                f"{manifest.get('format')!r}, expected {FORMAT!r}; extract again"
            )
        check_manifest(manifest, folder / "manifest.json")
        return cls(folder, manifest)

    @classmethod
    def create(
        cls, path: str | Path, *, model: str, dim: int, preprocessing: Mapping[str, Any]
    ) -> FeatureStore:
        """Create an empty store, or open the existing one.

        Args:
            path: folder.
            model: hash of the model.
            dim: D.
            preprocessing: of the model, JSON-ready.

        Raises:
            AslError: the folder holds features of another model or preprocessing, or a damaged
                shard.
        """
        folder = Path(path)
        if (folder / "manifest.json").is_file():
            store = cls.open(folder)
            expected = {"model": model, "dim": dim, "preprocessing": dict(preprocessing)}
            for name, value in expected.items():
                stored = store.manifest[name]
                if name == "model" and stored != model:
                    text = other_model(stored, model, otherwise="choose another output")
                    raise AslError(f"{folder}: {text}")
                if stored != json.loads(json.dumps(value)):
                    raise AslError(
                        f"{folder}: holds features of another {name} ({stored}, now "
                        f"{value}); choose another output or delete it"
                    )
            for shard in store.manifest["shards"]:  # better now than after hours of embedding
                store._part(shard)
            return store
        make_folder(folder)
        start = {
            "format": FORMAT,
            "model": model,
            "dim": dim,
            "preprocessing": dict(preprocessing),
            "shards": [],
        }
        store = cls(folder, json.loads(json.dumps(start)))
        store._write_manifest()
        return store

    @staticmethod
    def is_store(path: str | Path) -> bool:
        """Return whether a folder is a feature store."""
        return (Path(path) / "manifest.json").is_file() and bool(
            list(Path(path).glob("shard-*.npy")) or _empty(path)
        )

    def add(
        self,
        ids: Sequence[str],
        features: F32,
        failures: Sequence[Failure],
        *,
        stamps: Sequence[str] = (),
        replaces: bool = False,
        runner: str = "",
    ) -> None:
        """Append a shard. The caller must hold the store's write lock.

        Args:
            ids: n of them.
            features: float32 ``[n, D]``, not normalised.
            failures: (id, reason) of images that could not be embedded.
            stamps: of the ids, then of the failures (:mod:`asl.features.fingerprints`); empty where
                unknown.
            replaces: some of these images are in earlier shards, whose entries no longer count.
            runner: name of what computed the features (:class:`asl.features.runner.Runner`).

        Raises:
            AslError: features of another shape.
            WriteError: the shard cannot be written.
        """
        array = np.ascontiguousarray(features, dtype=np.float32)
        if array.shape != (len(ids), self.manifest["dim"]):
            raise AslError(
                f"shard: expected shape ({len(ids)}, {self.manifest['dim']}), got {array.shape}"
            )
        facts: dict[str, Any] = {
            "ids": list(ids),
            "failures": [list(failure) for failure in failures],
        }
        facts |= {"stamps": [*stamps]} if stamps else {}
        self._append(array, facts, replaces=replaces, runner=runner)

    def forget(self, ids: Sequence[str]) -> None:
        """Mark images as deleted. The caller must hold the store's write lock.

        Raises:
            AslError: one is not in the store (it is named).
        """
        missing = set(ids) - self.stamps().keys()
        if missing:
            raise AslError(
                f"{self.path}: {counted(len(missing), 'id is', 'ids are')} not in this store, "
                f"e.g. {min(missing)!r}"
            )
        if ids:
            facts = {"ids": [], "failures": [], "forgotten": list(ids)}
            self._append(
                np.empty((0, self.manifest["dim"]), dtype=np.float32), facts, replaces=True
            )

    def _append(
        self, features: F32, facts: Mapping[str, Any], *, replaces: bool, runner: str = ""
    ) -> None:
        name = f"shard-{len(self.manifest['shards']):05d}"
        buffer = io.BytesIO()
        np.save(buffer, features)
        listing = json.dumps(facts, ensure_ascii=False).encode()
        for suffix, data in ((".npy", buffer.getvalue()), (".json", listing)):
            write_bytes(self.path / f"{name}{suffix}", data)
        digest = hashlib.sha256(buffer.getvalue() + listing).hexdigest()
        entry: dict[str, Any] = {
            "name": name,
            "images": len(facts["ids"]),
            "failures": len(facts["failures"]),
            "sha256": digest,
            "listing": hashlib.sha256(listing).hexdigest(),
        }
        entry |= {"runner": runner} if runner else {}
        self.append_entry(entry | ({"replaces": True} if replaces else {}))

    def append_entry(self, entry: dict[str, Any]) -> None:
        """List a shard whose files are complete under their final names."""
        self._manifest["shards"].append(entry)
        self._write_manifest()

    def _write_manifest(self) -> None:
        write_json(self.path / "manifest.json", self.manifest)

    def _listings(self) -> list[dict[str, Any]]:
        listings = []
        for shard in self.manifest["shards"]:
            path = self.path / f"{shard['name']}.json"
            listings.append(read_json(path, remedy=REMEDY, sha256=shard.get("listing")))
            check_listing(listings[-1], shard, path)
        return listings

    @property
    def _replaced(self) -> bool:
        return any(shard.get("replaces") for shard in self.manifest["shards"])

    def _current(self) -> list[dict[str, Any]]:
        """Return the listings without replaced entries; ``rows`` are those of the remaining ids."""
        listings = self._listings()
        if not self._replaced:
            return listings
        last = {name: place for place, listing in enumerate(listings) for name in _names(listing)}
        for place, listing in enumerate(listings):
            listing["rows"] = [
                row for row, name in enumerate(listing["ids"]) if last[name] == place
            ]
            listing["ids"] = [listing["ids"][row] for row in listing["rows"]]
            listing["failures"] = [
                failure for failure in listing["failures"] if last[failure[0]] == place
            ]
        return listings

    @property
    def ids(self) -> StrArray:
        """``[N]`` ids of the embedded images, in order."""
        names = [name for listing in self._current() for name in listing["ids"]]
        return np.array(names, dtype=np.str_) if names else np.empty(0, dtype="<U1")

    @property
    def failures(self) -> list[Failure]:
        """(id, reason) of every image that could not be embedded."""
        return [
            (name, reason) for listing in self._current() for name, reason in listing["failures"]
        ]

    def stamps(self) -> dict[str, str | None]:
        """Map the id of every image, embedded or failed, to its stamp; None where unknown."""
        known: dict[str, str | None] = {}
        for listing in self._listings():
            names = [*listing["ids"], *(name for name, _ in listing["failures"])]
            known.update(zip(names, listing.get("stamps") or [None] * len(names), strict=True))
            for name in listing.get("forgotten", ()):
                del known[name]
        return known

    def forgotten(self) -> set[str]:
        """Return the ids of images that are marked as deleted."""
        return {
            name for listing in self._listings() for name in _names(listing)
        } - self.stamps().keys()

    def __len__(self) -> int:
        return (
            len(self.ids)
            if self._replaced
            else sum(shard["images"] for shard in self.manifest["shards"])
        )

    def features(self) -> F32:
        """Return float32 ``[N, D]`` un-normalised features.

        One shard is memory-mapped, several are joined in memory.

        Raises:
            ReadError: a shard is missing, damaged, or not what the manifest says.
        """
        shards = self.manifest["shards"]
        if len(shards) == 1 and not self._replaced:
            return self._part(shards[0])
        whole = np.empty((len(self), self.manifest["dim"]), dtype=np.float32)
        done = 0
        current = (
            [listing["rows"] for listing in self._current()]
            if self._replaced
            else [slice(None)] * len(shards)
        )
        # One map at a time: each is an open file.
        for shard, rows in zip(shards, current, strict=True):
            part = self._part(shard)[rows]
            whole[done : done + len(part)] = part
            done += len(part)
        return whole

    def _part(self, shard: Mapping[str, Any]) -> F32:
        """Map the features of a shard; those of a small store are compared with their checksum."""
        file = self.path / f"{shard['name']}.npy"
        shape = (shard["images"], self.manifest["dim"])
        part = read_npy(file, remedy=REMEDY, dtype=np.float32, shape=shape, mapped=True)
        rows = sum(entry["images"] for entry in self.manifest["shards"])
        if 4 * self.manifest["dim"] * rows <= _CHECKED_BYTES:
            self._compare(shard)
        return part

    def pieces(self) -> Iterator[StoreShard]:
        """Yield the images one shard at a time; features stay on the disk until they are read.

        Raises:
            AslError: as :meth:`features`, or a feature that is 0.
        """
        for shard, listing in zip(self.manifest["shards"], self._current(), strict=True):
            rows = np.array(listing.get("rows", range(shard["images"])), dtype=np.int64)
            if len(rows):
                yield StoreShard.of(
                    np.array(listing["ids"], dtype=np.str_), partial(self._part, shard), rows
                )

    def embeddings(self, ids: Sequence[str] | StrArray | None = None) -> Embeddings:
        """Return unit vectors and log-norms.

        Args:
            ids: of the images to return, in this order; None: all.

        Raises:
            AslError: an id that is not in the store (it is named), or a feature that is 0.
        """
        whole = Embeddings.from_features(self.ids, self.features())
        if ids is None or np.array_equal(ids, whole.ids):
            return whole
        row = {name: index for index, name in enumerate(whole.ids.tolist())}
        missing = [name for name in ids if name not in row]
        if missing:
            raise AslError(
                f"{self.path}: {counted(len(missing), 'id is', 'ids are')} not in this store, "
                f"e.g. {missing[0]!r}; extract them first"
            )
        return whole.take([row[name] for name in ids])

    def verify(self) -> None:
        """Compare every shard with its checksum; reads all of them.

        Raises:
            AslError: one differs (it is named).
        """
        self._compared.clear()
        for shard in self.manifest["shards"]:
            self._compare(shard)

    def _compare(self, shard: Mapping[str, Any]) -> None:
        """Compare a shard with its checksum, once."""
        name = shard["name"]
        if name in self._compared:
            return
        files = [self.path / f"{name}{suffix}" for suffix in (".npy", ".json")]
        if checksum(*files, remedy=REMEDY) != shard["sha256"]:
            raise ReadError(f"{self.path}: {name} is not what was written; {REMEDY}")
        self._compared.add(name)


def _names(listing: Mapping[str, Any]) -> list[str]:
    return [
        *listing["ids"],
        *(name for name, _ in listing["failures"]),
        *listing.get("forgotten", ()),
    ]


def _empty(path: str | Path) -> bool:
    try:
        return bool(read_json(Path(path) / "manifest.json", remedy=REMEDY).get("format") == FORMAT)
    except ReadError:
        return False
