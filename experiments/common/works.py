"""What the benchmark times: six works, each done by the library, by JAX written more plainly, and by its peers.

Beside the two that are nearly all products of matrices stands a bound: how long their operations alone take at the
rate of numpy's sgemm, which is measured in the same rounds.
"""

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, hills, in_c, peers, runs
from experiments.common.problem import Problem
from research import costs, data, gradients, landscape, models, sharding, training
from research.data import Examples, unit_interval
from research.training import TrainState

RATE = 1.0
SGD = optax.sgd(RATE)
BATCH_SIZE = in_c.BATCH_SIZE
ONE_THREAD, ALL_CORES = "C by hand, one thread", "C by hand, all cores"
BOUND = "bound: the products alone, sgemm on all cores"
SQUARE = 1024  # rows and columns of the matrices that sgemm multiplies


class Way(NamedTuple):
    """One contestant: what it computes, and how many times that makes the whole work."""

    call: Callable[[], Any]
    times: float = 1


class Work(NamedTuple):
    """What is to be done, and by whom; the first is the library. `missing` says of others why they take no part."""

    name: str
    ways: dict[str, Way]
    missing: tuple[str, ...] = ()


class Contest(NamedTuple):
    """What all works have in common; parameters are of one seed. For the peers the images lie there as float32 too."""

    problem: Problem
    params: models.Params
    by_hand: tuple[list, np.ndarray, np.ndarray] | None  # parameters, images, targets; None for another cost
    by_torch: list | None  # the same as tensors
    in_c: ctypes.CDLL | None
    not_in_c: str  # why not; empty where C takes part


def prepare(problem: Problem, seed: int) -> Contest:
    """Numpy, PyTorch and C take part where they know the cost, the activations and, C, the sizes."""
    params, by_hand = problem.model.init(jax.random.key(seed)), None
    if problem.cost_fn is costs.sum_of_squares and problem.activations == (jax.nn.sigmoid, jax.nn.sigmoid):
        images, targets = np.asarray(unit_interval(problem.train.inputs)), np.asarray(problem.train.targets)
        by_hand = (jax.tree.map(np.asarray, params), images, targets)
    by_torch = peers.to_torch(by_hand) if by_hand and peers.torch_version() else None
    return Contest(problem, params, by_hand, by_torch, *build_in_c(problem, by_hand))


def build_in_c(problem: Problem, by_hand: tuple | None) -> tuple[ctypes.CDLL | None, str]:
    """What C makes of this network, or why there is nothing."""
    sizes = (problem.train.inputs.shape[1], *(len(biases) for _, biases in by_hand[0])) if by_hand else ()
    if sizes != in_c.SIZES or problem.train.inputs.dtype != np.uint8 or len(problem.train.inputs) % BATCH_SIZE:
        return None, f"written for the film's network and whole batches of {BATCH_SIZE}"
    built = in_c.build()
    return built, "" if built else "could not be compiled here"


def by_numpy(contest: Contest, fun: Callable, *rest: Any) -> dict[str, Way]:
    return {"numpy by hand": Way(partial(fun, *contest.by_hand, *rest))} if contest.by_hand else {}


def by_c(contest: Contest, name: str, fun: Callable, *rest: Any) -> dict[str, Way]:
    if not contest.in_c or not contest.by_hand:
        return {}
    params, _, targets = contest.by_hand
    images = np.asarray(contest.problem.train.inputs)
    return {name: Way(partial(fun, contest.in_c, params, images, targets, *rest))}


def bound(contest: Contest) -> dict[str, Way]:
    """As many operations as one gradient over all images takes (complexity.py), in products of large matrices; what
    they make is nobody's result, so that there is nothing to compare."""
    if not contest.by_hand:
        return {}
    params, images, _ = contest.by_hand
    weights = [layer[0].size for layer in params]
    square = np.random.default_rng(0).random((2, SQUARE, SQUARE), np.float32)

    def multiplied() -> np.ndarray:
        np.matmul(square[0], square[0], out=square[1])
        return np.zeros(0)

    return {BOUND: Way(multiplied, len(images) * (6 * sum(weights) - 2 * weights[0]) / (2 * SQUARE**3))}


