"""The page to play with, in headless Chromium: its engine is jax.grad, minibatch_descent and statistics; it can be
drawn in, clicked through and read on a telephone. See browser.py for what the tests marked `browser` need."""

import base64
import io
import json
import re
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import optax
import plain
import pytest
from jax.flatten_util import ravel_pytree
from PIL import Image

from experiments.common import hills
from experiments.common.bounds import SettingsError
from experiments.common.problem import Problem
from experiments.networks import play, play_figures
from experiments.networks.play import Result, Settings
from research import costs, data, gradients, landscape, models, statistics, training
from research.landscape import Plane
from research.training import TrainState

SMALLEST = Settings(num_seeds=2, num_shown=100, num_shown_test=20, trained_epochs=1, num_steps=10, num_epochs=5,
                    num_points=11, batch_sizes=(50,), resolution=3)  # fmt: skip
SIGMOID = jax.nn.sigmoid
MODEL, ONE = models.mlp(), gradients.example_cost(models.mlp().apply, costs.sum_of_squares)
ORDER = np.random.default_rng(0).permuted(np.tile(np.arange(120), (5, 1)), axis=1).reshape(-1, 6)  # 100 batches of 6


@pytest.fixture(scope="module")
def examples(small_mnist):
    return data.take(data.load(str(small_mnist)), slice(120))


