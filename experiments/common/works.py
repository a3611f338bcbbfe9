"""What the benchmark times: six works, each done by the library, by JAX written more plainly, and by its peers."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, hills, peers, runs
from experiments.common.problem import Problem
from research import costs, data, gradients, landscape, models, sharding, statistics, training
from research.data import Examples, unit_interval
from research.training import TrainState

RATE = 1.0
BATCH_SIZE = 100


class Way(NamedTuple):
    """One contestant: what it computes, and how many times that makes the whole work."""

    call: Callable[[], Any]
    times: int = 1


class Work(NamedTuple):
    """What is to be done, and by whom; the first is the library."""

    name: str
    ways: dict[str, Way]


class Contest(NamedTuple):
    """What all works have in common; parameters are of one seed. For the peers the images lie there as float32 too."""

    problem: Problem
    params: models.Params
    by_hand: tuple[list, np.ndarray, np.ndarray] | None  # parameters, images, targets; None for another cost
    by_torch: tuple[list, Any, Any] | None  # the same as tensors


def prepare(problem: Problem, seed: int) -> Contest:
    """Numpy and PyTorch take part where they know the cost and the activations."""
    params = problem.model.init(jax.random.key(seed))
    known = problem.cost_fn is costs.sum_of_squares and problem.activations == (jax.nn.sigmoid, jax.nn.sigmoid)
    if not known:
        return Contest(problem, params, None, None)
    by_hand = (
        jax.tree.map(np.asarray, params),
        np.asarray(unit_interval(problem.train.inputs)),
        np.asarray(problem.train.targets),
    )
    by_torch = (peers.to_torch(by_hand[0]), *map(peers.to_torch, by_hand[1:])) if peers.has_torch() else None
    return Contest(problem, params, by_hand, by_torch)


def epoch(contest: Contest) -> Work:
    """600 steps of 100 images for 60,000; everybody in the same order, which is drawn beforehand."""
    train, params, optimizer = contest.problem.train, contest.params, optax.sgd(RATE)
    on_one = jax.device_put((train, params), jax.devices()[0])
    rows = np.random.default_rng(0).permutation(len(train.inputs))
    rows = rows[: len(rows) // BATCH_SIZE * BATCH_SIZE].reshape(-1, BATCH_SIZE)
    step = training.make_step(gradients.mean_over_examples(contest.problem.example_cost), optimizer)
    whole, one_step = jax.jit(partial(training.minibatch_descent, step, observe=lambda state: ())), jax.jit(step)

    def scanned() -> Any:
        return whole(TrainState(on_one[1], optimizer.init(params)), on_one[0], rows[None])[0].params

    def called() -> Any:
        state = TrainState(on_one[1], optimizer.init(params))
        for chosen in rows:
            state, _ = one_step(state, jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], images))
        return state.params

    images = jax.tree.map(np.asarray, train)
    ways = {"the library: one scan": Way(scanned), "JAX: a jitted step called from Python": Way(called)}
    if contest.by_hand:
        ways["numpy by hand"] = Way(partial(peers.numpy_epoch, *contest.by_hand, rows, RATE))
    if contest.by_torch:
        ways["PyTorch, autograd"] = Way(partial(peers.torch_epoch, *contest.by_torch, peers.to_torch(rows), RATE))
    return Work("an epoch of SGD", ways)


def full_gradient(contest: Contest) -> Work:
    """Of the mean cost of all images."""
    train, params = jax.device_put((contest.problem.train, contest.params), jax.devices()[0])
    chunked = jax.jit(jax.grad(contest.problem.cost))
    at_once = jax.jit(jax.grad(gradients.mean_over_examples(contest.problem.example_cost)))
    ways = {
        "the library: in chunks": Way(lambda: chunked(params, train)),
        "JAX: all images at once": Way(lambda: at_once(params, train)),
    }
    if contest.by_hand:
        ways["numpy by hand"] = Way(partial(peers.numpy_gradient, *contest.by_hand))
    if contest.by_torch:
        ways["PyTorch, autograd"] = Way(partial(peers.torch_gradient, *contest.by_torch))
    return Work("the gradient over all images", ways)


def variances(contest: Contest) -> Work:
    """Of every component, over the single gradients of all images, each of them formed."""
    train, params = contest.problem.train, sharding.on_every_device(contest.params)
    shared, alone = (jax.jit(way(contest.problem.explicit.moments)) for way in (statistics.shared_out, same))
    on_one = jax.device_put((params, train), jax.devices()[0])
    ways = {
        "the library: all devices": Way(lambda: shared(params, train).variance),
        "the library: one device": Way(lambda: alone(*on_one).variance),
    }
    if contest.by_torch:
        ways["PyTorch, vmap(grad)"] = Way(partial(peers.torch_variances, *contest.by_torch))
    return Work("variance of all single gradients", ways)


def variances_by_layers(contest: Contest) -> Work:
    """The same from the layers' factors, no gradient formed; of the weights only, as the one by hand is."""
    train, params = contest.problem.train, sharding.on_every_device(contest.params)
    shared, alone = (jax.jit(way(contest.problem.statistics.moments)) for way in (statistics.shared_out, same))
    on_one = jax.device_put((params, train), jax.devices()[0])

    def weights(variance: list) -> list:
        return [layer.weights for layer in variance]

    ways = {
        "the library: all devices": Way(lambda: weights(shared(params, train).variance)),
        "the library: one device": Way(lambda: weights(alone(*on_one).variance)),
    }
    if contest.by_hand:
        ways["numpy by hand"] = Way(partial(peers.numpy_variances, *contest.by_hand))
    return Work("the same by the layers' factors", ways)


