from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from asl.app.families.family_trees import Edge, copy_families
from asl.app.families.likeness import measure_likeness
from asl.app.families.parentage import CUES, Relation, cues_of, packaged_model, parent_weights
from asl.app.library.facts import Facts, read_facts
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import PairVerifier
from asl.data.images import decode_image
from tests.app.conftest import Pixels, encode, textured


def relations_of(files: list[bytes]) -> tuple[list[Relation], list[Facts]]:
    pictures = [decode_image(data) for data in files]
    verifier = PairVerifier({str(n): data for n, data in enumerate(files)}.__getitem__)
    relations = []
    for first, second in combinations(range(len(files)), 2):
        verdict = verifier.verify(str(first), str(second))
        likeness = measure_likeness(pictures[first], pictures[second], verdict)
        relations.append(Relation(first, second, verdict, likeness))
    facts = [read_facts(data, image) for data, image in zip(files, pictures, strict=True)]
    return relations, facts


def cut(data: bytes, top: int, left: int, height: int, width: int, quality: int) -> bytes:
    image: Pixels = decode_image(data)[top : top + height, left : left + width]
    return encode(np.ascontiguousarray(image), quality=quality)


def test_a_crop_of_a_crop_stands_under_the_crop() -> None:
    original = encode(textured(11, 240, 300), quality=95)
    crop = cut(original, 10, 20, 220, 260, 85)
    sibling = cut(original, 25, 5, 205, 270, 80)
    grandchild = cut(crop, 12, 8, 195, 235, 75)
    relations, facts = relations_of([original, crop, sibling, grandchild])
    edges = [
        Edge(
            r.first,
            r.second,
            max(r.verdict.forward, r.verdict.backward),
            False,
            round(1000 * forward),
            round(1000 * backward),
        )
        for r, (forward, backward) in zip(relations, parent_weights(relations, facts), strict=True)
    ]
    (family,) = copy_families(edges)
    assert {member.image: member.parent for member in family.members} == {
        0: None,
        1: 0,
        2: 0,
        3: 1,
    }


def test_swapping_a_pair_swaps_its_weights() -> None:
    facts = [Facts(100, 80, 5000), Facts(50, 40, 900), Facts(60, 50, 1200)]
    verdict = PairVerdict(0.2, 0.9, share_first=0.6, share_second=1.0)
    other = Relation(0, 2, verdict, None)
    (one, _), (swapped, _) = (
        parent_weights([relation, other], facts)
        for relation in (Relation(0, 1, verdict, None), Relation(1, 0, verdict.flipped(), None))
    )
    assert one == pytest.approx(swapped[::-1])
    assert one[0] > one[1], "the second is the copy"
    assert parent_weights([], facts) == []


def test_the_cues_have_the_names_of_the_model() -> None:
    facts = [Facts(100, 80, 5000), Facts(50, 40, 0)]
    cues = cues_of([Relation(0, 1, PairVerdict(1.0, 0.0), None)], facts)
    assert cues.shape == (2, len(CUES))
    assert np.isfinite(cues).all()
    assert packaged_model().names == CUES