@pytest.fixture(scope="module")
def result(examples):
    """Two starts in place of a start and a trained network, and a plane through them; no hill was computed."""
    points = [ravel_pytree(MODEL.init(jax.random.key(seed)))[0] for seed in (0, 1, 2)]
    plane = landscape.spanned_plane(points[0], points[1] - points[0], points[2] - points[0])
    side = np.linspace(-5, 5, 4)
    images, labels = play.grey(examples, 28, 28)
    return Result(
        np.array([784, 16, 16, 10]), *map(np.asarray, points[:2]), images, labels, images[:20], labels[:20],
        np.asarray(plane.origin), np.asarray(plane.directions),
        hills.View(side, side, np.exp(np.add.outer(side, side) / 10), (), ()), (0.1, 0.9),
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("play") / "play.html"
    path.write_bytes(play_figures.page(result, "mnist", (4.0, 2.0), 30))
    return path


def show(browser, page, address=""):
    browser.visit(f"{page.as_uri()}{address}")
    assert browser.becomes("document.body.dataset.ready", "yes")


def asked(browser, expression):
    """The value of an expression, with the engine's rows of numbers as lists."""
    return browser.run(f"(() => {{ const plain = row => [...row]; return {expression}; }})()")


@pytest.fixture
def start(result):
    """The start as parameters, in float32 as in the page."""
    return jax.tree.map(jnp.asarray, ravel_pytree(MODEL.init(jax.random.key(0)))[1](result.start))


def layers_of(point, like):
    """The flat point as layers of these shapes."""
    parts = [part for layer in like for part in layer]
    cut = np.split(np.asarray(point, float), np.cumsum([part.size for part in parts])[:-1])
    shaped = [numbers.reshape(part.shape) for numbers, part in zip(cut, parts, strict=True)]
    return [models.Layer(*pair) for pair in zip(shaped[::2], shaped[1::2], strict=True)]


def test_the_networks_are_the_first_seeds_start_and_where_plain_descent_leads_from_it(ran):
    found, settings = ran("play")[0].result, ran("play")[0].settings
    train, test, (start, _), _ = plain.begin(settings)
    trained, batches = start, plain.shuffles(settings, 600, 1).reshape(2, 6, 100)[0]
    for batch, rate in zip(batches, (4, 4, 4, 4, 8 / 3, 4 / 3), strict=True):
        trained = plain.step(trained, plain.rows(train, batch), rate)
    np.testing.assert_allclose(found.start, plain.flat(start), rtol=1e-5)
    np.testing.assert_allclose(found.trained, plain.flat(trained), rtol=1e-4, atol=1e-6)
    reads = [plain.accuracy(params, test) for params in (start, trained)]
    np.testing.assert_allclose(found.accuracy, reads, atol=0.0051)  # one of 200
    assert found.sizes.tolist() == [784, 16, 16, 10]
    for examples, images, labels in (
        (plain.rows(train, range(100)), found.train_images, found.train_labels),
        (plain.rows(test, range(20)), found.test_images, found.test_labels),
    ):
        np.testing.assert_array_equal(images.reshape(len(images), -1), examples.inputs)
        np.testing.assert_array_equal(labels, examples.targets.argmax(axis=1))


def test_the_hill_is_that_of_the_pages_images_round_two_plain_descents_on_them(ran):
    found, settings = ran("play")[0].result, ran("play")[0].settings
    train, _, (start, _), _ = plain.begin(settings)
    few = plain.rows(train, range(100))
    batches = plain.shuffles(settings, 100, 5)[0].reshape(10, 50)
    ways = (plain.descend(start, few, [range(100)] * 10, 4.0), plain.descend(start, few, batches, 2.0))
    paths = [np.array([plain.flat(params) for params in way]) for way in ways]
    centre = np.concatenate(paths).mean(axis=0)
    axes = np.linalg.svd(np.concatenate(paths) - centre, full_matrices=False)[2][:2]
    axes *= -np.sign(axes @ (paths[0][0] - centre))[:, None]  # the start lies to the left and below
    np.testing.assert_allclose(found.origin, centre, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.directions @ axes.T, np.eye(2), atol=1e-3)
    seen = np.concatenate([(path - centre) @ axes.T for path in paths])
    np.testing.assert_allclose(np.concatenate(found.view.shadows), seen, atol=1e-3 * np.ptp(seen))
    middle, half = (seen.max(axis=0) + seen.min(axis=0)) / 2, 0.75 * np.ptp(seen, axis=0)
    sides = np.array([found.view.alphas, found.view.betas]).T
    np.testing.assert_allclose(sides, [middle - half, middle, middle + half], atol=1e-3 * np.ptp(seen))
    for height, place in zip(found.view.surface.ravel(), product(*sides.T), strict=True):
        at = layers_of(found.origin + np.array(place) @ found.directions, start)
        assert height == pytest.approx(plain.costs(at, few).mean(), rel=1e-4)


@pytest.mark.browser
def test_its_gradient_is_that_of_jax_and_its_scatter_that_of_statistics(browser, page, examples, start):
    show(browser, page)
    asks = "ask(LAYERS, NETWORKS.untrained, IMAGES, LABELS, ALL)"
    found = asked(browser, f"(all => ({{...all, gradient: plain(all.gradient)}}))({asks})")
    of_mean = jax.jit(jax.grad(gradients.mean_over_examples(ONE)))
    gradient = np.asarray(ravel_pytree(of_mean(start, examples))[0])
    np.testing.assert_allclose(found["gradient"], gradient, atol=1e-5 * np.abs(gradient).max())
    assert found["cost"] == pytest.approx(plain.costs(start, examples).mean(), rel=1e-6)
    assert found["accuracy"] == pytest.approx(plain.accuracy(start, examples))
    moments = jax.jit(statistics.moments(ONE))(start, examples)
    assert found["squares"] == pytest.approx(float(moments.squared_norms.mean()), rel=1e-5)
    expected = asked(browser, f"expectedCosine({asks}, 6, 120)")
    wanted = statistics.expected_cosine(statistics.noise_scale(moments), 6, 120)
    assert expected == pytest.approx(float(wanted), rel=1e-4)
    step = plain.flat(plain.gradient(start, data.take(examples, ORDER[0])))
    of_batch = asks.replace("ALL", str(ORDER[0].tolist()))
    cosine = asked(browser, f"cosine({of_batch}.gradient, {asks}.gradient)")
    along = step @ gradient / np.linalg.norm(step) / np.linalg.norm(gradient)
    assert cosine == pytest.approx(along, rel=1e-4)


@pytest.mark.browser
def test_a_hundred_steps_end_where_minibatch_descent_does(browser, page, examples, start, result):
    show(browser, page)
    walked = "step(params, ask(LAYERS, params, IMAGES, LABELS, rows).gradient, 2)"
    found = asked(browser, f"plain({ORDER.tolist()}.reduce((params, rows) => {walked}, NETWORKS.untrained))")
    step = training.make_step(gradients.mean_over_examples(ONE), optax.sgd(2.0))
    state = TrainState(start, optax.sgd(2.0).init(start))
    walk = jax.jit(partial(training.minibatch_descent, step, observe=lambda state: ()))
    end = ravel_pytree(walk(state, examples, ORDER[None])[0].params)[0]
    assert float(jnp.linalg.norm(end - result.start)) > 1
    np.testing.assert_allclose(found, end, atol=1e-4)


@pytest.mark.browser
def test_what_a_digit_wants_of_its_pixels_is_minus_the_gradient_by_the_pixels(browser, page, examples, start):
    show(browser, page, "#image=3&target=7&network=untrained")
    found = asked(browser, "plain(asked().pixels)")
    pixels, target = data.unit_interval(jnp.asarray(examples.inputs[3])), jax.nn.one_hot(7, 10)
    wanted = -jax.grad(lambda pixels: costs.sum_of_squares(MODEL.apply(start, pixels), target))(pixels)
    np.testing.assert_allclose(found, wanted, atol=1e-6 * float(jnp.abs(wanted).max()) + 1e-9)


@pytest.mark.browser
@pytest.mark.parametrize(("layer", "j", "k"), [(0, 3, 300), (1, 5, 7), (2, 9, 0)])
def test_the_account_of_a_weight_says_its_value_and_minus_its_gradient(browser, page, examples, start, layer, j, k):
    show(browser, page, f"#image=3&target=7&network=untrained&open=weight-{layer}-{j}-{k}")
    target = jax.nn.one_hot(7, 10)
    inputs = data.unit_interval(jnp.asarray(examples.inputs[3]))
    gradient = jax.grad(lambda params: costs.sum_of_squares(MODEL.apply(params, inputs), target))(start)
    weight, slope = (float(params[layer].weights[j, k]) for params in (start, gradient))
    assert browser.run(f"wishOf(asked(), {layer}, {j}, {k})") == pytest.approx(-slope, rel=1e-4, abs=1e-9)
    cells = asked(browser, "[...document.querySelectorAll('#account td:last-child')].map(cell => cell.textContent)")
    assert cells[0] == browser.run(f"`${{arrow({weight})}} ${{number({weight})}}`")
    assert cells[4] == browser.run(f"number({slope})")


@pytest.mark.browser
@pytest.mark.parametrize(("layer", "j"), [(0, 3), (2, 9)])
def test_the_account_of_a_bias_says_its_value_and_minus_its_gradient(browser, page, examples, start, layer, j):
    show(browser, page, f"#image=3&target=7&network=untrained&rate=1&open=neuron-{layer}-{j}")
    assert browser.run(f"document.querySelectorAll('#account [data-open=\"bias {layer} {j}\"]').length") > 0
    browser.click(f"#account [data-open='bias {layer} {j}']")
    inputs, target = data.unit_interval(jnp.asarray(examples.inputs[3])), jax.nn.one_hot(7, 10)
    gradient = jax.grad(lambda params: costs.sum_of_squares(MODEL.apply(params, inputs), target))(start)
    bias, slope = (float(params[layer].biases[j]) for params in (start, gradient))
    cells = asked(browser, "[...document.querySelectorAll('#account td:last-child')].map(cell => cell.textContent)")
    assert cells[0] == browser.run(f"`${{arrow({bias})}} ${{number({bias})}}`")
    assert cells[3:] == browser.run(f"[{slope}, {bias - 2 * slope}].map(number)")


@pytest.mark.browser
def test_a_line_is_dashed_where_its_weight_is_negative_and_opens_its_account(browser, page):
    show(browser, page, "#open=neuron-1-3&network=trained")
    lines = "[...document.querySelectorAll('#network [data-open^=weight]')]"
    keys = browser.run(f"{lines}.map(line => line.dataset.open)")
    assert keys == [f"weight 1 3 {k}" for k in range(16)] + [f"weight 2 {i} 3" for i in range(10)]
    dashed = browser.run(f"{lines}.map(line => line.lastElementChild.hasAttribute('stroke-dasharray'))")
    weights = browser.run(
        f"{lines}.map(line => NETWORKS.trained[weightAt(...line.dataset.open.split(' ').slice(1).map(Number))])"
    )
    assert dashed == [weight < 0 for weight in weights]
    browser.run(f"{lines}[20].dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
    assert "from hidden layer 2, neuron 3 to output 4" in browser.run("document.querySelector('#account').textContent")
    browser.click("#wishes")
    assert "Nobody changes it" in browser.run("document.querySelector('#account').textContent")


@pytest.mark.browser
def test_wishes_go_back_layer_by_layer(browser, page):
    show(browser, page, "#image=3&target=7&network=untrained&back=0")
    wishing = "[...document.querySelectorAll('#network g:has(path)')].map(neuron => neuron.dataset.open.split(' ')[1])"
    assert set(browser.run(wishing)) == {"2"}
    for layers in ({"2", "1"}, {"2", "1", "0"}, {"2", "1", "0"}):
        browser.run("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'b'}))")
        assert set(browser.run(wishing)) == layers
    assert "back to the pixels" in browser.run("document.querySelector('#stage').textContent")


@pytest.mark.browser
def test_a_run_replaces_nothing_under_a_pressed_pointer(browser, page):
    show(browser, page)
    browser.run("(window.bar = document.querySelector('#answers button'), state.running = true)")
    for kind, stays in (("pointerdown", True), ("pointerup", False)):
        browser.run(f"document.dispatchEvent(new Event('{kind}'))")
        browser.run("run()")
        assert browser.run("window.bar.isConnected") is stays
    browser.run("state.running = false")


@pytest.mark.browser
def test_a_place_on_the_hill_is_that_of_landscape(browser, page, result):
    show(browser, page)
    plane, point = Plane(jnp.asarray(result.origin), jnp.asarray(result.directions)), jnp.asarray(2 * result.trained)
    found = browser.run("placeOf(NETWORKS.trained.map(each => 2 * each), ORIGIN, DIRECTIONS)")
    np.testing.assert_allclose([found["alpha"], found["beta"]], landscape.coordinates(plane, point), rtol=1e-4)
    assert found["off"] == pytest.approx(float(landscape.off_plane(plane, point)), rel=1e-4)


@pytest.mark.browser
def test_a_drawn_digit_is_put_in_a_box_of_20_pixels_with_its_centre_of_mass_in_the_middle(browser, page):
    show(browser, page)
    browser.run(
        "wipe() || (ink.fillStyle = '#fff') && [[20, 30, 20, 100], [40, 110, 30, 20]].map(box => ink.fillRect(...box))"
    )
    levels = asked(browser, "plain(dense(seenFrom(pad)))")
    image = np.array(levels).reshape(28, 28)
    rows, columns = np.nonzero(image > 0.5)
    assert np.ptp(rows) + 1 == pytest.approx(20, abs=1)
    assert np.ptp(columns) + 1 == pytest.approx(10, abs=1)
    assert image.sum(axis=1) @ np.arange(28) / image.sum() == pytest.approx(13.5, abs=0.2)
    assert image.sum(axis=0) @ np.arange(28) / image.sum() == pytest.approx(13.5, abs=0.2)
    browser.run("document.querySelector('#clear').click()")
    assert browser.run("dense(image()).every(level => level === 0)")


@pytest.mark.browser
@pytest.mark.parametrize("pointer", ["mouse", "touch"])
def test_a_stroke_of_the_pointer_is_what_the_networks_see(browser, page, pointer):
    show(browser, page)
    before = browser.run("document.querySelector('#answers').textContent")
    pad = browser.find("#pad")
    moves = [{"type": "pointerMove", "duration": 0, "origin": pad, "x": 0, "y": y} for y in (-60, 60)]
    down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
    actions = [moves[0], down, moves[1], up]
    kind = {"parameters": {"pointerType": pointer}, "type": "pointer", "id": pointer}
    browser.ask("POST", "/actions", actions=[{**kind, "actions": actions}])
    seen = np.array(asked(browser, "plain(dense(image()))")).reshape(28, 28)
    assert seen[5:23, 13:15].min() > 0.5  # an upright line
    assert seen[:, :8].max() == 0
    assert browser.run("document.querySelector('#answers').textContent") != before
    called = browser.run("answerOf(forward(LAYERS, NETWORKS.trained, image()).at(-1))")
    assert browser.run("state.target") == called  # until one says what it should be called
    stroke = "pad.dispatchEvent(new PointerEvent('pointermove', {clientX: 90, clientY: 130}))"
    begin = "pad.dispatchEvent(new PointerEvent('pointerdown', {clientX: 80, clientY: 120}))"
    clock = f"(() => {{ const start = performance.now(); {stroke}; return performance.now() - start; }})()"
    browser.run(f"(pad.setPointerCapture = () => 0, {begin})")
    assert min(browser.run(clock) for _ in range(8)) < 50  # milliseconds to the answer; others may use the processor
    browser.run("(history.replaceState(null, '', '#'), pad.dispatchEvent(new PointerEvent('pointerup')))")
    assert browser.becomes("location.hash.includes('drawn=')", True)  # the last stroke's: the earlier ones' are gone
    seen = asked(browser, "plain(dense(image()))")
    browser.ask("POST", "/refresh")
    assert browser.becomes("document.body.dataset.ready", "yes")
    np.testing.assert_allclose(asked(browser, "plain(dense(image()))"), seen, atol=1 / 30)  # of sixteen levels


@pytest.mark.browser
def test_the_digit_alone_teaches_its_own_name_and_the_page_says_so(browser, page):
    show(browser, page, "#image=3&target=2&ask=0")
    browser.run("(() => { for (let k = 0; k < 40; k++) tick(); look(you); draw(); })()")
    assert (
        browser.run("document.querySelector('#says').textContent") == "Your network calls 100 % of the test images a 2."
    )
    assert browser.run("you.images") == 40
    assert browser.run("careful.images") == 40 * 120


@pytest.mark.browser
def test_on_the_clock_of_images_both_have_read_equally_many(browser, page):
    show(browser, page, "#clock=images")
    assert browser.run("batchSize()") == 30
    browser.run("(() => { for (let k = 0; k < 10; k++) tick(); })()")
    assert browser.run("[you.images, careful.images]") == [300, 240]  # his third step is due at 360


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 900, 1400])
def test_seventy_clicks_in_each_width_leave_no_error_and_nothing_sticks_out(browser, page, width):
    browser.errors()
    if width < 500:
        browser.narrow(width)
    show(browser, page)
    browser.ask("POST", "/window/rect", width=width, height=900)
    browser.run(f"window.draws = generator({width})")
    click = "(all => all[Math.floor(draws() * all.length)].dispatchEvent(new MouseEvent('click', {bubbles: true})))"
    browser.run(f"[...Array(70)].map(() => {click}(document.querySelectorAll('button, [data-open], .wishes')))")
    browser.run("state.running = false")
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.errors() == []
    if width < 500:
        browser.widen()


