"""Names that a key takes, for shells; that they are accepted is in test_completion.py."""

from __future__ import annotations

import pytest

from asl.app.reviewing.keep_rules import RULES
from asl.console.offered_values import offered_values
from asl.console.schema_groups import keys_of
from asl.console.train_words import schema_keys
from asl.console.verbs import VERBS
from asl.data.training_sources import ROLES


@pytest.mark.parametrize("verb", VERBS)
def test_the_default_of_a_key_is_among_its_names(verb: str) -> None:
    keys = schema_keys() if verb == "train" else keys_of(VERBS[verb].schema)
    for name, key in keys.items():
        values = offered_values(verb, name)
        assert not values or key.is_list or key.default in (None, *values)
        assert not (values and key.choices), "the schema has them"


def test_keys_of_paths_have_no_names() -> None:
    assert offered_values("scan", "output") == ()
    assert offered_values("train", "data.root") == ()


def test_names_are_those_of_the_rooms_that_take_them() -> None:
    assert offered_values("review", "rule") == RULES
    assert offered_values("train", "data.hard_pairs_as") == ROLES