def same(fun: Callable) -> Callable:
    """The function as it is."""
    return fun


def grid(settings: Any, contest: Contest) -> Work:
    """The cost over a square round the start, along two other starts. Who is slow does only one row of it."""
    some = data.take(contest.problem.train, slice(settings.surface_examples))
    problem = contest.problem._replace(train=sharding.on_every_device(some))
    others = [problem.model.init(jax.random.key(seed)) for seed in (1, 2)]
    points = [ravel_pytree(each)[0] for each in (contest.params, *others)]
    plane = landscape.Plane(points[0], jnp.stack(points[1:]))  # not orthonormal, which no contestant minds
    side = np.linspace(-1, 1, settings.resolution, dtype=np.float32)
    quick, plain = hills.surface_of(problem), plain_surface(problem)
    own = "the library: the first layer thrice" if problem.activations else "the library: all devices"
    ways = {
        own: Way(lambda: quick(plane, side, side)),
        "the library: any network, one row": Way(lambda: plain(plane, side[:1], side), len(side)),
    }
    if contest.by_torch:
        layers = peers.to_torch([contest.params, *others])
        images = [tensor[: settings.surface_examples] for tensor in contest.by_torch[1:]]
        whole, row = peers.to_torch([side, side]), peers.to_torch([side[:1], side])
        ways["PyTorch, the first layer thrice"] = Way(partial(peers.torch_surface_of_layers, layers, *images, *whole))
        ways["PyTorch, plain, one row"] = Way(partial(peers.torch_surface, layers, *images, *row), len(side))
    return Work("the cost over a grid", ways)


def plain_surface(problem: Problem) -> hills.Surface:
    """As a network that is not made of plain layers has it."""
    unravel, train = hills.unravel_of(problem), jax.device_put(problem.train, jax.devices()[0])

    @jax.jit
    def surface(plane: landscape.Plane, alphas: Array, betas: Array, train: Examples) -> Array:
        return landscape.surface(lambda point: problem.cost(unravel(point), train), plane, alphas, betas)

    return lambda plane, alphas, betas: surface(plane, alphas, betas, train)


def seeds(settings: Any, contest: Contest) -> Work:
    """An epoch of every seed, each with its own start and order."""
    problem, optimizer = contest.problem, optax.sgd(RATE)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    starts = descents.starts(problem, init_keys)
    rows = descents.in_batches(descents.shuffles(shuffle_keys, len(problem.train.inputs), 1), BATCH_SIZE)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)

    def run(start: list, rows: Array, train: Examples) -> list:
        state = TrainState(start, optimizer.init(start))
        return training.minibatch_descent(step, state, train, rows[None], lambda state: ())[0].params

    together, alone = jax.jit(runs.over_seeds(run, (0, 0, None))), jax.jit(run)
    first, first_rows, train = jax.device_put(
        (jax.tree.map(lambda leaf: leaf[0], starts), rows[0], problem.train), jax.devices()[0]
    )
    return Work(
        "an epoch of every seed",
        {
            f"the library: {settings.num_seeds} seeds over the devices": Way(
                lambda: jax.tree.map(lambda leaf: leaf[0], together(starts, rows, problem.train))
            ),
            "the library: one seed, so many times": Way(lambda: alone(first, first_rows, train), settings.num_seeds),
        },
    )


def all_works(settings: Any, contest: Contest) -> list[Work]:
    """Those that this network can do: only plain layers have factors."""
    works = [epoch(contest), full_gradient(contest), variances(contest)]
    works += [] if contest.problem.activations is None else [variances_by_layers(contest)]
    return [*works, grid(settings, contest), seeds(settings, contest)]