@pytest.mark.browser
def test_keys_and_address_choose(browser, page):
    show(browser, page, "#image=4&target=9&network=yours&rate=-2&ask=1")
    assert browser.run("[state.image, state.target, state.network, state.rate, asks()]") == [4, 9, "yours", -2, 1]
    browser.run("(document.querySelector('#wishes').focus(), 1)")
    for key in ("right", "down"):
        browser.press(key)
    assert browser.run("state.opened") == ["pixel", 14 * 28 + 1 + 28]
    for key in ("6", "s"):
        browser.run(f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))")
    assert browser.run("[state.target, you.steps]") == [6, 1]
    before, now = browser.run("[NETWORKS.untrained, you.params].map(answerFor)")
    assert browser.run("byId('says').textContent").endswith(f"moved output 6 from {before:.2f} to {now:.2f}.")
    assert browser.becomes("location.hash.includes('target=6')", True)
    browser.run("location.hash = '#open=weight-2-1-15&lines=wishes&back=2'")  # by hand, in the open page
    assert browser.becomes("state.opened?.join()", "weight,2,1,15")
    assert browser.run("[state.lines, state.back, you.steps]") == ["wishes", 2, 1]
    show(browser, page, "#image=99999&target=x&network=none&rate=1e9&open=weight-2-10-0&drawn=07&back=4")
    assert browser.run("[state.image, state.network, state.rate]") == [0, "trained", 1]
    assert browser.run("[state.opened, state.drawn, state.back]") == [None, None, 3]