def by_torch(contest: Contest, name: str, fun: Callable, *arrays: np.ndarray, **rest: Any) -> dict[str, Way]:
    if not contest.by_torch:
        return {}
    return {f"PyTorch, {name}": Way(partial(fun, *contest.by_torch, *peers.to_torch(arrays), **rest))}


def all_works(settings: Any, contest: Contest) -> Iterator[Work]:
    """Those that this network can do: only plain layers have factors. One after the other, so that none holds memory
    while another's turn is."""
    yield epoch(contest)
    yield full_gradient(contest)
    yield variances(contest)
    if contest.problem.activations is not None:
        yield variances_by_layers(contest)
    yield grid(settings, contest)
    yield seeds(settings, contest)


def epoch(contest: Contest) -> Work:
    """600 steps of 100 images for 60,000; everybody in the same order, which is drawn beforehand."""
    train, params = jax.device_put((contest.problem.train, contest.params), jax.local_devices()[0])
    rows = np.random.default_rng(0).permutation(len(train.inputs))
    rows = rows[: len(rows) // BATCH_SIZE * BATCH_SIZE].reshape(-1, BATCH_SIZE)
    step = training.make_step(gradients.mean_over_examples(contest.problem.example_cost), SGD)
    whole = runs.compiled(partial(training.minibatch_descent, step, observe=lambda state: ()))
    one_step = runs.compiled(step)
    start, images = TrainState(params, SGD.init(params)), jax.tree.map(np.asarray, train)

    def called() -> Any:
        state = start
        for chosen in rows:
            state, _ = one_step(state, data.take(images, chosen))
        return state.params

    ways = {
        "the library: one scan": Way(lambda: whole(start, train, rows[None])[0].params),
        **by_c(contest, ONE_THREAD, in_c.epoch, rows, RATE),
        "JAX: a jitted step called from Python": Way(called),
        **by_numpy(contest, peers.numpy_epoch, rows, RATE),
        **by_torch(contest, "autograd", peers.torch_epoch, rows, rate=RATE),
        **bound(contest),
    }
    return Work("an epoch of SGD", ways, (f"C by hand: {contest.not_in_c}",) if contest.not_in_c else ())


def full_gradient(contest: Contest) -> Work:
    """Of the mean cost of all images."""
    train, params = jax.device_put((contest.problem.train, contest.params), jax.local_devices()[0])
    gradient = jax.grad(contest.problem.cost)
    shared, chunked = runs.over_seeds(gradient, (0, None)), runs.compiled(gradient)
    one_seed = sharding.on_every_device(jax.tree.map(lambda leaf: leaf[None], contest.params))
    at_once = runs.compiled(jax.grad(gradients.mean_over_examples(contest.problem.example_cost)))
    ways = {
        "the library: all devices": Way(partial(shared, one_seed, contest.problem.train)),
        "the library: in chunks": Way(partial(chunked, params, train)),
        **by_c(contest, ALL_CORES, in_c.gradient),
        "JAX: all images at once": Way(partial(at_once, params, train)),
        **by_numpy(contest, peers.numpy_gradient),
        **by_torch(contest, "autograd", peers.torch_gradient),
        **bound(contest),
    }
    return Work("the gradient over all images", ways)


def variances(contest: Contest) -> Work:
    """Of every component, over the single gradients of all images, each of them formed."""
    ways = on_devices(contest, contest.problem.explicit.moments, lambda found: found)
    ways |= by_c(contest, ALL_CORES, in_c.variances)
    ways |= by_torch(contest, "vmap(grad)", peers.torch_variances)
    if peers.opacus_version():
        ways |= by_torch(contest, "Opacus", peers.opacus_variances)
    if peers.backpack_version():
        ways |= by_torch(contest, "BackPACK", peers.backpack_variances)
    return Work("variance of all single gradients", ways)


def variances_by_layers(contest: Contest) -> Work:
    """The same from the layers' factors, no gradient formed; of the weights only, as the one by hand is."""
    ways = on_devices(contest, contest.problem.statistics.moments, lambda found: [layer.weights for layer in found])
    ways |= by_c(contest, ALL_CORES, lambda *given: [weights for weights, _ in in_c.variances(*given)])
    ways |= by_numpy(contest, peers.numpy_variances)
    if peers.backpack_version():
        ways |= by_torch(contest, "BackPACK", peers.backpack_variances_by_layers)
    return Work("the same by the layers' factors", ways)


def on_devices(contest: Contest, moments: Callable, part: Callable) -> dict[str, Way]:
    """`part` of the variances that `moments` gives, shared out over the devices and on one."""
    train, one_seed = contest.problem.train, sharding.on_every_device(data.take(contest.params, None))
    shared, alone = runs.compiled_over_seeds(moments, (0, None)), runs.compiled(moments)
    on_one = jax.device_put((contest.params, train), jax.local_devices()[0])
    return {
        "the library: all devices": Way(lambda: part(data.take(shared(one_seed, train).variance, 0))),
        "the library: one device": Way(lambda: part(alone(*on_one).variance)),
    }


def grid(settings: Any, contest: Contest) -> Work:
    """The cost over a square round the start, along two other starts. Who is slow does only one row of it."""
    some = data.take(contest.problem.train, slice(settings.surface_examples))
    problem = contest.problem._replace(train=sharding.on_every_device(some))
    starts = [contest.params, *(problem.model.init(jax.random.key(seed)) for seed in (1, 2))]
    points = [ravel_pytree(each)[0] for each in starts]
    plane = landscape.Plane(points[0], jnp.stack(points[1:]))  # not orthonormal, which no contestant minds
    side = np.linspace(-1, 1, settings.resolution, dtype=np.float32)
    quick, plain = hills.surface_of(problem), plain_surface(problem)
    own = "the library: the first layer thrice" if problem.activations else "the library: all devices"
    ways = {
        own: Way(lambda: quick(plane, side, side)),
        "the library: any network, one row": Way(lambda: plain(plane, side[:1], side), len(side)),
    }
    if contest.by_torch:
        given = (peers.to_torch(starts), *(tensor[: settings.surface_examples] for tensor in contest.by_torch[1:]))
        whole, row = peers.to_torch([side, side]), peers.to_torch([side[:1], side])
        ways["PyTorch, the first layer thrice"] = Way(partial(peers.torch_surface_of_layers, *given, *whole))
        ways["PyTorch, plain, one row"] = Way(partial(peers.torch_surface, *given, *row), len(side))
    return Work("the cost over a grid", ways)


def plain_surface(problem: Problem) -> hills.Surface:
    """As a network that is not made of plain layers has it."""
    unravel, train = hills.unravel_of(problem), jax.device_put(problem.train, jax.local_devices()[0])

    @runs.compiled
    def surface(plane: landscape.Plane, alphas: Array, betas: Array, train: Examples) -> Array:
        return landscape.surface(lambda point: problem.cost(unravel(point), train), plane, alphas, betas)

    return lambda plane, alphas, betas: surface(plane, alphas, betas, train)


def seeds(settings: Any, contest: Contest) -> Work:
    """An epoch of every seed, each with its own start and order."""
    problem = contest.problem
    starts, order = descents.begin(problem, settings, 1)
    rows = descents.in_batches(order, BATCH_SIZE)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), SGD)

    def run(start: list, rows: Array, train: Examples) -> list:
        state = TrainState(start, SGD.init(start))
        return training.minibatch_descent(step, state, train, rows[None], lambda state: ())[0].params

    together, alone = runs.over_seeds(run, (0, 0, None)), runs.compiled(run)
    first_of = partial(jax.tree.map, lambda leaf: leaf[0])
    first = jax.device_put((first_of(starts), rows[0], problem.train), jax.local_devices()[0])
    label = f"the library: {settings.num_seeds} seeds over the devices"
    ways = {
        label: Way(lambda: first_of(together(starts, rows, problem.train))),
        "the library: one seed, so many times": Way(partial(alone, *first), settings.num_seeds),
    }
    return Work("an epoch of every seed", ways)
