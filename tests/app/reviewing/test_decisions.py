from __future__ import annotations

import json
from pathlib import Path

import pytest

from asl.app.reviewing.decisions import Decision, Decisions, read_decisions, write_decisions
from asl.types import AslError


def test_decisions_are_sealed_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "decisions.json"
    assert len(read_decisions(path)) == 0
    decisions = Decisions({"/a": Decision(True, "hand", "d1")})
    decisions.put("/b", Decision(False, "keep-largest", "d2"))
    decisions.put("/c", Decision(False, "hand", "d3"))
    decisions.put("/c", None)
    write_decisions(decisions, path)
    again = read_decisions(path)
    assert {name: again.get(name) for name in again} == {
        "/a": Decision(True, "hand", "d1"),
        "/b": Decision(False, "keep-largest", "d2"),
    }
    assert list(again.of_contents({"/a": "d1", "/b": "other"})) == ["/a"]
    path.write_text(path.read_text().replace("true", "false"))
    with pytest.raises(AslError, match=r"decisions\.json: damaged"):
        read_decisions(path)
    path.write_text(json.dumps({"format": "asl-decisions-1", "files": [{"path": "/a"}]}))
    with pytest.raises(AslError, match=r"decisions\.json: damaged"):
        read_decisions(path)
