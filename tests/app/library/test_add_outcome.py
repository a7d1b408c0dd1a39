from __future__ import annotations

from asl.app.library.add_outcome import AddOutcome
from asl.app.library.records import IngestResult, Source


def result(name: str, digest: str, failure: str = "", label: str = "") -> IngestResult:
    return IngestResult(Source(name, b"", label), digest, failure)


def test_new_same_and_replaced_contents_are_told_apart() -> None:
    searched = {"same": "1", "other": "2"}
    outcome = AddOutcome()
    outcome.waiting += [result("same", "1"), result("other", "3"), result("new", "4")]
    outcome.fail(result("broken", "", "no image", label="b.jpg"), "5")
    outcome.fail(result("unknown", "", "empty"), "")
    assert outcome.take(lambda name: searched.get(name, "")) == ["other", "new"]
    assert outcome.take(lambda name: searched.get(name, "")) == [], "taken once"
    outcome.waiting.append(result("last", "6"))
    assert outcome.take(lambda _: "") == ["last"]
    assert outcome.changed == ["other", "new", "last"]
    assert (outcome.same, outcome.replaced) == (["same"], ["other"])
    assert outcome.failures == [("b.jpg", "no image"), ("unknown", "empty")]
    assert outcome.old_digests == ["5", "2"]
