"""The page, in headless Chromium: its numbers are those of backprop.py, pages and step work by click and by key.

See browser.py for what the tests marked `browser` need.
"""

import base64
import json
import re
from itertools import pairwise

import jax
import numpy as np
import optax
import plain
import pytest
from jax.flatten_util import ravel_pytree

from experiments.common import wishes
from experiments.common.plots import Page
from experiments.common.problem import Problem
from experiments.common.wishes import Checks, Numbers
from experiments.one_example import nudges
from experiments.one_example import nudges_figures as figures
from experiments.one_example.nudges import LayerStory, Network, Result, Settings
from research import backprop, costs, data, gradients, models, training
from research.backprop import Functions
from research.data import Examples
from research.models import Layer
from research.training import TrainState

SIGMOID = jax.nn.sigmoid
NOTHING = Checks(*[np.zeros((1, 1, 1))] * len(Checks._fields))
NUM_PAGES, STEP_PAGE = 12, 10
VALUES = (
    "[...document.querySelectorAll('#stage [data-about=%s]')].map(e => [e.dataset.places, Number(e.dataset.value)])"
)


def show(browser, page, number=1, digit=5, network="start", width=1200):
    """The page at that digit, page and network, in a window of that width."""
    browser.visit(f"{page.as_uri()}#digit={digit}&page={number}&network={network}", width)


def turn(browser, number, digit=5, network="start"):
    """Another page of the one that is shown."""
    browser.run(f"(location.hash = '#digit={digit}&page={number}&network={network}')")
    assert browser.becomes("document.body.dataset.shown === location.hash", True)


def values(browser, kind):
    """{places: value} of everything drawn of that kind."""
    return {tuple(map(int, places.split())): value for places, value in browser.run(VALUES % kind)}


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    """(result, page) of two networks: a start, and one whose neurons are nearly all on or off, as after training."""
    train = data.load(str(small_mnist))
    problem = Problem(models.mlp(), costs.sum_of_squares, train, train, (28, 28, 1), (SIGMOID, SIGMOID))
    start = jax.tree.map(lambda leaf: leaf[None], models.mlp().init(jax.random.key(0)))
    saturated = [Layer(layer.weights * layer.weights.shape[-1] ** 0.5, layer.biases) for layer in start]
    functions = Functions(costs.sum_of_squares, SIGMOID, SIGMOID)
    rows = wishes.few_of_each(np.argmax(train.targets, axis=1), 20)
    digits = data.take(train, rows)
    networks = nudges.tell_all(problem, functions, {"start": start, "trained": saturated}, digits, 1)
    result = Result(
        NOTHING, np.zeros(1), rows, digits.inputs, digits.targets, int(np.flatnonzero(rows == 5)[0]),
        jax.device_get(networks), (28, 28, 1), len(train.inputs), True,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "nudges.html"
    path.write_text(figures.page(result, "mnist"))
    return result, path


def example_of(result, row):
    place = int(np.flatnonzero(result.rows == row)[0])
    return Examples(jax.numpy.asarray(result.inputs[place]), jax.numpy.asarray(result.targets[place]))


def by_hand(result, network, row):
    """(params, forward, backward) of that training example, by backprop.py."""
    (found,) = (each for each in result.networks if each.name == network)
    params = [Layer(layer.weights, layer.biases) for layer in found.layers]
    return params, *passes(params, example_of(result, row))


@jax.jit
def passes(params, example):
    """(forward, backward) through the film's network."""
    forward = backprop.feed_forward(params, example.inputs, SIGMOID, SIGMOID)
    return forward, backprop.backpropagate(params, example, costs.sum_of_squares, SIGMOID, SIGMOID)


def assert_same(found, wanted):
    """found: {(layer, ...): number} as drawn; wanted: a function of the places."""
    assert found
    expected = np.array([float(wanted(*places)) for places in found])
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


DIGITS = [(5, "start"), (5, "trained"), (0, "trained"), (4, "start")]


@pytest.mark.browser
@pytest.mark.parametrize(("row", "network"), DIGITS)
def test_the_numbers_of_every_page_are_those_of_backprop(browser, finished, row, network):
    result, page = finished
    params, forward, backward = by_hand(result, network, row)

    def column(layer, j, k):
        return -backward.grads[layer - 1].biases[j] * params[layer - 1].weights[j, k]

    show(browser, page, 1, row, network)
    assert_same(values(browser, "answer"), lambda layer, j: forward.activations[layer][j])
    turn(browser, 2, row, network)
    assert_same(values(browser, "wish"), lambda layer, j: backward.nudges[layer][j])
    turn(browser, 3, row, network)
    assert_same(values(browser, "bias"), lambda layer, j: -backward.grads[layer - 1].biases[j])
    assert_same(values(browser, "weight"), lambda layer, j, k: -backward.grads[layer - 1].weights[j, k])
    for number, layer in ((4, 3), (5, 3), (6, 3), (7, 2)):
        turn(browser, number, row, network)
        assert_same(values(browser, "column"), column)
        sums = {places: value for places, value in values(browser, "wish").items() if places[0] == layer - 1}
        assert (len(sums) == 16) == (number >= 6)
        if sums:
            assert_same(sums, lambda layer, k: backward.nudges[layer][k])
    turn(browser, 8, row, network)
    pixels = dict(zip(((0, k) for k in range(784)), browser.run("range(784).map(k => together(1, k))"), strict=True))
    assert_same(pixels, lambda layer, k: backward.nudges[layer][k])


@pytest.mark.browser
def test_the_table_has_each_digits_request_and_the_average_of_the_whole_training_set(browser, finished, small_mnist):
    result, page = finished
    show(browser, page, 12)
    cells, means = values(browser, "cell"), values(browser, "average")
    stories = {place: by_hand(result, "start", result.rows[place])[2] for place in {places[3] for places in cells}}
    assert len(stories) > 4
    assert_same(cells, lambda layer, j, k, place: -stories[place].grads[layer - 1].weights[j, k])
    train = data.load(str(small_mnist))
    params, *_ = by_hand(result, "start", 5)
    grads = plain.gradient(params, train)
    assert_same(means, lambda layer, j, k: -grads[layer - 1].weights[j, k])


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 900])
def test_every_page_fits_the_window_and_says_something_without_errors(browser, finished, width):
    _, page = finished
    browser.errors()
    titles = []
    show(browser, page, width=width)
    for number in range(1, NUM_PAGES + 1):
        turn(browser, number)
        titles.append(browser.run("document.getElementById('title').textContent"))
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.run("document.getElementById('account').textContent.length") > 20
        assert not re.search("NaN|undefined|Infinity|null", browser.run("document.body.innerText"))
    assert len(set(titles)) == NUM_PAGES
    assert browser.errors() == []


