"""Does all this hold for a convolutional network too?

A reader asked about convolutional networks. The suite knows nothing of layers: every image's own gradient by
vmap(grad), their mean, their scatter and noise scale B_simple = tr Sigma / |G|^2, before and after training; and the
cost surface on the plane nearest to the path. Here it is put to the small network of conv_net, trained as there, with
the film's network beside it. --model puts a network of one's own in the place of the convolutional one.

Run:     python -m experiments conv_suite [--quick | --full]
Time:    default 38 s, --quick 13 s (with conv_net), --full 2.5 min on 2 cores, compilation included
Result:  yes: the mean of the single gradients is the gradient; B_simple goes from 83 to 85,000 in 8 epochs, in every
         one of 5 seeds at least 700-fold (the film's network: from 50 to 32,000, at least 430-fold).
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Ge, Gt, Interval
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import cost_looks, descents, hills, plots, runs, two_networks
from experiments.common.bounds import of_train
from experiments.common.claims import Claims, at_least, identity, prediction, within
from experiments.common.cost_looks import Scatter
from experiments.common.problem import Problem
from experiments.networks import two_networks_figures
from research import data, gradients, landscape, sharding
from research.data import Examples

CHECKED = 10  # points of the surface that are computed once more


@dataclasses.dataclass(frozen=True)
class Settings(two_networks.Settings):
    learning_rate: Annotated[float, Gt(0)] = 0.4
    """Learning rate of the convolutional network at first; 0.4 is what conv_net --full chose."""
    plain_learning_rate: Annotated[float, Gt(0)] = 3.2
    """Learning rate of the plain network at first; likewise."""
    statistics_examples: Annotated[int | None, Ge(2), of_train] = None
    """Of how many training images the single gradients are looked at; of all by default."""
    surface_examples: Annotated[int, Ge(1), of_train] = 2000
    """Over how many training images the cost of the surface is averaged."""
    resolution: Annotated[int, Interval(ge=2, le=1001)] = 21
    """Points of the surface along each direction; it is that of the first seed."""


QUICK = Settings(  # one seed needs one device only
    num_seeds=1, num_epochs=1, statistics_examples=3000, surface_examples=500, resolution=11, cpu_devices=1
)  # fmt: skip
FULL = Settings(num_seeds=5, num_epochs=8, resolution=31)


class Result(NamedTuple):
    conv: Scatter
    plain: Scatter
    view: hills.View  # the surface round the convolutional network's path, first seed
    surface_error: float  # largest relative error of CHECKED points


def measure(problem: Problem, settings: Settings) -> Result:
    both = two_networks.pose(problem, settings)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.num_epochs)
    few = data.take(problem.train, slice(settings.statistics_examples))
    found, paths = [], []
    rates = (settings.learning_rate, settings.plain_learning_rate)
    for name, posed, rate in zip(two_networks.NAMES, both, rates, strict=True):
        starts = descents.starts(posed, init_keys)
        trained = two_networks.train(name, posed, settings, rate, starts, order)
        runs.console.print(f"{name}: the gradients of single images ...")
        found.append(cost_looks.scatters(posed, (starts, trained.end), few))
        start = np.asarray(ravel_pytree(jax.tree.map(lambda leaf: leaf[0], starts))[0])
        paths.append(np.concatenate([start[None], trained.places[0]]))
    runs.console.print("computing the surface ...")
    conv, plain = found
    return Result(conv, plain, *hill(both[0], settings, paths[0]))


def hill(problem: Problem, settings: Settings, path: np.ndarray) -> tuple[hills.View, float]:
    """The surface on the plane nearest to a path (points, parameters), by a way that knows nothing of layers.
    And the largest relative difference between CHECKED of its points and the same cost, all images at once."""
    few = sharding.on_every_device(data.take(problem.train, slice(settings.surface_examples)))
    unravel, plain = hills.unravel_of(problem), gradients.mean_over_examples(problem.example_cost)

    @jax.jit
    def at_places(plane: landscape.Plane, examples: Examples, places: Array) -> Array:
        point_at = partial(landscape.point_at, plane)
        return jax.lax.map(lambda place: plain(unravel(point_at(place)), examples), places)

    plane = jax.jit(landscape.principal_plane)(path)
    surface = hills.surface_of(problem._replace(train=few))
    view = hills.look_down(surface, plane, [path], resolution=settings.resolution)
    rows, columns = np.random.default_rng(settings.seed).integers(0, settings.resolution, (2, CHECKED))
    wanted = np.asarray(at_places(plane, few, np.stack([view.alphas[rows], view.betas[columns]], axis=1)))
    return view, float(np.max(np.abs(view.surface[rows, columns] - wanted) / np.abs(wanted)))


def claims(result: Result, settings: Settings) -> Claims:
    conv = result.conv
    yield identity("C9", "the mean of all images' own gradients is the gradient of the mean cost, before and after "
                   "training", conv.average_error.max(), within(0, 1e-6, 0), "of a typical |g_i|",
                   "the derivative of a mean, float32")  # fmt: skip
    yield identity("C9", f"the surface is the cost itself: {CHECKED} points of it, all images at once",
                   result.surface_error, within(0, 1e-6, 0), "largest relative error",
                   "the same mean in chunks, float32")  # fmt: skip
    if settings.are_usual and settings.num_epochs >= 5:
        yield prediction("E5", "B_simple grows by what it grew by in 5 epochs of the film's kind of network, or more",
                         np.min(conv.noise_scale[:, 1] / conv.noise_scale[:, 0]), at_least(49),
                         "times, least of all seeds", "1.1 to 54 on 8x8 digits, computed before")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    start, end = np.median(result.conv.noise_scale, axis=0)
    epochs = f"{settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}"
    return (
        f"The mean of all images' own gradients is the gradient of the mean cost to "
        f"{result.conv.average_error.max():.1g} of a typical one; the batch in which noise and signal are equal grows "
        f"from {start:,.0f} to {end:,.0f} images in {epochs}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"conv_suite": two_networks_figures.suite(result, settings)}
