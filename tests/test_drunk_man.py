"""Two walkers: how they are watched and measured, and that what is drawn is what was trained."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from experiments import drunk_man as experiment
from experiments.common.settings import SettingsError
from research import data


@hypothesis_settings(max_examples=200, deadline=None)
@given(total=st.integers(1, 5000), num_steps=st.integers(10, 400), num_points=st.integers(10, 200))
def test_all_are_seen_after_equally_many_steps_and_not_too_often(total, num_steps, num_points):
    length = experiment.leg_length(total, num_steps, num_points)
    assert num_steps % length == 0
    assert total // length >= min(total, 3)
    divisors = [each for each in range(1, max(1, total // 3) + 1) if num_steps % each == 0]
    few_enough = [each for each in divisors if total <= each * num_points]
    assert length == min(few_enough, default=max(divisors))


def test_equal_legs_are_the_same_steps_in_the_same_order():
    rows = np.arange(2 * 23 * 3).reshape(2, 23, 3)
    chunks = [chunk for (chunk,) in experiment.in_equal_legs(rows, 2)]
    assert len({chunk.shape for chunk in chunks}) == 1
    np.testing.assert_array_equal(np.concatenate(chunks, axis=1).reshape(2, -1, 3), rows[:, :22])


def test_clocks_stop_when_the_first_walker_ends_and_the_look_before_counts():
    careful = experiment.Looks(np.arange(3), np.array([0, 1, 2]), np.array([[3.0, 2.0, 1.0]]))
    drunk = experiment.Looks(np.arange(4), np.array([0, 4, 9, 12]), np.array([[3.0, 0.5, 0.4, 0.3]]))
    assert experiment.numbers_together([careful, drunk], [1.0, 1.0]) == [2, 0]  # 2 steps each
    assert experiment.numbers_together([careful, drunk], [10.0, 1.0]) == [1, 2]  # 10 examples, for one ends at 12
    assert experiment.numbers_together([careful, drunk], [100.0, 1.0]) == [0, 0]  # nobody looked so early


def test_readings_are_taken_at_that_look_and_are_nothing_where_it_is_the_start():
    line = np.stack([np.arange(5.0), np.zeros(5)], axis=1)[None]
    walk = experiment.Walk(np.arange(5), experiment.Sight(line, 2 * np.arange(5.0)[None], None), np.zeros((1, 4)))
    looks = experiment.Looks(np.array([0, 2, 4]), np.array([0, 2, 4]), np.array([[3.0, 2.0, 1.0]]))
    found = experiment.read_together([walk, walk], [looks, looks], [1.0, 2.0])
    assert found.cost.tolist() == [[1.0], [2.0]]
    assert found.tortuosity.tolist() == [[2.0], [2.0]]
    assert np.isnan(experiment.read_together([walk, walk], [looks, looks], [1.0, 0.1]).cost).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 9),
        ("resolution", 1),
        ("batch_sizes", (10, 10)),
        ("learning_rates", (0.5, 4.0)),
        ("gif_frames", -1),
        ("full_batch_learning_rates", (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(experiment.QUICK, out=tmp_path, **{field: value}).check()


@pytest.mark.parametrize("size", [600, 300])  # a batch of everything is no mini-batch, and two steps are no path
def test_batches_too_large_are_refused_before_anything_is_written(tmp_path, small_mnist, size):
    settings = dataclasses.replace(experiment.QUICK, out=tmp_path, dataset=str(small_mnist), batch_sizes=(10, size))
    with pytest.raises(SettingsError, match=str(size)):
        experiment.run(settings)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    """(folder, record, arrays, points) of a walk on a small data set."""
    out = tmp_path_factory.mktemp("walk")
    settings = dataclasses.replace(
        experiment.QUICK, dataset=str(small_mnist), out=out, batch_sizes=(10,), learning_rates=(0.5,), num_epochs=2,
        num_steps=10, save_points=True, gif_frames=3, resolution=6,
    )  # fmt: skip
    experiment.run(settings)
    experiment.plot(out)
    record, arrays = experiment.records.read_run(out / "drunk_man")
    with np.load(out / "drunk_man" / "points.npz") as points:
        return out / "drunk_man", record, arrays, [points[str(index)].astype(float) for index in range(2)]


def test_what_is_drawn_is_true(finished):
    _, record, _, _ = finished
    assert [claim["id"] for claim in record["claims"]] == ["T35", "T35"]  # the others are about the film's network
    assert all(claim["holds"] for claim in record["claims"])


def test_shadows_and_distances_are_those_of_the_points_by_numpy(finished):
    _, _, arrays, points = finished
    union = np.concatenate(points)
    centre = union.mean(axis=0)
    _, sizes, directions = np.linalg.svd(union - centre, full_matrices=False)
    for index, path in enumerate(points):
        away = path - centre
        shadow = away @ directions[:2].T
        np.testing.assert_allclose(np.abs(arrays[f"view_{index}_shadow"]), np.abs(shadow), atol=2e-4)
        off_plane = np.linalg.norm(away - shadow @ directions[:2], axis=1)
        np.testing.assert_allclose(arrays[f"view_{index}_off_plane"], off_plane, atol=2e-4)
    assert (sizes[:2] ** 2).sum() / (sizes**2).sum() == pytest.approx(sum(finished[1]["union_shares"][:2]), abs=1e-4)


def test_the_cost_of_the_last_point_is_that_of_the_network_it_stands_for(finished, small_mnist):
    _, _, arrays, points = finished
    train = data.load(str(small_mnist))
    for index, path in enumerate(points):
        activations, at = train.inputs / 255, 0
        for inputs, outputs in ((784, 16), (16, 16), (16, 10)):
            weights, at = path[-1, at : at + inputs * outputs].reshape(outputs, inputs), at + inputs * outputs
            biases, at = path[-1, at : at + outputs], at + outputs
            activations = 1 / (1 + np.exp(-(activations @ weights.T + biases)))
        cost = np.mean(np.sum((activations - train.targets) ** 2, axis=1))
        assert arrays[f"{index}_cost"][0, -1] == pytest.approx(cost, rel=1e-5)


def test_it_leaves_figures_a_moving_picture_and_a_page_that_asks_for_nothing_outside(finished):
    folder = finished[0]
    for name in ("drunk_man.png", "how_drunk.png", "random_plane.png"):
        assert (folder / name).stat().st_size > 20_000
    with Image.open(folder / "drunk_man.gif") as picture:
        assert picture.n_frames == 3
    page = (folder / "drunk_man.html").read_text()
    assert len(page) < 1_000_000
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,", "../plotly.min.js"]
    assert (folder.parent / "plotly.min.js").stat().st_size > 1_000_000


def click_button(browser, text):
    """A real click on the page's button with this text."""
    places = f"[...document.querySelectorAll('.updatemenu-button')].map(b => b.textContent).indexOf('{text}')"
    browser.run(f"document.querySelectorAll('.updatemenu-button')[{places}].setAttribute('id', 'wanted') || 1")
    browser.click("#wanted")
    browser.run("document.getElementById('wanted').removeAttribute('id') || 1")