@pytest.mark.browser
def test_at_390_pixels_nothing_sticks_out(browser, finished):
    _, page = finished
    browser.narrow(390)
    show(browser, page)
    for number in range(1, NUM_PAGES + 1):
        turn(browser, number)
        if number == STEP_PAGE:
            browser.click("#take")
        assert browser.run("innerWidth") == 390
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.run("getComputedStyle(element('account')).position") == "static"
    browser.widen()


@pytest.mark.browser
def test_on_a_telephone_the_network_has_more_than_half_of_the_first_screen(browser, finished):
    _, page = finished
    browser.narrow(400)
    show(browser, page, 1)
    assert browser.run("[innerWidth, innerHeight]") == [400, 800]
    left, top, right, bottom = browser.run(
        "(({left, top, right, bottom}) => [left, top, right, bottom])"
        "(document.querySelector('#stage svg').getBoundingClientRect())"
    )
    assert (min(right, 400) - max(left, 0)) * (min(bottom, 800) - top) > 400 * 800 / 2
    browser.widen()


@pytest.mark.browser
def test_clicks_and_keys_go_through_the_pages_and_the_address_remembers_them(browser, finished):
    _, page = finished
    show(browser, page, 1)
    for number in range(2, NUM_PAGES + 1):
        if number % 2:
            browser.press("right")
        else:
            browser.click("#next")
        assert browser.becomes("location.hash", f"#digit=5&page={number}&network=start")
        assert browser.becomes("document.getElementById('where').textContent", f"page {number} of {NUM_PAGES}")
    browser.press("right")
    assert f"page={NUM_PAGES}" in browser.run("location.hash")
    browser.press("left")
    assert browser.becomes("location.hash", f"#digit=5&page={NUM_PAGES - 1}&network=start")
    browser.click("#back")
    browser.click('[data-digit="0"]')
    browser.click('[data-network="1"]')
    assert browser.becomes("location.hash.endsWith('&page=10&network=trained')", True)
    address = browser.run("location.hash")
    assert re.fullmatch(r"#digit=\d+&page=10&network=trained", address)
    title = browser.run("document.getElementById('title').textContent")
    browser.ask("POST", "/refresh")
    assert (browser.run("location.hash"), browser.run("document.getElementById('title').textContent")) == (
        address,
        title,
    )


