"""requirements.lock pins what constraints.txt pins, above every floor, with hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = ("serve", "milvus", "photos")
# Package -> first version without the advisories that are known to us.
SAFE = {
    "torch": "2.8",
    "pillow": "12.2",
    "lightning": "2.6.6",
    "hydra-core": "1.3.8",
    "onnx": "1.21",
    "starlette": "0.49.1",
    "h11": "0.16",
    "python-multipart": "0.0.22",
    "jinja2": "3.1.6",
    "opencv-python-headless": "4.12",
    "pyarrow": "23.0.1",
}


def pins(text: str) -> dict[str, tuple[str, str]]:
    """Package -> version and the lines after it."""
    entries = re.findall(r"^([\w.-]+)==([^\s;\\]+)([^\n]*(?:\n[ ]+--hash[^\n]*)*)", text, re.M)
    return {canonicalize_name(name): (version, rest) for name, version, rest in entries}


@pytest.fixture(scope="module")
def lock() -> dict[str, tuple[str, str]]:
    return pins((ROOT / "requirements.lock").read_text())


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for name in LOCKED for line in extras[name])]
    return [Requirement(line) for line in lines]


def test_every_requirement_is_locked_above_its_floor(lock: dict[str, tuple[str, str]]) -> None:
    for requirement in requirements():
        version, _ = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_every_entry_has_hashes(lock: dict[str, tuple[str, str]]) -> None:
    assert len(lock) > 60
    for name, (_, rest) in lock.items():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", rest), name


def test_the_lock_and_the_constraints_agree(lock: dict[str, tuple[str, str]]) -> None:
    constraints = pins((ROOT / "constraints.txt").read_text())
    both = lock.keys() & constraints.keys()
    assert len(both) > 60
    assert [name for name in both if lock[name][0] != constraints[name][0]] == []


def test_floors_are_above_known_advisories() -> None:
    floors = {
        canonicalize_name(requirement.name): [
            Version(one.version) for one in requirement.specifier if one.operator == ">="
        ]
        for requirement in requirements()
    }
    for name, first in SAFE.items():
        assert floors[name][0] >= Version(first), name
