"""A random plane: it goes through the end of a path, and its directions are scaled to that network's weights."""

import numpy as np
import plain
import threefry
from helpers import SAME_MEDIAN

from experiments.common import walks
from experiments.hill import random_plane as experiment
from research.models import Layer

SMALLEST = experiment.Settings(
    num_seeds=2, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=10, num_epochs=1,
    num_points=11, resolution=4, layer_sizes=(784, 3, 10),
)  # fmt: skip


def as_long(drawn, like):
    """The drawn weights of every neuron, as long as its own are; no biases."""
    ratio = np.linalg.norm(like.weights, axis=1) / np.linalg.norm(drawn.weights, axis=1)
    return Layer(drawn.weights * ratio[:, None], np.zeros_like(drawn.biases))


def test_plain_descents_are_seen_on_a_random_plane_of_their_seed(ran):
    run, _ = ran("random_plane")
    settings, result, like = run.settings, run.result, plain.begin(run.settings)[2][0]
    walked, heights = plain.walked(settings), plain.heights_above(settings)
    legs = [walks.leg_length(points.shape[1] - 1, settings.num_steps, settings.num_points) for points in walked]
    for seed in range(settings.num_seeds):  # its plane goes through the end of its last path
        paths = [points[seed, ::leg] for points, leg in zip(walked, legs, strict=True)]
        origin = paths[-1][-1]
        end = plain.unflat(origin, like)
        drawn = [threefry.normal(key, origin.shape) for key in threefry.split(threefry.key(settings.seed + seed))]
        first, second = (plain.flat(map(as_long, plain.unflat(each, like), end)) for each in drawn)
        directions = np.linalg.qr(np.stack([first, second], axis=1))[0].T
        directions *= np.sign(np.sum(directions * [first, second], axis=1, keepdims=True))
        view = plain.look_down(heights, origin, directions, paths, settings.resolution, reach=np.linalg.norm(first))
        if seed == 0:
            plain.same_view(result.view, view)
        lines = [np.linalg.norm(path[-1] - path[0]) for path in paths]
        np.testing.assert_allclose(result.moved[seed], lines, rtol=1e-4)
        lines = [np.linalg.norm(shadow[-1] - shadow[0]) for shadow in view.shadows]
        np.testing.assert_allclose(result.shown[seed], lines, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(result.hidden[seed], [max(each) for each in view.off_plane], rtol=1e-4)


def test_the_finding_is_about_the_full_batch_and_the_farthest_path():
    shown, moved, hidden = (np.array(pair) + SAME_MEDIAN[:, None] for pair in ((1.0, 9.0), (20.0, 30.0), (5.0, 50.0)))
    result = experiment.Result((), None, moved, shown, hidden)
    said = experiment.finding(result, SMALLEST)
    assert "path goes 20 from start to end, its shadow on the plane 1, and the paths run up to 50 off it" in said