@pytest.mark.browser
def test_pointing_and_tabbing_show_the_addends(browser, finished):
    result, page = finished
    _, _, backward = by_hand(result, "start", 5)
    show(browser, page, 6)
    browser.hover('#stage [data-about=wish][data-places="2 3"]')
    account = browser.run("document.getElementById('account').innerText")
    assert account.startswith("hidden layer 2, neuron 3 should")
    assert account.count("output") == 10  # one addend from each
    assert f"{abs(float(backward.nudges[2][3])):.2f}" in account
    browser.run("document.querySelector('#stage [data-about]').focus()")
    before = browser.run("document.getElementById('account').dataset.places")
    browser.press("tab")
    assert browser.run("document.getElementById('account').dataset.places") != before


@pytest.mark.browser
def test_another_output_can_be_chosen_and_a_foolish_address_is_survived(browser, finished):
    _, page = finished
    show(browser, page, 3)
    browser.click('[data-output="7"]')
    assert browser.run("document.getElementById('title').textContent").startswith("Output 7 should fall")
    show(browser, page, number=99, digit="no", network="none")
    assert browser.run("document.getElementById('where').textContent") == f"page {NUM_PAGES} of {NUM_PAGES}"


@pytest.mark.browser
@pytest.mark.parametrize(("row", "network", "rate"), [(5, "start", 1), (0, "trained", 3)])
def test_the_steps_are_those_of_jax_grad_and_make_step(browser, finished, row, network, rate):
    result, page = finished
    (before, forward, _), example = by_hand(result, network, row), example_of(result, row)
    one = gradients.example_cost(models.mlp().apply, costs.sum_of_squares)
    slopes_of, descent = jax.jit(jax.grad(one)), optax.sgd(float(rate))
    step, state = jax.jit(training.make_step(one, descent)), TrainState(before, descent.init(before))
    show(browser, page, STEP_PAGE, row, network)
    assert_same(values(browser, "change"), lambda layer, j: forward.activations[layer][j])
    browser.run(f"element('rate').value = '{rate}'")
    for count in (1, 2):
        slopes = slopes_of(state.params, example)
        by_grad = jax.tree.map(lambda each, slope: np.asarray(each) - rate * slope, state.params, slopes)
        state, _ = step(state, example)
        browser.click("#take")
        assert browser.run("walk.count") == count
        found = np.array(browser.run("[...walk.params]"))
        for wanted in (by_grad, state.params):
            np.testing.assert_allclose(found, ravel_pytree(wanted)[0], rtol=1e-5, atol=1e-6)
        told, after = passes(state.params, example)
        shown = values(browser, "change")
        assert len(shown) == 42
        np.testing.assert_allclose(
            list(shown.values()), [told.activations[layer][j] for layer, j in shown], rtol=1e-5, atol=1e-6
        )
        for layer in (1, 2, 3):
            wishes_shown = browser.run(f"[...ofDigit('nudges', {layer})]")
            np.testing.assert_allclose(wishes_shown, after.nudges[layer], rtol=1e-5, atol=1e-6)
        assert browser.run("costNow()") == pytest.approx(float(one(state.params, example)), rel=1e-5)
    assert ravel_pytree(before)[0] != pytest.approx(found, abs=1e-3)
    browser.click("#undo")
    assert_same(values(browser, "change"), lambda layer, j: forward.activations[layer][j])


@pytest.mark.browser
def test_a_key_takes_the_step_from_any_page_and_another_digit_starts_anew(browser, finished):
    _, page = finished
    browser.errors()
    show(browser, page, 1)
    told = browser.run("costNow()")
    browser.run("element('take').focus()")
    browser.press("enter")
    assert browser.becomes("location.hash", f"#digit=5&page={STEP_PAGE}&network=start")
    assert browser.becomes("element('title').textContent.startsWith('1 step: the cost of this 2 went from ')", True)
    assert browser.run("costNow()") < told
    browser.press("enter")
    assert browser.becomes("element('title').textContent.startsWith('2 steps')", True)
    browser.press("left")
    assert browser.becomes("document.getElementById('where').textContent", f"page {STEP_PAGE - 1} of {NUM_PAGES}")
    assert browser.run("network() === NETWORKS[0]")  # the other pages show what was measured
    browser.press("right")
    assert browser.becomes("element('title').textContent.startsWith('2 steps')", True)
    browser.click('[data-digit="0"]')
    assert browser.becomes("element('title').textContent.startsWith('Now take the step')", True)
    assert browser.errors() == []