DRAWN = "Boolean(window.Plotly) && document.querySelector('#figure .gl-container canvas') !== null"


@pytest.mark.browser
def test_the_page_shows_the_numbers_of_the_run_and_its_buttons_work(browser, finished):
    folder, _, arrays, _ = finished
    browser.narrow(400)  # where less is to be drawn, without a graphics card
    browser.errors()
    browser.visit((folder / "drunk_man.html").as_uri())
    assert browser.becomes(DRAWN, True)
    paths = browser.run("figure.data.filter(t => t.type == 'scatter3d' && t.name).map(t => [t.name, t.z])")
    assert [name for name, _ in paths] == ["careful: full batch, rate 4", "drunk: batches of 10, rate 0.5"]
    for index, (_, heights) in enumerate(paths):
        np.testing.assert_allclose(heights, arrays[f"{index}_cost"][0], rtol=1e-3)
    walkers = "figure.data.filter(t => t.type == 'scatter3d' && t.mode == 'markers').map(t => t.z[0])"
    ends = browser.run(walkers)
    np.testing.assert_allclose(ends, [arrays[f"{index}_cost"][0, -1] for index in range(2)], rtol=1e-3)
    click_button(browser, "clock: seconds")
    assert browser.becomes("figure.layout.xaxis.title.text.split(' ')[0]", "seconds")
    assert browser.run("figure.layout.sliders.map(s => s.visible)") == [False, True]
    assert all(name.startswith("file:") for name in browser.run("performance.getEntries().map(e => e.name)")
               if "://" in name)  # fmt: skip
    click_button(browser, "▶ Play")
    assert browser.becomes("figure.layout.sliders[1].active < 59", True)  # from the start on, no longer at the end
    assert [error for error in browser.errors() if error["level"] == "SEVERE"] == []  # plotly's own warnings apart
    browser.widen()


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_of_the_page_sticks_out(browser, finished, width):
    browser.narrow(width)
    browser.visit((finished[0] / "drunk_man.html").as_uri())
    assert browser.becomes(DRAWN, True)
    assert browser.run("innerWidth") == width
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.widen()


def hinge(output, target):
    return jnp.sum(jax.nn.relu(0.5 - output * (2 * target - 1)))


def test_another_network_with_a_users_cost_walks_too_and_the_page_can_stand_alone(tmp_path, small_mnist):
    settings = dataclasses.replace(
        experiment.QUICK, dataset=str(small_mnist), out=tmp_path, cost="test_drunk_man:hinge", layer_sizes=(784, 10),
        output_activation="jax.nn:softmax", batch_sizes=(50,), learning_rates=(0.1,), num_steps=10, resolution=5,
        full_batch_learning_rates=(0.1, 0.05), self_contained=True,
    )  # fmt: skip
    experiment.run(settings)
    experiment.plot(tmp_path)
    record = json.loads((tmp_path / "drunk_man" / "run.json").read_text())
    assert all(claim["holds"] for claim in record["claims"])
    page = (tmp_path / "drunk_man" / "drunk_man.html").read_text()
    assert re.findall(r"<script[^>]*\ssrc=", page) == []
    assert len(page) > 3_000_000
    assert not (tmp_path / "plotly.min.js").exists()


def test_the_title_says_where_the_careful_man_does_not_walk_straight_on():
    methods = [{"label": "full batch", "batch_size": 9}, {"label": "batches of 2", "batch_size": 2}]
    arrays = {"together_examples_tortuosity": np.array([[1.5, 1.5, 1.5], [7.0, 8.0, 9.0]])}
    claim = {"says": "the careful man walks on as he went: cosine of his successive steps, rate 4", "low": 0.5}
    record = {"methods": methods, "claims": [claim | {"measured": -0.3, "holds": False}]}
    walked = "The drunk man (batches of 2) walks 8 times as far as he gets"
    said = experiment.figures.who_stumbles(record, arrays)
    assert said.startswith(walked)
    assert said.endswith("(cosine 0.5 or more), but with rate 4 he turns round: -0.30")
    record["claims"][0]["holds"] = True
    assert experiment.figures.who_stumbles(record, arrays) == walked
