"""Unknown and renamed keys name the key to use."""

from __future__ import annotations

import pytest

from asl.console.key_names import RENAMED, keys_named, nearest, unknown_key
from asl.console.schema_groups import keys_of
from asl.console.train_words import schema_keys
from asl.console.verbs import VERBS
from asl.errors import AslError, UsageError


@pytest.mark.parametrize("verb", sorted(set(RENAMED) - {"train"}))
def test_an_old_key_names_one_that_exists(verb: str) -> None:
    keys = keys_of(VERBS[verb].schema)
    for old, new in RENAMED[verb].items():
        assert old not in keys
        assert new in keys


def test_an_old_key_of_a_training_names_one_that_exists() -> None:
    keys = schema_keys()
    for old, new in RENAMED["train"].items():
        assert old not in keys
        assert new in keys


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (None, "verify_top: was renamed; use candidates="),
        ("verify_top", "verify_top: was renamed; use candidates="),
        ("--verify-top", "--verify-top: was renamed; use --candidates"),
    ],
)
def test_the_new_name_is_spelt_as_the_old_one_was(typed: str | None, message: str) -> None:
    assert str(unknown_key("reproduce", "verify_top", ["candidates"], typed=typed)) == message


@pytest.mark.parametrize(
    ("key", "typed", "message"),
    [
        ("outputt", None, "unknown key 'outputt'; did you mean output?"),
        ("local_candidate", "--local-candidate", "did you mean --local-candidates?"),
        ("qqqq", None, "unknown key 'qqqq'; --help lists the keys"),
    ],
)
def test_a_misspelt_key_names_the_nearest(key: str, typed: str | None, message: str) -> None:
    known = ["output", "local_candidates", "references"]
    assert message in str(unknown_key("search", key, known, typed=typed))


def test_the_nearest_is_looked_for_in_the_same_group_first() -> None:
    known = ["model.dim", "loss.dim", "optim.lr", "optim.lr_warmup", "trainer.max_epochs"]
    assert nearest("model.dimm", known) == ["model.dim"]
    assert nearest("dim", known) == ["model.dim", "loss.dim"]
    assert nearest("trainer.maxepochs", known) == ["trainer.max_epochs"]
    assert nearest("optim.lr", ["optim.lr"]) == [], "a key is not its own neighbour"
    assert nearest("a.b", []) == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("p: expected 0..1, got 3", "edits.p: expected 0..1, got 3"),
        ("p, q: p must be below q: 3", "edits.p, edits.q: p must be below q: 3"),
    ],
)
def test_an_error_that_names_an_argument_names_its_key(message: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught, keys_named({"p": "edits.p", "q": "edits.q"}):
        raise AslError(message)
    assert str(caught.value) == expected


@pytest.mark.parametrize("message", ["photo.jpg: is damaged", "p, r: both", "p"])
def test_an_error_that_names_something_else_stays(message: str) -> None:
    with pytest.raises(AslError, match=f"^{message}$") as caught, keys_named({"p": "edits.p"}):
        raise AslError(message)
    assert not isinstance(caught.value, UsageError)
