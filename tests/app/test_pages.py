"""The two pages in a real browser; skipped, saying so, where there is none."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.app.browser import Browser
from tests.app.conftest import crop, encode, textured
from tests.app.scans import run_scan


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path) as browser:
        yield browser


@pytest.fixture
def gallery(photos: Path, model: Path, tmp_path: Path) -> str:
    run_scan(photos, model, tmp_path / "out")
    return (tmp_path / "out" / "gallery.html").as_uri()


def brightness(picture: bytes) -> float:
    return float(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


def test_the_gallery_groups_sorts_and_compares(
    browser: Browser, gallery: str, tmp_path: Path
) -> None:
    browser.open(gallery)
    assert browser.run("document.querySelectorAll('.group').length") == 2
    assert "2 groups, 2 copies" in browser.run("document.getElementById('count').textContent")
    browser.run("from = data.pairs.at(-1).p; regroup()")
    assert "2 copies" in browser.run("document.getElementById('count').textContent"), (
        "a pair at the threshold is in"
    )
    light = brightness(browser.picture(tmp_path / "light.png"))
    browser.run("document.querySelector('.copies .shot').focus()")
    browser.key("Enter", 13)
    browser.wait("document.getElementById('compare').open")
    assert browser.run("document.querySelectorAll('#both polygon').length") == 2
    assert "cosine" in browser.run("document.getElementById('words').textContent")
    browser.key("Enter", 13)
    browser.wait("!document.getElementById('compare').open")
    move = (
        "const t = document.getElementById('threshold'); "
        "t.value = 1; t.dispatchEvent(new Event('input'))"
    )
    browser.run(f"(() => {{ {move} }})()")
    assert browser.run("document.querySelectorAll('.group').length") == 0
    assert "Nothing at this probability" in browser.run("document.body.textContent")
    browser.run(f"(() => {{ {move.replace('= 1', '= 0.5')} }})()")
    find = (
        "const f = document.getElementById('filter'); "
        "f.value = 'SMALL-1'; f.dispatchEvent(new Event('input'))"
    )
    browser.run(f"(() => {{ {find} }})()")
    assert browser.run(
        "[...document.querySelectorAll('.original .name')].map(e => e.textContent)"
    ) == ["p1.jpg"]
    browser.run(f"(() => {{ {find.replace('SMALL-1', 'nobody')} }})()")
    assert "No name in these groups contains “nobody”" in browser.run("document.body.textContent")
    browser.open(gallery, dark=True)
    assert brightness(browser.picture(tmp_path / "dark.png")) < light - 80
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not browser.run(wide)
    browser.open(gallery, width=390)
    assert not browser.run(wide), "no sideways scrolling on a small screen"
    assert browser.problems == []


def test_the_gallery_says_which_is_the_original_only_where_it_knows(
    browser: Browser, photos: Path, model: Path, tmp_path: Path
) -> None:
    (photos / "p3-again.jpg").write_bytes(encode(textured(3), quality=94))
    shutil.copy(photos / "p2.jpg", photos / "p2 (1).jpg")
    run_scan(photos, model, tmp_path / "out")
    browser.open((tmp_path / "out" / "gallery.html").as_uri())
    badges = (
        "Object.fromEntries([...document.querySelectorAll('.group')].map(group => "
        "[group.querySelector('.original .name').textContent, "
        "[...group.querySelectorAll('.tag:not(.p)')].map(tag => tag.textContent).join()]))"
    )
    shown = browser.run(badges)
    unclear = {name: badge for name, badge in shown.items() if name.startswith("p3")}
    assert list(unclear.values()) == ["direction unclear"]
    assert (shown["p0.jpg"], shown["p2.jpg"]) == ("original", "")
    assert browser.run("document.querySelectorAll('div.shot').length") == 1, "opens nothing"
    assert browser.run("document.querySelector('.item li a').getAttribute('href')").endswith(
        "photos/p2%20%281%29.jpg"
    )
    headers = browser.run("[...document.querySelectorAll('.group > header')].map(h => h.innerText)")
    assert all(re.fullmatch(r"Group \d\s+1 copy", header) for header in headers), headers
    browser.run("document.querySelector('.original button.shot').click()")
    browser.wait("document.getElementById('compare').open")


def test_copies_of_a_family_with_generations_say_what_they_are_from(
    browser: Browser, model: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    picture = textured(5, 240, 320)
    grey = np.repeat(picture.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    for name, pixels in (("a.jpg", picture), ("b.jpg", grey), ("c.jpg", grey[40:200, 60:260])):
        (photos / name).write_bytes(encode(np.ascontiguousarray(pixels), quality=90))
    run_scan(photos, model, tmp_path / "out", "--format", "json")
    rows = json.loads((tmp_path / "out" / "copies.json").read_text())
    assert sorted((Path(row["copy"]).name, Path(row["parent"]).name) for row in rows) == [
        ("b.jpg", "a.jpg"),
        ("c.jpg", "b.jpg"),
    ]
    browser.open((tmp_path / "out" / "gallery.html").as_uri())
    told = browser.run("[...document.querySelectorAll('.item')].map(item => item.innerText)")
    assert ["from a.jpg" in told[1], "from b.jpg" in told[2], "from " in told[0]] == [
        True,
        True,
        False,
    ]
    all_of_it, half = "[[0, 0], [1, 0], [1, 1], [0, 1]]", "[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]"
    for clear, own, of_parent, words in (
        ("true", all_of_it, half, "from"),
        ("false", all_of_it, half, "a part of"),
        ("false", half, all_of_it, "a version of"),
        ("false", "[]", "[]", "a version of"),
    ):
        assert browser.run(f"kinship({{clear: {clear}}}, {own}, {of_parent})") == words


def test_an_empty_gallery_says_so(browser: Browser, model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(2):
        (photos / f"{seed}.jpg").write_bytes(encode(textured(seed, 120, 160)))
    run_scan(photos, model, tmp_path / "out")
    browser.open((tmp_path / "out" / "gallery.html").as_uri())
    assert browser.run("document.querySelector('.empty').textContent") == "No copies were found."


def test_the_table_and_the_gallery_number_groups_alike(
    browser: Browser, photos: Path, model: Path, tmp_path: Path
) -> None:
    for number in range(3):
        shutil.copy(photos / "p3.jpg", photos / f"p3 ({number}).jpg")
        shutil.copy(photos / "p1.jpg", photos / "sub" / "p1 (1).jpg")
    run_scan(photos, model, tmp_path / "out", "--format", "json")
    rows = json.loads((tmp_path / "out" / "copies.json").read_text())
    table = {row["group"]: Path(row["original"]).name for row in reversed(rows)}
    browser.open((tmp_path / "out" / "gallery.html").as_uri())
    page = browser.run("groups.map(g => fileOf(g.members[0].image, true).name)")
    assert page == [table[number] for number in sorted(table)] == ["p3.jpg", "p1.jpg", "p0.jpg"]


@pytest.fixture
def address(photos: Path, model: Path, tmp_path: Path) -> Iterator[str]:
    """A service in a process of its own, with a library of the photos, that asks for a token."""
    pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "asl",
        "serve",
        "--port",
        str(port),
        "--library",
        str(tmp_path / "library"),
    ]
    command += ["--add", str(photos), "--model", str(model), "--precision", "0.6"]
    with subprocess.Popen(
        command, env={**os.environ, "ASL_TOKEN": "open-sesame"}, stdout=subprocess.DEVNULL
    ) as process:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


@pytest.mark.slow
def test_the_service_s_page_searches_adds_and_removes(
    browser: Browser, address: str, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut.jpg").write_bytes(encode(crop(textured(0)), quality=85))
    (tmp_path / "new-a.jpg").write_bytes(encode(textured(30)))
    (tmp_path / "new-b.jpg").write_bytes(b"no image")
    shutil.copy(photos / "p1.jpg", tmp_path / "known.jpg")
    (tmp_path / "stranger.jpg").write_bytes(encode(textured(77)))
    status = "document.getElementById('status').textContent"
    browser.open(address)
    browser.wait("!document.getElementById('token-row').hidden")
    browser.problems.clear()  # the answer 401 that made the page ask for the token
    browser.run(
        "document.getElementById('token').focus(); "
        "document.getElementById('token').value = 'open-sesame'"
    )
    browser.key("Enter", 13)
    browser.wait("document.querySelectorAll('#list tr').length === 7")
    browser.choose("#file", [tmp_path / "cut.jpg"])
    browser.wait(f"{status}.includes('match')")
    assert browser.run("document.querySelectorAll('.match').length") >= 1
    names = "[...document.querySelectorAll('.match .side:first-child b')].map(e => e.textContent)"
    assert "p0.jpg" in browser.run(names)
    assert "→" in browser.run(
        "[...document.querySelectorAll('.arrow span')].map(e => e.textContent)"
    )
    assert browser.run("document.querySelectorAll('.match polygon').length") >= 2
    assert "log-norms" in browser.run("document.querySelector('.match dl').textContent")
    browser.wait(
        "[...document.querySelectorAll('.match img')]"
        ".every(img => img.complete && img.naturalWidth > 0)"
    )
    light = brightness(browser.picture(tmp_path / "light.png"))
    assert browser.problems == []
    browser.choose(
        "#files", [tmp_path / "new-a.jpg", tmp_path / "new-b.jpg", tmp_path / "known.jpg"]
    )
    browser.wait(f"{status}.startsWith('1 added, 1 known already')")
    assert "new-b.jpg: no usable image" in browser.run(status)
    browser.wait("document.querySelectorAll('#list tr').length === 8")
    browser.run("document.querySelector('[aria-label=\"Remove new-a.jpg\"]').focus()")
    browser.key("Enter", 13)
    browser.wait("document.querySelectorAll('#list tr').length === 7")
    browser.run("document.querySelector('#status button').click()")
    browser.wait("document.querySelectorAll('#list tr').length === 8")
    assert browser.run(status) == "new-a.jpg is kept."
    find = "const f = document.getElementById('filter'); f.value = 'NEW-A'; "
    browser.run(f"(() => {{ {find} f.dispatchEvent(new Event('input')) }})()")
    browser.wait("document.querySelectorAll('#list tr').length === 1")
    browser.choose("#file", [tmp_path / "stranger.jpg"])
    browser.wait(f"{status}.startsWith('No match among 8 references')")
    assert browser.run("document.querySelectorAll('.none-found img').length") == 1
    browser.choose("#file", [tmp_path / "known.jpg"])
    browser.wait(f"{status}.includes('above the threshold')")
    turned = "getComputedStyle(document.querySelector('.sign span')).transform"
    assert browser.run("document.querySelector('.sign span').textContent") == "="
    browser.open(address, dark=True, width=390)
    browser.choose("#file", [tmp_path / "known.jpg"])
    browser.wait("document.querySelectorAll('.match').length > 0")
    assert browser.run(turned) == "none", "a turned = would be two bars"
    assert brightness(browser.picture(tmp_path / "dark.png")) < light - 80
    assert not browser.run(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
