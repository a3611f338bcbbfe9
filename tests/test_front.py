"""The front page: what it links to exists, it can be searched, and names are shown as they are."""

import html
import importlib
import re
import shutil
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from experiments.common import chapters, experiment, front, gather
from experiments.common.film import FILM

RESULTS = chapters.FOLDER.parent / "results"

CLAIM = {
    "id": "T6", "kind": "prediction", "says": "<b>bold</b> {{ 1 }} & co", "measured": 2.0, "unit": "`times`",
    "bound": [None, 1.0, None], "source": "theory", "holds": False, "why": "finding: <script>alert(1)</script>",
}  # fmt: skip
RECORD = {"status": "finished", "finding": "Found <i>it</i>.", "command": "x", "commit": "0" * 40, "device": "cpu",
          "files": ["steepest.png", "other.png", "run.json"], "settings": {}}  # fmt: skip


def records():
    good = {**CLAIM, "kind": "identity", "says": "an identity", "holds": True, "why": ""}
    return {"mine": {**RECORD, "claims": []}, "steepest": {**RECORD, "claims": [good, CLAIM]}}


def test_what_comes_from_a_user_is_shown_as_it_is():
    page = front.page(records())
    assert "Found &lt;i&gt;it&lt;/i&gt;." in page
    assert "&lt;b&gt;bold&lt;/b&gt; {{ 1 }} &amp; co" in page
    assert page.count("<script>") == 1
    assert "<i>it</i>" not in page


def test_failures_come_first_and_findings_among_them_are_what_surprised():
    page = front.page(records())
    assert page.count("alert(1)") == 2
    assert page.index('data-verdict="fails"') < page.index('data-verdict="holds"')
    assert "prediction 0 of 1, identity 1 of 1." in page
    assert FILM["T6"].sentence in page
    assert page.index('id="steepest"') < page.index('id="mine"')
    assert "What surprised us" not in front.page({"mine": records()["mine"]})
    assert "Claims that do not hold: 1" in page


def test_readers_questions_and_what_lies_beyond_the_film_have_their_answers_after_what_surprised():
    asked = {**RECORD, "claims": [{**CLAIM, "id": key} for key in ("N1", "C20", "C2")]}
    page = html.unescape(front.page({**records(), "repair": asked}))
    places = [page.index(f"<summary>{FILM[key].sentence}") for key in ("C2", "C20", "N1")]
    assert page.index('id="surprises"') < page.index('id="readers"') < places[0] < places[1]
    assert places[1] < page.index('id="beyond"') < places[2] < page.index('id="all"')
    assert FILM["N3"].sentence in page  # which nobody answers
    assert FILM["C1"].sentence not in page
    assert 'id="readers"' not in front.page(records())


def test_an_exercise_leads_to_its_page_where_there_is_one():
    sentence = next(sentence for sentence in front.TEN if sentence.name == "only_a_two")
    address = sentence.page.replace("&", "&amp;")
    assert address not in front.page({"only_a_two": {**RECORD, "claims": []}})
    assert f'href="{address}"' in front.page({name: {**RECORD, "claims": []} for name in ("only_a_two", "play")})


def test_a_page_is_linked_with_its_first_picture_and_embedded():
    page = front.page({**records(), "mine": {**RECORD, "claims": [], "files": ["other.png", "mine.html", "mine.png"]}})
    assert page.count("<iframe") == 1
    assert 'data-src="mine/mine.html"' in page
    assert page.index('<a href="mine/mine.html"><img') < page.index('src="mine/mine.png"') < page.index("<iframe")
    assert "<code>experiments/one_example/steepest.py</code>" in page


def test_the_ten_sentences_are_of_experiments_that_there_are():
    assert len(front.TEN) == 10
    assert {sentence.name for sentence in front.TEN} <= chapters.all_questions().keys()


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """The committed results, and the page that is made of them."""
    out = tmp_path_factory.mktemp("out") / "results"
    shutil.copytree(RESULTS, out, ignore=shutil.ignore_patterns("*.npz"))
    gather.write_ledger(out)
    return out


def test_the_committed_pages_are_the_built_ones(committed):
    for name in ("README.md", "index.html"):
        assert (committed / name).read_text() == (RESULTS / name).read_text(), name


@pytest.mark.parametrize("name", ["play", "nudges", "drunk_man"])
def test_a_committed_page_of_an_experiment_is_the_built_one(name):
    module, folder = importlib.import_module(chapters.all_questions()[name].module), RESULTS / name
    run = experiment.read(module, folder)
    settings = replace(run.settings, gif_frames=0) if name == "drunk_man" else run.settings  # its frames take long
    built = module.figures(run.result, settings)[f"{name}.html"]
    plt.close("all")
    assert built.content == (folder / f"{name}.html").read_bytes()


def test_every_link_and_picture_is_there(committed):
    page = (committed / "index.html").read_text()
    assert len(page.encode()) < 3_000_000
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(links) > 100
    for link in links:
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page, link
        elif not link.startswith("data:"):
            assert (RESULTS / link.partition("#")[0]).exists(), link


@pytest.mark.browser
def test_nothing_sticks_out_and_the_claims_can_be_searched(browser, committed):
    browser.errors()
    browser.visit((committed / "index.html").as_uri(), 1400)
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert browser.run(fits)
    for width in (900, 390):
        browser.narrow(width)
        assert browser.becomes(f"innerWidth == {width} && {fits}", True)
    browser.widen()
    frames = "[...document.querySelectorAll('iframe')]"
    assert browser.run(f"{frames}.map(frame => frame.src)") == [""] * 3
    browser.run(f"({frames}[0].parentElement.open = true, 1)")
    assert browser.becomes(f"{frames}.map(frame => frame.src.split('/').at(-1))", ["play.html", "", ""])
    left = "filter(claim => claim.closest('details').open && !claim.hidden).map(claim => claim.textContent)"
    shown = f"[...document.querySelectorAll('li[data-kind]')].{left}"
    assert browser.run(shown) == []
    browser.run("(field('verdict').value = 'fails', field('kind').value = 'prediction', filter(), 1)")
    failed = browser.run(shown)
    assert failed
    assert all("does not hold" in each for each in failed)
    browser.run("(field('words').value = 'no such words', filter(), 1)")
    assert browser.run(shown) == []
    assert browser.errors() == []
