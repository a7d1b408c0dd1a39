from __future__ import annotations

from asl.app.families.edge_kinds import KINDS, edge_kinds


def test_every_edit_has_a_kind() -> None:
    edits = (
        "cropped to 80 %",
        "mirrored",
        "turned by 12°",
        "3 % covered (text, sticker, logo)",
        "made grey",
        "made smaller (to 50 %)",
        "saved as PNG",
    )
    assert edge_kinds(edits) == (
        "cropped",
        "mirrored",
        "turned",
        "recoloured",
        "smaller",
        "re-saved",
        "covered",
    )
    assert edge_kinds(("something new",)) == ("re-saved",)
    assert edge_kinds(()) == ()
    assert edge_kinds(("inverted", "tones or colours changed")) == ("recoloured",), "named once"
    assert set(KINDS) >= {"re-saved", "smaller", "cropped", "covered", "captioned", "recoloured"}
    assert set(KINDS) >= {"pasted into", "mirrored", "screenshot"}