def test_the_page_is_one_file_that_names_no_other_and_no_data_set_ends_its_script(page, result):
    text = page.read_text()
    script = re.sub(r'"[A-Za-z0-9+/=:;,]{60,}"', '""', text)  # without the numbers
    assert not re.search(r"\b(?:fetch|import|XMLHttpRequest|WebSocket)\b|@import|url\(|https?://", script)
    assert play_figures.page(result, "a<b><script>", (1.0, 1.0), 30).count(b"<script>") == 1
    assert json.loads(re.search(r"const DATA = (.*);\n", text)[1])["trainCount"] == 120


def test_the_sheet_holds_every_image(result):
    picture = Image.open(io.BytesIO(base64.b64decode(play_figures.sheet(result.train_images).partition(",")[2])))
    across = picture.width // 28
    tiles = np.asarray(picture).reshape(-1, 28, across, 28).swapaxes(1, 2).reshape(-1, 28, 28)
    np.testing.assert_array_equal(tiles[:120], result.train_images)


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        ({"cost_fn": costs.sigmoid_cross_entropy}, "computes sigmoids and the film's cost by hand; leave out --cost"),
        ({"activations": None}, "computes sigmoids and the film's cost by hand, which needs plain layers"),
        ({"image_shape": (14, 28, 2)}, "has images of 14 x 28 x 2; one draws in play.html in grey"),
    ],
)
def test_what_the_page_cannot_compute_is_refused(examples, problem, sentence):
    posed = Problem(MODEL, costs.sum_of_squares, examples, examples, (28, 28, 1), (SIGMOID, SIGMOID))
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        play.measure(posed._replace(**problem), SMALLEST)
