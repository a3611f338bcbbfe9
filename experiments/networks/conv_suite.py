"""Does all this hold for a convolutional network too?

A reader asked about convolutional networks. The suite knows nothing of layers: every image's own gradient by
vmap(grad), their mean, their scatter and noise scale B_simple = tr Sigma / |G|^2, before and after training; and the
cost surface on the plane nearest to the path. Here it is put to the small network of conv_net, trained as there, with
the film's network beside it. --model puts a network of one's own in the place of the convolutional one.

Run:     python -m experiments conv_suite [--quick | --full]
Time:    default 38 s, --quick 13 s, --full 2.5 min on 2 cores, compilation included; timed together with conv_net
Result:  yes: the mean of the single gradients is the gradient to 3e-8; B_simple goes from 83 to 85,000 in 8 epochs
         (medians of 5 seeds).
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.common import descents, hills, runs, two_networks
from experiments.common.bounds import of_train
from experiments.common.claims import Claim, at_least, identity, number, prediction, within
from experiments.common.problem import Problem
from experiments.networks import conv_suite_figures
from research import data, gradients, landscape, models, sharding, statistics
from research.data import Examples

CHECKED = 10  # points of the surface that are computed once more


@dataclasses.dataclass(frozen=True)
class Settings(two_networks.Settings):
    """Settings of the suite."""

    learning_rate: Annotated[float, Gt(0)] = 0.4
    """Learning rate of the convolutional network at first; 0.4 is what conv_net --full chose."""
    plain_learning_rate: Annotated[float, Gt(0)] = 3.2
    """Learning rate of the plain network at first; likewise."""
    statistics_examples: Annotated[int | None, Ge(2), of_train] = None
    """Of how many training images the single gradients are looked at; of all by default."""
    surface_examples: Annotated[int, Ge(1), of_train] = 2000
    """Over how many training images the cost of the surface is averaged."""
    resolution: Annotated[int, Ge(2)] = 21
    """Points of the surface along each direction; it is that of the first seed."""


QUICK = Settings(  # one seed needs one device only
    num_seeds=1, num_epochs=1, statistics_examples=3000, surface_examples=500, resolution=11, cpu_devices=1
)  # fmt: skip
FULL = Settings(num_seeds=5, num_epochs=8, resolution=31)


class Scatter(NamedTuple):
    """The gradients of the single images, at one place of every seed."""

    mean_error: Float[np.ndarray, "seeds"]  # largest difference between their mean and the gradient of the mean cost
    squared_norm: Float[np.ndarray, "seeds"]  # |G|^2
    total_variance: Float[np.ndarray, "seeds"]  # tr Sigma

    @property
    def noise_scale(self) -> np.ndarray:
        """B_simple."""
        return self.total_variance / self.squared_norm


class Scatters(NamedTuple):
    """One network's, before and after training."""

    start: Scatter
    end: Scatter


class Result(NamedTuple):
    """Both networks' gradients, and the surface round the convolutional one's path, first seed."""

    conv: Scatters
    plain: Scatters
    view: hills.View
    surface_error: float  # largest relative error of CHECKED points


def measure(problem: Problem, settings: Settings) -> Result:
    """Trains both networks on the same batches, and looks at the gradients and at the surface."""
    both = two_networks.pose(problem, settings)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.num_epochs)
    found, paths = [], []
    rates = (settings.learning_rate, settings.plain_learning_rate)
    for name, posed, rate in zip(two_networks.NAMES, both, rates, strict=True):
        starts = descents.starts(posed, init_keys)
        trained = two_networks.train(name, posed, settings, rate, starts, order)
        runs.console.print(f"{name}: the gradients of single images ...")
        found.append(scatters(posed, settings, starts, trained.end))
        start = np.asarray(ravel_pytree(jax.tree.map(lambda leaf: leaf[0], starts))[0])
        paths.append(np.concatenate([start[None], trained.places[0]]))
    runs.console.print("computing the surface ...")
    conv, plain = found
    view, surface_error = hill(both[0], settings, paths[0])
    return Result(conv, plain, view, surface_error)


def scatters(problem: Problem, settings: Settings, starts: models.Params, ends: models.Params) -> Scatters:
    """Every seed's, over the images of --statistics-examples."""
    few = data.take(problem.train, slice(settings.statistics_examples))
    scatter_of = jax.jit(runs.over_seeds(partial(scatter, problem), (0, None)))
    return Scatters(scatter_of(starts, few), scatter_of(ends, few))


def scatter(problem: Problem, params: models.Params, examples: Examples) -> Any:
    """The mean of all single gradients against the gradient of the mean cost, and how they scatter."""
    found = problem.explicit.moments(params, examples)
    apart = jax.tree.map(
        lambda one, other: jnp.abs(one - other).max(), found.mean, jax.grad(problem.cost)(params, examples)
    )
    return Scatter(
        mean_error=jax.tree.reduce(jnp.maximum, apart),  # pyright: ignore[reportArgumentType]
        squared_norm=statistics.squared_norm(found.mean),  # pyright: ignore[reportArgumentType]
        total_variance=statistics.total_variance(found),  # pyright: ignore[reportArgumentType]
    )


def hill(problem: Problem, settings: Settings, path: np.ndarray) -> tuple[hills.View, float]:
    """The surface on the plane nearest to a path (points, parameters), by a way that knows nothing of layers.

    And the largest relative difference between CHECKED of its points and the same cost, all images at once.
    """
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


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """C9: what holds for any network; how far B_simple grows only for these networks and MNIST."""
    conv = result.conv
    yield identity("C9", "the mean of all images' own gradients is the gradient of the mean cost, before and after "
                   "training", max(each.mean_error.max() for each in conv), within(0, 1e-6, 0),
                   "max abs difference", "the derivative of a mean, float32")  # fmt: skip
    yield identity("C9", f"the surface is the cost itself: {CHECKED} points of it, all images at once",
                   result.surface_error, within(0, 1e-6, 0), "largest relative error",
                   "the same mean in chunks, float32")  # fmt: skip
    if settings.are_usual:
        yield prediction("E5", "B_simple grows at least tenfold in training, as for the film's network",
                         np.min(conv.end.noise_scale / conv.start.noise_scale), at_least(10),
                         "times, least of all seeds", "the film's network, minibatch_quality")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """How far the mean of the gradients is off, and how B_simple grows."""
    off = max(each.mean_error.max() for each in result.conv)
    start, end = (np.median(each.noise_scale) for each in result.conv)
    epochs = f"{settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}"
    return (
        f"The mean of all images' own gradients is the gradient of the mean cost to {off:.1g}; B_simple goes from "
        f"{number(start)} to {number(end)} in {epochs}."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    """Surface and noise scale side by side."""
    return {"conv_suite": conv_suite_figures.page(result, settings, finding(result, settings))}