@pytest.mark.browser
def test_saturated_neurons_are_squares_and_one_line_says_why(browser, finished):
    result, page = finished
    show(browser, page)
    for network in ("start", "trained"):
        _, forward, _ = by_hand(result, network, 5)
        flat = {
            (layer, j)
            for layer in (1, 2, 3)
            for j, a in enumerate(np.asarray(forward.activations[layer]))
            if a * (1 - a) < 0.01
        }
        for number in (1, STEP_PAGE):
            turn(browser, number, 5, network)
            drawn = browser.run(
                "[...document.querySelectorAll('#stage rect.saturated')].map(e => e.closest('g').dataset.places)"
            )
            assert {tuple(map(int, places.split())) for places in drawn} == flat
            line = browser.run("document.querySelector('#stage .note').textContent")
            assert f"below 0.01, so a nudge can hardly move the neuron; {len(flat)} of 42 are." in line
        assert (len(flat) > 10) == (network == "trained")


@pytest.mark.browser
def test_it_asks_nothing_of_the_network(browser, finished):
    _, page = finished
    show(browser, page, 8)
    assert {address.split(":")[0] for address in browser.asked()} <= {"file", "data"}


@pytest.mark.browser
@pytest.mark.parametrize(
    ("sizes", "shape"),
    [((784, 10), (28, 28, 1)), ((784, 30, 20, 12, 10), (28, 28, 1)), ((108, 16, 10), (4, 9, 3))],
    ids=["no hidden layer", "three hidden layers", "colours"],
)
def test_networks_of_other_depths_and_colour_images_have_their_page(browser, tmp_path, sizes, shape):
    page = tmp_path / "page.html"
    page.write_text(figures.page(made_up(sizes, shape), "mnist"))
    browser.errors()
    show(browser, page)
    for number in range(1, 8 + len(sizes)):
        turn(browser, number)
        assert not browser.run("document.getElementById('take').checkVisibility()")  # made of no sigmoids
        assert browser.run("document.getElementById('where').textContent") == f"page {number} of {7 + len(sizes)}"
    assert browser.errors() == []


def made_up(sizes, shape):
    """A Result of the right shapes for a network of these sizes and ten digits."""
    rng = np.random.default_rng(0)
    layers = []
    for num_in, num_out in pairwise(sizes):
        parameters = [rng.normal(size=size) for size in ((num_out, num_in), num_out, (num_out, num_in))]
        layers.append(LayerStory(*parameters, Numbers(*rng.normal(size=(5, 10, num_out)))))
    network = Network("start", "before any training", rng.normal(size=(10, sizes[0])), tuple(layers))
    inputs = rng.integers(0, 256, (10, sizes[0]), np.uint8)
    return Result(NOTHING, np.zeros(1), np.arange(10), inputs, np.eye(10), 5, (network,), shape, 600, True)


def test_the_page_lies_beside_the_picture_of_the_same_name():
    files = nudges.figures(made_up((784, 16, 10), (28, 28, 1)), Settings(dataset="some/folder/"))
    page = files["nudges.html"]
    assert "nudges" in files
    assert isinstance(page, Page)
    assert b'"dataset": "folder"' in page.content


def test_the_page_is_one_small_file_that_names_no_other(finished):
    _, page = finished
    text = page.read_text()
    assert len(text.encode()) < 1_000_000
    script = re.sub(r'"[A-Za-z0-9+/=]{60,}"', '""', text)  # without the numbers
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:,")""", script) == []
    assert not re.search(
        r"\b(?:fetch|import|XMLHttpRequest|WebSocket)\b|@import|url\(|https?://(?!www\.w3\.org/)", script
    )
    assert '"DATA"' not in text


def test_the_numbers_in_the_page_are_the_results_bytes(finished):
    result, page = finished
    found = json.loads(re.search(r"const DATA = (.*);\n", page.read_text())[1])
    weights = np.frombuffer(base64.b64decode(found["networks"][1]["weights"][0]), "<f4").reshape(16, 784)
    np.testing.assert_array_equal(weights, result.networks[1].layers[0].weights)
    inputs = np.frombuffer(base64.b64decode(found["inputs"]), np.uint8).reshape(-1, 784)
    np.testing.assert_array_equal(inputs, result.inputs)
    assert found["rows"] == result.rows.tolist()


def test_the_name_of_a_data_set_cannot_end_the_script(finished):
    result, _ = finished
    assert figures.page(result, "a<b></script><script>").count("<script>") == 1
