from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from asl.data.hard_pair_lists import HardPair, read_hard_pairs
from asl.edits.hard_negatives import group_pairs, look_alikes, named_groups, reverse_crop
from asl.features.feature_store import FeatureStore
from asl.types import AslError, Embeddings

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "mine_look_alikes.py"


def embeddings(count: int, seed: int = 0) -> Embeddings:
    vectors = np.random.default_rng(seed).normal(size=(count, 6))
    return Embeddings.from_features([f"i{number:02d}" for number in range(count)], vectors)


def test_a_reverse_crop_is_the_whole_against_a_part(photo: np.ndarray) -> None:
    query, reference = reverse_crop(photo, key="a", seed=0)
    assert query is photo
    assert 0.2 < reference.content < 0.75
    entry = reference.log[0]
    top, left = round(entry["top"] * 120), round(entry["left"] * 160)
    height, width = reference.size
    assert np.array_equal(reference.image, photo[top : top + height, left : left + width])
    assert np.array_equal(reverse_crop(photo, key="a", seed=0)[1].image, reference.image)
    assert reverse_crop(photo, key="b", seed=0)[1].log != reference.log


def test_look_alikes_are_the_ones_that_a_loop_finds() -> None:
    items = embeddings(40)
    expected = set()
    for i in range(40):
        cosines = sorted(
            ((float(items.vectors[i] @ items.vectors[j]), j) for j in range(40) if j != i),
            reverse=True,
        )
        allowed = [(value, j) for value, j in cosines if value <= 0.85][:3]
        expected |= {
            tuple(sorted((f"i{i:02d}", f"i{j:02d}"))) for value, j in allowed if value >= 0.5
        }
    found = look_alikes(items, neighbours=3, least=0.5, most=0.85, per_image=99)
    assert {(pair.first, pair.second) for pair in found} == expected
    assert [pair.cosine for pair in found] == sorted((pair.cosine for pair in found), reverse=True)


def test_look_alikes_leave_out_copies_and_one_source() -> None:
    vectors = np.array([[1, 0], [1, 0.001], [0.8, 0.6], [0.6, 0.8]])
    items = Embeddings.from_features(["a", "copy_of_a", "c", "d"], vectors)
    pairs = [
        (pair.first, pair.second) for pair in look_alikes(items, least=0.7, most=0.99, per_image=9)
    ]
    assert ("a", "copy_of_a") not in pairs
    assert ("c", "d") in pairs
    sources = {"c": "x", "d": "x"}
    pairs = [
        (pair.first, pair.second)
        for pair in look_alikes(items, least=0.7, most=0.99, per_image=9, sources=sources)
    ]
    assert ("c", "d") not in pairs


def test_an_image_is_used_as_often_as_allowed() -> None:
    pairs = look_alikes(embeddings(60), neighbours=9, least=-1, most=1, per_image=2)
    names = [name for pair in pairs for name in (pair.first, pair.second)]
    assert max(names.count(name) for name in set(names)) == 2


def test_look_alikes_do_not_depend_on_the_order() -> None:
    items = embeddings(50)
    shuffled = items.take(np.random.default_rng(1).permutation(50))
    assert look_alikes(items, least=0.3) == look_alikes(shuffled, least=0.3)


def test_groups_come_from_folders_and_from_names() -> None:
    ids = ["v/a/1.jpg", "v/a/2.jpg", "v/b/1.jpg", "top.jpg"]
    assert named_groups(ids) == {"v/a": ["v/a/1.jpg", "v/a/2.jpg"]}
    burst = ["IMG_1_BURST1.jpg", "IMG_1_BURST2.jpg", "IMG_2_BURST1.jpg", "x.jpg"]
    assert named_groups(burst, by=r"(IMG_\d+)_BURST") == {"IMG_1": burst[:2]}


def test_pairs_of_a_group_are_different_and_unique() -> None:
    groups = {"a": ["1", "2", "3", "4"], "b": ["5", "6"]}
    pairs = group_pairs(groups, np.random.default_rng(0), per_group=4)
    assert len(pairs) == len(set(pairs)) == 5
    assert all(first != second for first, second in pairs)
    assert ("5", "6") in pairs
    assert len(group_pairs(groups, np.random.default_rng(0), per_group=99)) == 7


def test_refusals() -> None:
    with pytest.raises(AslError, match="least, most"):
        look_alikes(embeddings(5), least=0.9, most=0.5)
    with pytest.raises(AslError, match="got 1 image,"):
        look_alikes(embeddings(1))
    with pytest.raises(AslError, match="no regular expression"):
        named_groups(["a"], by="(")
    with pytest.raises(AslError, match="has no group in parentheses"):
        named_groups(["a"], by="a")
    with pytest.raises(AslError, match="no two of 1 image "):
        named_groups(["a/b"])


def test_a_store_becomes_a_list_of_pairs(tmp_path: Path, commands: Path) -> None:
    items = embeddings(40)
    store = FeatureStore.create(tmp_path / "store", model="m", dim=6, preprocessing={})
    store.add(items.ids.tolist(), items.vectors, [])
    output = tmp_path / "pairs.csv"
    command = [commands / "python", SCRIPT, tmp_path / "store", output, "--least", "0.3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = look_alikes(store.embeddings(), least=0.3)
    assert read_hard_pairs(output) == [HardPair(pair.first, pair.second) for pair in found]
    assert done.stdout.startswith(f"{len(found)} pairs in ")
    output.unlink()
    nothing = subprocess.run([*command, "--most", "0.3001"], capture_output=True, text=True)
    assert nothing.returncode == 1
    assert "no pair with a cosine" in nothing.stderr
    assert not output.exists()
