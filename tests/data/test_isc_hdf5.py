"""The challenge's HDF5 files, made here exactly as its tools make them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from asl.data.isc_hdf5 import (
    is_descriptors,
    read_descriptors,
    read_submission,
    write_descriptors,
    write_submission,
)
from asl.types import AslError, Embeddings, QueryEmbeddings, ReferenceEmbeddings


def some(count: int, prefix: str, seed: int = 0) -> Embeddings:
    features = (
        np.random.default_rng(seed).normal(size=(count, 8)) * np.linspace(1, 3, count)[:, None]
    )
    return Embeddings.from_features([f"{prefix}{n:05d}" for n in range(count)], features)


def test_descriptors_keep_direction_and_length(tmp_path: Path) -> None:
    before = some(5, "Q")
    write_descriptors(before, tmp_path / "d.hdf5")
    after = read_descriptors(tmp_path / "d.hdf5")
    assert after.ids.tolist() == before.ids.tolist()
    assert after.vectors == pytest.approx(before.vectors, abs=1e-6)
    assert after.log_norms == pytest.approx(before.log_norms, abs=1e-6)


def test_ids_lose_folders_and_suffixes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.hdf5", "w") as file:
        file["vectors"] = np.eye(3, dtype=np.float32)
        file["image_names"] = np.array(
            ["images/queries/Q00001.jpg", "Q00002.PNG", "a.b"], dtype="S"
        )
    assert read_descriptors(tmp_path / "d.hdf5").ids.tolist() == ["Q00001", "Q00002", "a.b"]


def test_submission_is_sorted_by_id(tmp_path: Path) -> None:
    queries = some(4, "Q").take([2, 0, 3, 1]).as_queries()
    write_submission(queries, some(3, "R", 1).as_references(), tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["query_ids"][:].tolist() == [b"Q00000", b"Q00001", b"Q00002", b"Q00003"]
        assert file["query"].dtype == np.float32
    back, references = read_submission(tmp_path / "s.h5")
    assert isinstance(back, QueryEmbeddings)
    assert isinstance(references, ReferenceEmbeddings)
    row = {name: n for n, name in enumerate(queries.ids.tolist())}
    assert back.vectors == pytest.approx(
        queries.vectors[[row[name] for name in back.ids.tolist()]], abs=1e-6
    )


def test_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["vectors"] = np.eye(2)
    with pytest.raises(AslError, match="lacks image_names; it holds vectors"):
        read_descriptors(tmp_path / "x.h5")
    with pytest.raises(AslError, match="lacks query, reference"):
        read_submission(tmp_path / "x.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(AslError, match="HDF5"):
        read_descriptors(tmp_path / "text.h5")
    with h5py.File(tmp_path / "zero.h5", "w") as file:
        file["vectors"] = np.zeros((1, 2))
        file["image_names"] = np.array(["Q1"], dtype="S")
    with pytest.raises(AslError, match="norm 0"):
        read_descriptors(tmp_path / "zero.h5")


def test_ids_may_be_a_column_and_other_shapes_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["vectors"] = np.eye(2, dtype=np.float32)
        file["image_names"] = np.array([["a/Q1.jpeg"], ["b/Q2.JPG"]], dtype="S")
    assert read_descriptors(tmp_path / "x.h5").ids.tolist() == ["Q1", "Q2"]
    ids = np.array(["Q1", "Q2"], dtype="S")
    for vectors, names, said in (
        (np.eye(2), np.array([["a", "b"]], dtype="S"), r"image_names is .* of shape \(1, 2\)"),
        (np.eye(2), np.arange(2), r"image_names is int64 of shape \(2,\); expected text"),
        (np.eye(3), ids, r"vectors is float64 of shape \(3, 3\); expected numbers .*\(2, D\)"),
        (np.ones(2), ids, r"vectors is float64 of shape \(2,\)"),
    ):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["vectors"], file["image_names"] = vectors, names
        with pytest.raises(AslError, match=rf"x\.h5: {said}"):
            read_descriptors(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["vectors/data"], file["image_names"] = np.eye(2), ids
    with pytest.raises(AslError, match="vectors is a group that holds data; write it as one"):
        read_descriptors(tmp_path / "x.h5")


def test_several_files_are_one_set(tmp_path: Path) -> None:
    """The challenge's descriptors come in twenty files; the tenth comes after the ninth."""
    whole = some(11, "R")
    folder = tmp_path / "descriptors"
    for number in range(11):
        write_descriptors(whole.take([number]), folder / f"r_{number}.h5")
    (folder / "README").write_text("x")
    assert is_descriptors(folder)
    assert read_descriptors(folder).ids.tolist() == whole.ids.tolist()
    pair = f"{folder}/r_3.h5+{folder}/r_1.h5"
    assert is_descriptors(pair)
    assert read_descriptors(pair).ids.tolist() == ["R00003", "R00001"]
    assert read_descriptors(pair).vectors == pytest.approx(whole.vectors[[3, 1]], abs=1e-6)
    assert not is_descriptors(tmp_path)
    assert not is_descriptors(tmp_path / "store")
    with pytest.raises(AslError, match=r"no HDF5 file; give .* a folder of \.h5 files"):
        read_descriptors(tmp_path)
    with pytest.raises(AslError, match="R00003"):
        read_descriptors(f"{folder}/r_3.h5+{folder}/r_3.h5")
    with h5py.File(folder / "r_20.h5", "w") as file:
        file["vectors"] = np.eye(3, dtype=np.float32)
        file["image_names"] = np.array(["a", "b", "c"], dtype="S")
    with pytest.raises(AslError, match=r"r_20\.h5: vectors of shape \(3, 3\), those of .*r_0\.h5"):
        read_descriptors(folder)
    with pytest.raises(AslError, match=r"gone\.h5: cannot be read as HDF5"):
        read_descriptors(f"{folder}/r_3.h5+{folder}/gone.h5")


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    write_descriptors(some(3, "Q"), tmp_path / "secret.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["image_names"] = np.array(["a", "b", "c"], dtype="S")
        file["vectors"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "vectors")
    with pytest.raises(AslError, match=r"x\.h5: vectors is a link to another place"):
        read_descriptors(tmp_path / "x.h5")
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["image_names"] = np.array(["a"], dtype="S")
        file["vectors"] = h5py.ExternalLink(str(tmp_path / "gone.h5"), "vectors")
    with pytest.raises(AslError, match=r"y\.h5: "):
        read_descriptors(tmp_path / "y.h5")


def test_mutated_files_give_values_or_an_error_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "d.h5"
    write_descriptors(some(5, "Q"), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole)
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
        path.write_bytes(data)
        message = refusal(path)
        assert not message or "d.h5" in message or "features: row" in message or "Embed" in message


def refusal(path: Path) -> str:
    try:
        read_descriptors(path)
    except AslError as error:
        return str(error)
    return ""
