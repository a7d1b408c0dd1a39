from __future__ import annotations

from pathlib import Path

import pytest

from asl.console import configuration
from asl.console.configuration import config_dir, flatten_keys, flatten_values
from asl.types import AslError


def test_the_configuration_is_found() -> None:
    assert (config_dir() / "train.yaml").is_file()


def test_keys_and_values_are_dotted() -> None:
    tree = {"a": {"b": {"c": 1}, "d": []}, "e": None, 7: {}}
    assert flatten_keys(tree) == ["a", "a.b", "a.b.c", "a.d", "e", "7"]
    assert flatten_values(tree) == {"a.b.c": 1, "a.d": [], "e": None}
    assert flatten_values(3) == {"": 3}


def test_a_broken_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "asl" / "console" / "configuration.py"
    monkeypatch.setattr(configuration, "__file__", str(inside))
    with pytest.raises(AslError, match=r"no configuration: .*install the package again"):
        config_dir()
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "train.yaml").touch()
    assert config_dir() == tmp_path / "conf"
    (tmp_path / "asl" / "conf").mkdir(parents=True)
    (tmp_path / "asl" / "conf" / "train.yaml").touch()
    assert config_dir() == tmp_path / "asl" / "conf", "a wheel's own is taken first"
