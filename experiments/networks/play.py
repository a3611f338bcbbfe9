"""Draw a digit: what do the networks answer, what does it want, and what does a step change?

A page, play.html: draw a digit, see what three networks answer, untrained, trained, and the one that you train; see
what the digit wants of every neuron, weight and pixel; and take the step, asking this digit alone, a mini-batch or all,
beside a careful man who always asks all. The page computes every number itself, by the few functions of engine.js.
Here the networks are made, and the hill on which both walk: the plane nearest to two such descents, and the exact cost
over the images that lie in the page.

Run:     python -m experiments play [--quick | --full]
Time:    default 40 s, --quick 12 s, --full 11 s on 2 cores, compilation included
Result:  play.html, 1 MB: the trained network reads 95.2 % of the test images, the untrained one 8.9 %.
"""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge, Gt, Interval, MinLen
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int, UInt8

from experiments.common import descents, hills, plots, walks
from experiments.common.bounds import Count, below_train, different, of_test, of_train, require
from experiments.common.claims import Claims
from experiments.common.descents import Method
from experiments.common.problem import Problem, plain_layers
from experiments.networks import play_figures as drawn
from research import costs, data, landscape, sharding


@dataclasses.dataclass(frozen=True)
class Settings(walks.Settings):
    num_seeds: Count = 1
    """How many starts; the page has the first."""
    batch_sizes: Annotated[tuple[int, ...], Ge(1), below_train, MinLen(1), different] = (100,)
    """Mini-batch sizes of the descents that choose the plane."""
    learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1)] = (2.0,)
    """Learning rate for each of them; the page begins with the first."""
    full_batch_learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1), different] = (4.0,)
    """Learning rates of full-batch descent, likewise."""
    num_steps: Annotated[int, Ge(10)] = 300
    """Full-batch steps."""
    num_epochs: Annotated[int, Ge(1)] = 15
    """Passes over the page's images in mini-batches."""
    num_shown: Annotated[int, Ge(10), of_train] = 2000
    """Training images, from the first on, that lie in the page, and over which its hill is computed."""
    num_shown_test: Annotated[int, Ge(1), of_test] = 500
    """Test images that lie in the page."""
    trained_epochs: Annotated[int, Ge(1)] = 10
    """Passes over all training images, in mini-batches of 100, of the trained network."""
    resolution: Annotated[int, Interval(ge=2, le=1001)] = 31
    """Points of the hill along each direction."""


QUICK = Settings(num_shown=500, num_shown_test=200, trained_epochs=1, num_steps=50, num_epochs=10, resolution=11)
FULL = Settings(trained_epochs=20, resolution=41)


class Result(NamedTuple):
    sizes: Int[np.ndarray, "all_layers"]  # neurons, the pixels first
    start: Float[np.ndarray, "params"]
    trained: Float[np.ndarray, "params"]
    train_images: UInt8[np.ndarray, "train height width"]
    train_labels: Int[np.ndarray, "train"]
    test_images: UInt8[np.ndarray, "test height width"]
    test_labels: Int[np.ndarray, "test"]
    origin: Float[np.ndarray, "params"]  # of the plane
    directions: Float[np.ndarray, "2 params"]
    view: hills.View
    accuracy: tuple[float, float]  # of start and trained, on all test images


def measure(problem: Problem, settings: Settings) -> Result:
    why = "play.html computes sigmoids and the film's cost by hand"
    activations = plain_layers(problem, why)
    films = problem.cost_fn is costs.sum_of_squares and set(activations) == {jax.nn.sigmoid}
    require(films, f"{why}; leave out --cost, --activation and --output-activation")
    height, width, channels = problem.image_shape
    require(
        channels == 1 and np.asarray(problem.train.inputs).dtype == np.uint8,
        f"{settings.dataset} has images of {height} x {width} x {channels}; one draws in play.html in grey, so choose "
        "a set of grey images, such as fashion_mnist",
    )
    few, test = (
        data.take(problem.train, slice(settings.num_shown)),
        data.take(problem.test, slice(settings.num_shown_test)),
    )
    page = problem._replace(train=sharding.on_every_device(few))
    points = [walk.point[0] for walk in walks.walk_all(page, settings)]
    plane = jax.jit(landscape.principal_plane)(np.concatenate(points))
    view = hills.look_down(hills.surface_of(page), plane, points, resolution=settings.resolution)
    start, trained = networks(problem, settings)
    accuracy = jax.jit(problem.accuracy)
    train_images, train_labels = grey(few, height, width)
    test_images, test_labels = grey(test, height, width)
    return Result(
        sizes=np.array([height * width, *(len(layer.biases) for layer in start)]),
        start=np.asarray(ravel_pytree(start)[0]),
        trained=np.asarray(ravel_pytree(trained)[0]),
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        origin=np.asarray(plane.origin),
        directions=np.asarray(plane.directions),
        view=view,
        accuracy=(float(accuracy(start, problem.test)), float(accuracy(trained, problem.test))),
    )


def networks(problem: Problem, settings: Settings) -> tuple[list, list]:
    """The first seed's start, the same as that of the descents, and where a long training with a falling rate ends."""
    start, order = descents.begin(problem, settings, settings.trained_epochs)
    num_steps = descents.in_batches(order, 100).shape[1]
    method = Method("the trained network", 100, optax.sgd(descents.falling(4.0, num_steps)))
    end = descents.follow(problem, method, start, order, num_legs=2).end
    start, end = (jax.tree.map(lambda leaf: np.asarray(leaf[0]), params) for params in (start, end))
    return start, end


def grey(examples: data.Examples, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(images, labels) as numpy arrays."""
    return np.asarray(examples.inputs).reshape(-1, height, width), np.asarray(examples.targets).argmax(axis=1)


def claims(result: Result, settings: Settings) -> Claims:
    """None: the page is held by tests, against backpropagation by hand, jax.grad and minibatch_descent."""
    return iter(())


def finding(result: Result, settings: Settings) -> str:
    before, after = (100 * accuracy for accuracy in result.accuracy)
    return (
        f"A page to draw in and to train: its untrained network reads {before:.1f} % of the test images, its trained "
        f"one {after:.1f} %; {len(result.train_images):,} images to train on lie in it."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Page]:
    rates = settings.full_batch_learning_rates[0], settings.learning_rates[0]
    return {"play.html": plots.Page("", drawn.page(result, settings.dataset, rates, settings.batch_sizes[0]))}
