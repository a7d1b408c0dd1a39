"""The Containerfile names files, options and addresses that exist; no image is built here."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from asl.cli import compose
from asl.console.schemas.serve_config import ServeConfig
from asl.errors import UsageError
from asl.serve import check_exposure, read_token

ROOT = Path(__file__).resolve().parents[1]


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) of every line, continuations joined, comments left out."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]  # type: ignore[misc]


def rest(name: str) -> str:
    (found,) = (text for instruction, text in instructions() if instruction == name)
    return found


def test_every_instruction_is_one() -> None:
    names = [name for name, _ in instructions()]
    assert names[0] == "FROM"
    known = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK"}
    assert set(names) <= known | {"ENTRYPOINT"}


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    copied = [word for name, text in instructions() if name == "COPY" for word in text.split()[:-1]]
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name
    assert len(copied) == sum(line.startswith("!") for line in ignored)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {*project["project"]["license-files"], *("README.md", "asl", "conf")}
    assert needed <= set(copied), "the build of the package reads these"


def test_the_package_installs_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.fullmatch(r"python:(3\.\d+)-slim", rest("FROM"))
    assert version
    least = project["requires-python"].removeprefix(">=")
    assert tuple(map(int, version[1].split("."))) >= tuple(map(int, least.split(".")))
    install = next(text for name, text in instructions() if "pip install" in text)
    extras = re.findall(r"\.\[([\w,-]+)\]", install)[0].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    assert "--constraint constraints.txt" in install


def test_the_service_starts_with_these_options_and_a_token_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program, verb, *words = json.loads(rest("ENTRYPOINT"))
    assert (program, verb) == ("asl", "serve")
    config: ServeConfig = compose(verb, [*words, "--allow-host", "photos.lan"])
    assert str(config.library) == rest("VOLUME")
    assert rest("EXPOSE") == str(config.port)
    monkeypatch.delenv("ASL_TOKEN", raising=False)
    with pytest.raises(UsageError, match="ASL_TOKEN"):
        check_exposure(config.host, read_token(config.token_file))
    monkeypatch.setenv("ASL_TOKEN", "a-long-secret")
    check_exposure(config.host, read_token(config.token_file))


def test_it_does_not_run_as_root_and_its_health_is_asked_for_without_a_token() -> None:
    names = [name for name, _ in instructions()]
    assert rest("USER") not in ("root", "0")
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert f"chown {rest('USER')} {rest('VOLUME')}" in str(instructions())
    command = json.loads(rest("HEALTHCHECK").split("CMD", 1)[1])
    compile(command[2], "healthcheck", "exec")
    address = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", command[2])
    assert address
    assert address[1] == rest("EXPOSE")
    guard = pytest.importorskip("asl.app.service.guard")
    assert address[2] in guard.OPEN_PATHS
