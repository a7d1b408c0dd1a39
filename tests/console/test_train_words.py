"""Words of a training as Hydra reads them."""

from __future__ import annotations

import pytest

from asl.console.key_names import RENAMED
from asl.console.targets import trusted_packages
from asl.console.train_words import TARGET_GROUPS, is_sweep, rewrite, schema_keys
from asl.types import UsageError


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("output=2024_11_30", "output='2024_11_30'"),
        ("output=null", "output=null"),
        ("data.layout=null", "data.layout='null'"),
        ("data.train=a,b", "data.train='a,b'"),
        ("data.train='a b'", "data.train='a b'"),
        ("data.train=it's", r"data.train='it\'s'"),
        ("data.train=${x}", r"data.train='\${x}'"),
        ("data.train=C:\\x\\", r"data.train='C:\x\\'"),
        ("data.train=", "data.train="),
        ("seed=3", "seed=3"),
        ("experiment=asl", "experiment='asl'"),
        ("model.dim=64", "++model.dim=64"),
        ("model.weights=a,b", "++model.weights='a,b'"),
        ("model.weights=null", "++model.weights=null"),
        ("model.backbone=null", "++model.backbone='null'"),
        ("trainer.extra.deterministic=true", "++trainer.extra.deterministic=true"),
        ("trainer=gpu", "trainer=gpu"),
        ("-m", "-m"),
        ("--config-dir=x", "--config-dir=x"),
        ("no-assignment", "no-assignment"),
    ],
)
def test_a_word_is_rewritten_for_hydra_once(word: str, expected: str) -> None:
    assert rewrite([word]) == [expected]
    assert rewrite([expected]) == [expected]


def test_the_value_of_a_flag_is_left_alone() -> None:
    assert rewrite(["--config-dir", "output=x", "output=x"]) == [
        "--config-dir",
        "output=x",
        "output='x'",
    ]


def test_in_a_sweep_commas_separate_texts() -> None:
    assert rewrite(["-m", "data.train=a, b", "data.first_view=choice(a,b)"]) == [
        "-m",
        "data.train='a','b'",
        "data.first_view=choice(a,b)",
    ]
    assert is_sweep(["--multirun", "seed=1,2"])
    assert not is_sweep(["seed=1"])


@pytest.mark.parametrize("prefix", ["", "+", "++", "~"])
@pytest.mark.parametrize("old", RENAMED["train"])
def test_an_old_key_is_named_with_any_prefix(old: str, prefix: str) -> None:
    new = RENAMED["train"][old]
    with pytest.raises(UsageError, match=rf"^{old}: was renamed; use {new}=$"):
        rewrite([f"{prefix}{old}=1"])


def test_trusted_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASL_TRUSTED_PACKAGES", "")
    assert rewrite(["trusted=[json, csv]", "seed=1"]) == ["seed=1"]
    assert trusted_packages() == ("json", "csv")


def test_keys_are_those_of_the_nested_dataclasses() -> None:
    keys = schema_keys()
    assert {"output", "data", "data.train", "trainer.extra", "trainer.freeze"} <= set(keys)
    assert {group for group in TARGET_GROUPS if group in keys} == set(TARGET_GROUPS)
    assert not [name for name in keys if name.startswith("model.")], "of the target's class"


@pytest.mark.parametrize("value", ["5", "1.5", "true", "null", "[1,2]", "2024_11"])
def test_a_preset_that_is_no_name_is_looked_up_as_one(value: str) -> None:
    """Hydra has words of its own for a group that is chosen by a number."""
    groups = ("data", "model", "loss", "optim", "edits", "score", "trainer")
    words = [f"{group}={value}" for group in groups]
    assert rewrite(words) == [f"{group}='{value}'" for group in groups]
    assert rewrite(rewrite(words)) == rewrite(words)


def test_names_of_presets_and_sweeps_over_them_are_left_alone() -> None:
    words = ["loss=cosface_asl", "trainer=mine/gpu", "loss={}"]
    assert rewrite(words) == words
    assert rewrite(["-m", "loss=asl,rdcd"]) == ["-m", "loss=asl,rdcd"]
