from __future__ import annotations

import pytest

from asl.console.configuration import check_targets, config_dir, explain_unknown_key
from asl.types import AslError


def test_the_configuration_is_found() -> None:
    assert (config_dir() / "train.yaml").is_file()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Could not override 'optim.lrr'.\nKey 'lrr' is not in struct",
            "unknown key 'optim.lrr'; did you mean optim.lr?",
        ),
        (
            "Key 'lr' not in 'TrainConfig'\n    full_key: lr\n",
            "unknown key 'lr'; did you mean optim.lr?",
        ),
        ("Key 'zzz' not in 'X'\n    full_key: zzz\n", "unknown key 'zzz'; --help lists the keys"),
    ],
)
def test_an_unknown_key_is_told_what_is_near(message: str, expected: str) -> None:
    assert explain_unknown_key(message, ["seed", "optim", "optim.lr", "output"]) == expected


def test_other_errors_are_left_alone() -> None:
    assert explain_unknown_key("Value 'x' could not be converted to Integer", ["seed"]) is None


def test_foreign_targets_are_refused_however_deep() -> None:
    check_targets(
        {"loss": {"_target_": "asl.losses.CosFace"}, "optim": [{"_target_": "torch.optim.AdamW"}]}
    )
    with pytest.raises(AslError, match=r"loss\.parts\.0\._target_.*os\.system"):
        check_targets({"loss": {"parts": [{"_target_": "os.system"}]}})
