from __future__ import annotations

from asl.console.configuration import config_dir


def test_the_configuration_is_found() -> None:
    assert (config_dir() / "train.yaml").is_file()
