"""Two walkers on one surface: what is drawn is what was trained, the page shows it, and the claims."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEAN, SAME_MEDIAN
from PIL import Image
from plotly import graph_objects

from experiments.common import experiment as house
from experiments.common import microscope, plots, walks
from experiments.common.bounds import SettingsError
from experiments.common.hills import View
from experiments.common.microscope import Footsteps, Microscope
from experiments.common.walks import Reading, Walk, Way
from experiments.hill import drunk_man as experiment
from experiments.hill.drunk_man import QUICK, Result, Settings, Walker
from experiments.hill.drunk_man_page_figures import as_page
from research import landscape, paths

SMALLEST = Settings(
    num_seeds=3, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=10, num_epochs=2,
    num_points=21, resolution=6, microscope_steps=8, gif_frames=2, save_points=True,
    layer_sizes=(784, 3, 10),
)  # fmt: skip
DRAWN = "document.body.dataset.ready === 'yes' && document.querySelector('#figure .gl-container canvas') !== null"
STALL = "GPU stall due to ReadPixels"  # Chromium's of every WebGL canvas where there is no graphics card


@pytest.fixture
def finished(ran):
    """(folder, result) of a walk on a small data set."""
    run, folder = ran("drunk_man")
    return folder, run.result


def test_what_is_drawn_are_the_paths_of_plain_descent_on_the_plane_nearest_to_them(ran):
    run, _ = ran("drunk_man")
    result, walked, heights = run.result, plain.walked(run.settings), plain.heights_above(run.settings)
    seen = [points[0, :: walks.leg_length(points.shape[1] - 1, 10, 21)] for points in walked]
    union = np.concatenate(seen)
    centre = union.mean(axis=0)
    _, sizes, directions = np.linalg.svd(union - centre, full_matrices=False)
    directions = directions[:2] * -np.sign(directions[:2] @ (union[0] - centre))[:, None]  # to the right and up
    view = plain.look_down(heights, centre, directions, seen, run.settings.resolution)
    plain.same_view(result.view, view)
    np.testing.assert_allclose(result.shares, sizes[:3] ** 2 / np.sum(sizes**2), atol=1e-4)
    far = np.array([np.linalg.norm(path[-1] - path[0]) for path in seen])
    null = jax.jit(landscape.shares_of_random_walks, static_argnums=1)(far, 3)  # compiled in the run
    np.testing.assert_allclose(result.null_shares, null, atol=1e-4)
    for walker, points, path, shadow in zip(result.walkers, walked, seen, view.shadows, strict=True):
        looked = walker.steps[walker.looked_at]
        np.testing.assert_allclose(points[0, walker.steps], path)
        np.testing.assert_allclose(walker.cost, [heights(each[looked]) for each in points], rtol=1e-4)
        below = heights(centre + shadow[walker.looked_at] @ directions)
        np.testing.assert_allclose(walker.shadow_cost, below, rtol=1e-4)
        assert walker.length == pytest.approx(np.linalg.norm(np.diff(points[0], axis=0), axis=1).sum(), rel=1e-4)
        assert walker.winding == pytest.approx(paths.winding(path), rel=1e-4)


def test_all_are_read_where_plain_descent_is_when_the_clocks_stop(ran):
    run, _ = ran("drunk_man")
    walkers, walked = run.result.walkers, plain.walked(run.settings)
    seconds = [walker.seconds_per_step for walker in walkers]
    for clock, per_step in {"steps": [1.0, 1.0], "examples": [600.0, 10.0], "seconds": seconds}.items():
        numbers = walks.numbers_together([walker.steps[walker.looked_at] for walker in walkers], per_step)
        for way, (walker, points, number) in enumerate(zip(walkers, walked, numbers, strict=True)):
            upto = points[:, : walker.steps[walker.looked_at[number]] + 1]
            wound = [paths.winding(each) if len(each) > 1 else np.nan for each in upto]
            np.testing.assert_allclose(run.result.together[clock].tortuosity[way], wound, rtol=1e-4)
            cost = walker.cost[:, number] if numbers[0] else np.full(3, np.nan)
            np.testing.assert_allclose(run.result.together[clock].cost[way], cost)


def test_under_the_microscope_plain_descent_goes_on_from_the_middle_of_the_drunk_mans_path(ran):
    run, _ = ran("drunk_man")
    seen, steps, heights = run.result.microscope, run.result.walkers[1].steps, plain.heights_above(run.settings)
    train, _, (like, *_), _ = plain.begin(run.settings)
    assert seen.after == steps[len(steps) // 2]
    middle = plain.walked(run.settings)[1][:, seen.after]
    fresh = plain.shuffles(run.settings, 600, 3)[:, 2, :80].reshape(3, 8, 10)  # the third epoch: two were walked
    everything = np.broadcast_to(np.arange(600), (3, 8, 600))
    starts = [plain.unflat(start, like) for start in middle]
    passed = [plain.paths(starts, train, schedules, 0.5) for schedules in (everything, fresh)]
    along = passed[0][0, -1] - middle[0]
    across = np.linalg.svd(np.diff(passed[1][0], axis=0), full_matrices=False)[2][0]
    directions = np.linalg.qr(np.stack([along, across], axis=1))[0].T
    shown = np.array([seen.view.shadows[0][-1, 0], seen.view.shadows[1][-1, 1]])  # either way across is right
    directions *= np.sign(shown * [directions[0] @ along, directions[1] @ (passed[1][0, -1] - middle[0])])[:, None]
    view = plain.look_down(heights, middle[0], directions, [path[0] for path in passed], microscope.LOOKS, every=10)
    plain.same_view(seen.view._replace(surface=seen.view.surface[::10, ::10]), view)
    assert seen.view.shadows[0][-1, 0] > 0
    for found, path, shadow in zip(seen.footsteps, passed, view.shadows, strict=True):
        steps = np.diff(path, axis=1)
        lengths = np.linalg.norm(steps, axis=2)
        np.testing.assert_allclose(found.lengths, lengths, rtol=1e-4)
        np.testing.assert_allclose(found.distance, np.linalg.norm(path[:, 1:] - path[:, :1], axis=2), rtol=1e-4)
        turns = np.sum(steps[:, 1:] * steps[:, :-1], axis=2) / (lengths[:, 1:] * lengths[:, :-1])
        np.testing.assert_allclose(found.cosine, turns, atol=1e-4)
        assert found.share == pytest.approx(np.sum(np.diff(shadow, axis=0) ** 2) / np.sum(lengths[0] ** 2), rel=1e-4)
        slopes = [plain.flat(plain.gradient(plain.unflat(each, like), train)) for each in path[0, :: microscope.EVERY]]
        down = [-slope @ directions.T / np.linalg.norm(slope) for slope in slopes]
        np.testing.assert_allclose(found.downhill, down, atol=1e-4)


def test_the_noise_scale_is_that_where_the_microscope_stands(ran):
    run, _ = ran("drunk_man")
    (train, _, (like, *_), _), seen = plain.begin(run.settings), run.result.microscope
    for scale, start in zip(seen.noise_scale, plain.walked(run.settings)[1][:, seen.after], strict=True):
        params = plain.unflat(start, like)
        squared = np.sum(plain.flat(plain.gradient(params, train)) ** 2)
        assert scale == pytest.approx(plain.scatter(params, train) / squared, rel=1e-4)


def test_footsteps_are_measured_as_by_hand():
    points = np.array([[[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [3.0, 4.0, 0.0], [3.0, 4.0, -5.0], [3.0, 4.0, 5.0]]])
    path = Walk(WAYS[1], np.arange(5), *[points] * 4)
    steps = microscope.footsteps(path, points[0][:, :2], np.zeros((2, 2)))
    assert steps.lengths.tolist() == [[3, 4, 5, 10]]
    assert steps.cosine.tolist() == [[0, 0, -1]]
    assert steps.share == pytest.approx(25 / 150)
    np.testing.assert_allclose(microscope.winding(steps), [[1, 7 / 5, 12 / 50**0.5, 22 / 50**0.5]])
    np.testing.assert_allclose(microscope.own_steps_away(steps), (50 / 37.5) ** 0.5)


@pytest.mark.parametrize("memory", [0.0, 0.1, 1.0])
def test_so_far_lead_steps_that_share_a_direction(memory):
    rng, num_steps, dimensions = np.random.default_rng(0), 40, 4000
    noise = rng.standard_normal((num_steps, dimensions)) / dimensions**0.5
    shared = np.append(np.zeros(dimensions), memory**0.5)
    steps = shared + np.pad((1 - memory) ** 0.5 * noise, ((0, 0), (0, 1)))  # two of them: cosine `memory`
    far = np.linalg.norm(steps.sum(axis=0))
    assert microscope.expected_distance(num_steps, memory) == pytest.approx(far, rel=0.03)


def test_the_page_shows_names_as_they_are():
    page = as_page(graph_objects.Figure(), title="<b>", says="a & <i>", self_contained=False).decode()
    assert page.count("&lt;b&gt;") == 2
    assert "a &amp; &lt;i&gt;" in page
    assert not {"<b>", "<i>"} & set(page.split())
    assert "{{" not in page


def test_the_pictures_move_and_the_page_asks_for_nothing_outside(finished):
    folder, result = finished
    assert all(claim.holds for claim in experiment.claims(result, Settings(dataset="small")))
    with Image.open(folder / "drunk_man.gif") as picture:
        assert picture.n_frames == 2
    page = (folder / "drunk_man.html").read_text()
    assert len(page) < 1_000_000
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,", "../plotly.min.js"]
    assert (folder.parent / "plotly.min.js").stat().st_size > 1_000_000


def test_a_first_look_draws_no_moving_picture():
    assert QUICK.gif_frames == 0 < Settings.gif_frames


@pytest.mark.browser
def test_the_page_shows_the_numbers_of_the_run_its_buttons_work_and_nothing_sticks_out(browser, finished):
    folder, result = finished
    browser.narrow(400)  # where less is to be drawn, without a graphics card
    browser.errors()
    browser.visit((folder / "drunk_man.html").as_uri())
    assert browser.becomes(DRAWN, True)
    assert browser.run("[innerWidth, document.documentElement.scrollWidth]") == [400, 400]
    paths = browser.run("figure.data.filter(t => t.type == 'scatter3d' && t.name).map(t => [t.name, t.z])")
    assert [name for name, _ in paths] == ["careful: full batch, rate 4", "drunk: batches of 10, rate 0.5"]
    for walker, (_, heights) in zip(result.walkers, paths, strict=True):
        np.testing.assert_allclose(heights, walker.cost[0], rtol=1e-3)
    walkers = "figure.data.filter(t => t.type == 'scatter3d' && t.mode == 'markers').map(t => t.z[0])"
    ends = browser.run(walkers)
    np.testing.assert_allclose(ends, [walker.cost[0, -1] for walker in result.walkers], rtol=1e-3)
    browser.click("[data-clock=steps]")
    assert browser.becomes("figure.layout.xaxis.title.text", "steps")
    rows = "[...document.querySelectorAll('#walkers tr')].slice(1).map(r => [...r.cells].map(c => c.textContent))"
    steps, costs = (result.walkers[0].steps[-1], [walker.cost[0, -1] for walker in result.walkers])
    assert result.walkers[1].steps[-1] > steps
    browser.run("show(59) && 1")
    assert [row[3] for row in browser.run(rows)] == ["stopped"] * 2
    assert [float(row[2]) for row in browser.run(rows)] == pytest.approx(costs, rel=0.06)
    number = browser.run(f"figure.layout.meta.clocks.steps.readings.findIndex(r => Number(r) >= {steps})")
    browser.run(f"show({number}) && 1")  # the careful man has taken all his steps, the drunk man goes on
    assert browser.run(rows)[0][1::2] == [str(steps), "stopped"]
    assert browser.run(rows)[1][3] == "walks"
    browser.click("#walkers input")
    assert browser.becomes("figure.data.slice(1, 13).map(t => t.visible !== false)", [False] * 6 + [True] * 6)
    assert {address.split(":")[0] for address in browser.asked()} <= {"file", "data"}
    browser.run("(document.getElementById('time').value = 59)")
    browser.click("#play")
    assert browser.becomes("Number(document.getElementById('time').value) < 59", True)  # from the start on
    assert [error["message"] for error in browser.errors() if STALL not in error["message"]] == []
    browser.narrow(1200)
    assert browser.becomes("[innerWidth, document.documentElement.scrollWidth]", [1200, 1200])
    browser.leave()
    browser.widen()


def hinge(output, target):
    return jnp.sum(jax.nn.relu(0.5 - output * (2 * target - 1)))


def test_another_network_with_a_users_cost_walks_too_and_the_page_can_stand_alone(tmp_path, small_mnist):
    settings = dataclasses.replace(
        SMALLEST, dataset=str(small_mnist), out=tmp_path, cost="test_drunk_man:hinge", layer_sizes=(784, 10),
        output_activation="jax.nn:softmax", batch_sizes=(50,), learning_rates=(0.1,), resolution=5, gif_frames=0,
        full_batch_learning_rates=(0.1,), save_points=False, self_contained=True,
    )  # fmt: skip
    result = house.measured(experiment, settings, house.prepared(experiment, settings))
    assert result.points is None
    assert all(claim.holds for claim in experiment.claims(result, settings))
    page = experiment.figures(result, settings)["drunk_man.html"].content.decode()
    plt.close("all")
    assert re.findall(r"<script[^>]*\ssrc=", page) == []
    assert len(page) > 3_000_000
    assert plots.PLOTLY not in page  # else the house would leave the script beside it


@pytest.mark.parametrize("size", [600, 300])  # a batch of everything is no mini-batch, and four steps are no path
def test_batches_too_large_are_refused_before_anything_is_written(tmp_path, small_mnist, size):
    settings = dataclasses.replace(
        SMALLEST, out=tmp_path, dataset=str(small_mnist), batch_sizes=(10, size), learning_rates=(0.5, 0.5)
    )
    with pytest.raises(SettingsError, match=str(size)):
        house.run(experiment, settings)
    assert not list(tmp_path.iterdir())


WAYS = Way("full batch", 60, 4.0, True), Way("batches of 10", 10, 0.5, False)


def made_up(*, examples=0.5, seconds=0.5, winding=7.0, wrong=0.0, log=0.0, cosine=0.0, distance=2.0):
    """The full batch and batches of 10, seen at three points; in the last of three seeds the batches' cost is such a
    share of the full batch's, after equally many examples and seconds. Under the microscope they make four steps, with
    this mean cosine, and get this far in the median seed."""
    straight = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    view = View(np.arange(2.0), np.arange(2.0), np.ones((2, 2)), (straight, straight), (np.zeros(3), np.zeros(3)))
    numbers, looked = np.arange(3), np.ones((2, 3))
    walkers = tuple(
        Walker(way, 1.0, numbers, numbers, looked, np.ones(3), length, wound)
        for way, length, wound in zip(WAYS, (2.0, 9.0), (1.0, winding), strict=True)
    )
    got = np.outer(distance + 0.1 * SAME_MEDIAN, [0.1, 0.2, 0.5, 1])
    footsteps = tuple(
        Footsteps(way, np.ones((3, 4)), far, cosine + 0.03 * np.outer(SAME_MEAN, np.ones(3)), straight[:2], 0.2)
        for way, far in zip(WAYS, (2 * got, got), strict=True)
    )
    near = Microscope(2, footsteps, view, np.full(3, 1e6))
    full = 0.8 + 0.05 * SAME_MEDIAN
    reading = {
        clock: Reading(np.stack([full, full * np.where(LAST_OFF, share, 0.5)]), np.full((2, 3), 90.0))
        for clock, share in (("steps", 9.0), ("examples", examples), ("seconds", seconds))
    }
    shares = np.array([0.5, 0.3, 0.1])
    return Result(walkers, reading, view, near, shares, shares, wrong, log, None)


FILMS = Settings(batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,))


@pytest.mark.parametrize(
    ("change", "failing"),
    [({}, []), ({"wrong": 9.5e-7, "log": 9.5e-7, "examples": 0.95, "seconds": 0.95}, []), ({"wrong": 1.05e-6}, [0]),
     ({"log": 1.05e-6}, [1]), ({"examples": 1.05}, [2]), ({"seconds": 1.05}, [3]),
     *[({"cosine": sign * 0.047}, []) for sign in (1, -1)], *[({"cosine": sign * 0.053}, [4]) for sign in (1, -1)],
     ({"distance": 1.95}, []), ({"distance": 2.05}, [5])],
)  # fmt: skip
def test_each_claim_fails_where_it_is_not_so(change, failing):
    found = list(experiment.claims(made_up(**change), FILMS))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_where_the_clocks_stopped_at_the_start_nobody_wins():
    assert len(list(experiment.claims(made_up(examples=np.nan, seconds=np.nan), FILMS))) == 4


def test_the_finding_says_who_is_lower_and_what_the_map_hides():
    said = experiment.finding(made_up(), FILMS)
    assert said.startswith("After equally many examples the drunk man (batches of 10) is at cost 0.4, the careful man")
    assert "(full batch) at 0.8 (medians). The map" in said
    assert "hides the drunk man's stumbling: every step counted, his path is 90 times as long as from" in said
    assert "start to end, seen at 3 points 7 times, its shadow 1 times (first seed)" in said
    assert said.endswith("as from start to end (medians): full batch 1, batches of 10 2; a random walk 2.")
    assert "shows the drunk man's stumbling" in experiment.finding(made_up(winding=1.45), FILMS)
    assert "hides the drunk man's stumbling" in experiment.finding(made_up(winding=1.55), FILMS)
