"""The page of a review in a real browser; skipped, saying so, where there is none."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the page needs `pip install asl-icd[serve]`")
import uvicorn

from asl.app.reviewing.review_routes import create_review_app
from asl.app.reviewing.review_session import ReviewSession
from asl.app.service.guard import ServiceOptions
from tests.app.browser import Browser
from tests.app.reviewing.scan_results import SavedScan

GONE = "[...document.querySelectorAll('.item.goes .name')].map(each => each.textContent).sort()"
STATUS = "document.getElementById('status').textContent"
WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def address(saved: SavedScan) -> Iterator[str]:
    """The page in a thread, with thumbnails made from the files."""
    session = ReviewSession(saved.folder)
    paths = {image.digest: image.paths[0] for image in saved.result.images}

    def thumbnail(digest: str) -> bytes:
        with Image.open(paths[digest]) as image, io.BytesIO() as buffer:
            image.convert("RGB").save(buffer, "JPEG")
            return buffer.getvalue()

    app = create_review_app(session, ServiceOptions(token="open-sesame"), thumbnail=thumbnail)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path) as browser:
        yield browser


def brightness(picture: bytes) -> float:
    return float(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


def press(browser: Browser, *keys: str) -> None:
    codes = {"ArrowRight": 39, "ArrowLeft": 37, "Enter": 13}
    for key in keys:
        before = browser.run("answers")
        browser.key(key, codes.get(key, ord(key[0].upper())))
        if key in ("r", "k", "u", "x", "b", "c"):
            browser.wait(f"answers > {before}")


@pytest.mark.slow
def test_from_decisions_to_the_trash_and_back(
    browser: Browser, address: str, saved: SavedScan, trash: Path, tmp_path: Path
) -> None:
    browser.open(address)
    browser.wait("!document.getElementById('token-row').hidden")
    browser.problems.clear()  # the answer 401 that made the page ask for the token
    browser.open("about:blank#")
    browser.open(f"{address}#open-sesame")
    browser.wait("document.querySelectorAll('.item').length === 9")
    assert browser.run("location.hash") == "", "the token does not stay in the address"
    browser.wait("[...document.querySelectorAll('.shot img')].every(i => i.naturalWidth > 0)")
    assert "0 files to remove" in browser.run("document.getElementById('totals').textContent")

    # Keys: the root stays, the next two are decided, one is taken back.
    press(browser, "ArrowRight", "r", "r", "u")
    assert browser.run(GONE) == ["sub/crop of 0.jpg"]
    browser.run("$('rule').value = 'keep-original'; $('use-rule').click()")
    browser.wait(f"{STATUS}.includes('to go')")
    gone = ["p2 (1).jpg", "p3-again.jpg", "small-1.png", "sub/crop of 0.jpg"]
    assert browser.run(GONE) == gone
    assert "1 left to you" in browser.run(STATUS)
    doubts = "[...document.querySelectorAll('.doubt')].map(each => each.textContent)"
    assert len(browser.run(doubts)) == 1, "the collage says why it is left"
    assert "4 files to remove" in browser.run("document.getElementById('totals').textContent")

    # Filters.
    for field, value, names in (
        ("name", "SUB/", ["p0.jpg", "sub/crop of 0.jpg"]),
        ("direction", "unclear", ["p3-again.jpg", "p3.jpg"]),
        ("direction", "same", ["p2 (1).jpg", "p2.jpg"]),
        ("edit", "pasted into", ["collage.png", "p0.jpg"]),
        ("state", "open", ["collage.png", "p0.jpg"]),
        ("certainty", "0.98", ["p0.jpg", "p2 (1).jpg", "p2.jpg", "sub/crop of 0.jpg"]),
        ("name", "nobody", []),
    ):
        old = browser.run(f"$('{field}').value")
        set_to = f"$('{field}').value = %r; $('{field}').dispatchEvent(new Event('input'))"
        browser.run(set_to % value)
        shown = "items.map(item => review.files[item.member.file].name).sort()"
        assert browser.run(shown) == names, field
        if not names:
            assert "No group fits" in browser.run("document.body.textContent")
        browser.run(set_to % old)

    # A pair at full size: the crop is laid where it was cut out.
    browser.run("open(items.find(i => review.files[i.member.file].name.includes('crop')))")
    browser.wait("$('compare').open && $('one').naturalWidth === 200 && $('two').naturalWidth > 0")
    press(browser, "3")
    browser.wait("$('stage').className.includes('overlay')")
    one, over = (
        browser.run(
            f"(r => [r.left, r.top, r.width, r.height])($('{name}').getBoundingClientRect())"
        )
        for name in ("one", "over")
    )
    assert over[2] / one[2] == pytest.approx(0.6, abs=0.01)
    assert (over[0] - one[0]) / one[2] == pytest.approx(0.2, abs=0.01)
    press(browser, "4")
    browser.picture(tmp_path / "difference.png")
    press(browser, "1", "+", "+")
    assert browser.run("view.zoom") > 2
    press(browser, "0")
    assert browser.run("view.zoom") == 1
    browser.run("$('compare').close()")

    # The list, the trash, and back.
    before = {path: path.read_bytes() for path in saved.photos.rglob("*") if path.is_file()}
    browser.run("$('check').click()")
    browser.wait("$('list').open")
    assert "4 files would go" in browser.run("$('list-title').textContent")
    browser.run("$('list-move').click()")
    browser.wait(f"{STATUS}.includes('4 files moved to the trash')")
    assert {path for path in before if not path.exists()} == {saved.photos / name for name in gone}
    assert browser.run("document.querySelectorAll('.item').length") == 2
    browser.run("$('put-back').click()")
    browser.wait(f"{STATUS}.includes('4 files put back')")
    assert {path: path.read_bytes() for path in saved.photos.rglob("*") if path.is_file()} == before
    assert browser.problems == []


@pytest.mark.slow
def test_marks_questions_and_small_dark_screens(
    browser: Browser, address: str, saved: SavedScan, tmp_path: Path
) -> None:
    browser.open(f"{address}#open-sesame")
    browser.wait("document.querySelectorAll('.item').length === 9")
    light = brightness(browser.picture(tmp_path / "light.png"))
    browser.run("focus(items.find(i => review.files[i.member.file].name === 'p3-again.jpg'))")
    press(browser, "Enter")
    browser.wait("$('compare').open")
    assert browser.run("$('corner-two').textContent") == "B", "neither is called the original"
    press(browser, "x")
    browser.wait("document.querySelectorAll('.item').length === 7")
    browser.run("$('compare').open && $('compare').close()")
    press(browser, "u")
    browser.wait("document.querySelectorAll('.item').length === 9")
    browser.run("focus(items.find(i => review.files[i.member.file].name === 'p2 (1).jpg'))")
    press(browser, "b")
    browser.wait("document.querySelectorAll('.item').length === 7")
    assert "not shown again" in browser.run(STATUS)
    browser.run("$('ask').click()")
    browser.wait("$('compare').open && asking")
    assert "%" not in browser.run("$('facts').textContent"), "the probability would lead"
    for _ in range(4):
        browser.wait("asking && !asking.answered && $('acts').children.length === 3")
        press(browser, "c")
    browser.wait(f"{STATUS}.includes('no pair left to ask about')")
    assert "4 of 10 answers" in browser.run(STATUS)
    browser.open("about:blank#")
    browser.open(f"{address}#open-sesame", dark=True)
    browser.wait("document.querySelectorAll('.item').length === 7")
    assert brightness(browser.picture(tmp_path / "dark.png")) < light - 80
    assert not browser.run(WIDE)
    browser.open("about:blank#")
    browser.open(f"{address}#open-sesame", width=390, height=844)
    browser.wait("document.querySelectorAll('.item').length === 7")
    assert not browser.run(WIDE), "no sideways scrolling on a small screen"
    assert not browser.run("$('filters').open")
    browser.run("open(items.find(i => i.member.pair !== null))")
    browser.wait("$('compare').open && $('two').naturalWidth > 0")
    inside = "[...$('acts').children].every(b => b.getBoundingClientRect().right <= innerWidth)"
    assert browser.run(inside)
    assert browser.problems == []
