"""How fast is all this, against the same work done otherwise?

Five works of the film's network: an epoch of SGD in batches of 100; the gradient over all images; mean and variance of
all single gradients, explicitly and by the layers' factors; the cost over a grid on a plane; and many seeds at once.
Each is done by the library as the experiments use it (on all devices where it can share its work out), by JAX written
more plainly, by numpy by hand, and by PyTorch in eager mode, if that is installed, which this project does not ask for
(`uv run --with torch python -m experiments.benchmark`). Contestants in turn, compilation left out, the results of all
compared with each other before a ratio is quoted. Another cost or activation leaves numpy and PyTorch out.

Run:     python -m experiments.benchmark [--quick | --full]
Time:    default 60 s, --quick 12 s, --full 3 min on 2 cores, compilation included
Result:  (2 cores, PyTorch 2.13 takes part, medians of 11 rounds) what every single gradient wants, all 60,000 of them,
         122 ms (PyTorch 7.5 times as long), 39 ms by the layers' factors (numpy 1.9 times); the cost at 51 x 51 points
         of a grid 0.5 s (PyTorch 21 times, with the same trick 2.7); an epoch of SGD 85 ms (numpy 2.5, PyTorch 4.1
         times), 32 ms a seed where 16 are shared out over two devices; the gradient over all images 68 ms (PyTorch as
         long). Five ratios of what was asked for are missed: they were asked for after a look at a machine on which
         PyTorch took twice as long
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, hills, peers, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import benchmark as figures
from research import gradients, landscape, sharding, statistics, training
from research.data import Examples, unit_interval
from research.training import TrainState

NAME = Path(__file__).stem
RATE = 1.0
BATCH_SIZE = 100


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the benchmark."""

    num_seeds: int = 8
    """How many seeds are trained at once in the last work, 1 or more."""
    rounds: int = 5
    """How often everybody's turn comes, 1 or more; the median of the rounds' ratios counts."""
    pause: float = 0.3
    """Seconds before everybody's turn, 0 or more."""
    num_examples: int = 60_000
    """Training images, from the first on, 100 up to all of them."""
    surface_examples: int = 10_000
    """Images over which the surface averages the cost, 1 up to --num-examples."""
    resolution: int = 51
    """Points along each side of the surface's grid, 2 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        for flag, number, least in (
            ("--rounds", self.rounds, 1),
            ("--resolution", self.resolution, 2),
            ("--pause", self.pause, 0),
        ):
            common.require(number >= least, f"{flag} is {number}; it must be {least} or more")
        common.require(
            1 <= self.surface_examples <= self.num_examples,
            f"--surface-examples is {self.surface_examples}; it must be 1 up to --num-examples, {self.num_examples}",
        )


QUICK = Settings(num_seeds=4, rounds=3, num_examples=6000, surface_examples=1000, resolution=11)
FULL = Settings(rounds=11, num_seeds=16)


class Way(NamedTuple):
    """One contestant: what it computes, and how many times that makes the whole work."""

    call: Callable[[], Any]
    times: int = 1


class Work(NamedTuple):
    """What is to be done, and by whom; the first is the library."""

    name: str
    ways: dict[str, Way]


class Setting(NamedTuple):
    """What all works have in common; parameters are of one seed. For the peers the images lie there as float32 too."""

    problem: Problem
    params: list
    by_hand: tuple[list, np.ndarray, np.ndarray] | None  # parameters, images, targets; None for another cost
    by_torch: tuple[list, Any, Any] | None  # the same as tensors


def make_setting(settings: Settings, problem: Problem, params: list) -> Setting:
    """Numpy and PyTorch take part where they know the cost and the activations."""
    films = common.is_the_films(dataclasses.replace(settings, layer_sizes=(), dataset="mnist"))
    numbers = (
        jax.tree.map(np.asarray, params),
        np.asarray(unit_interval(problem.train.inputs)),
        np.asarray(problem.train.targets),
    )
    return Setting(
        problem,
        params,
        numbers if films else None,
        (peers.to_torch(numbers[0]), *map(peers.to_torch, numbers[1:])) if films and peers.has_torch() else None,
    )


# The five works.


def epoch(setting: Setting) -> Work:
    """600 steps of 100 images for 60,000; everybody in the same order, which is drawn beforehand."""
    train, params, optimizer = setting.problem.train, setting.params, optax.sgd(RATE)
    on_one = jax.device_put((train, params), jax.devices()[0])
    rows = np.random.default_rng(0).permutation(len(train.inputs))
    rows = rows[: len(rows) // BATCH_SIZE * BATCH_SIZE].reshape(-1, BATCH_SIZE)
    step = training.make_step(gradients.mean_over_examples(setting.problem.example_cost), optimizer)
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
    if setting.by_hand:
        ways["numpy by hand"] = Way(partial(peers.numpy_epoch, *setting.by_hand, rows, RATE))
    if setting.by_torch:
        ways["PyTorch, autograd"] = Way(partial(peers.torch_epoch, *setting.by_torch, peers.to_torch(rows), RATE))
    return Work("an epoch of SGD", ways)


def full_gradient(setting: Setting) -> Work:
    """Of the mean cost of all images."""
    train, params = jax.device_put((setting.problem.train, setting.params), jax.devices()[0])
    chunked = jax.jit(jax.grad(setting.problem.cost))
    at_once = jax.jit(jax.grad(gradients.mean_over_examples(setting.problem.example_cost)))
    ways = {
        "the library: in chunks": Way(lambda: chunked(params, train)),
        "JAX: all images at once": Way(lambda: at_once(params, train)),
    }
    if setting.by_hand:
        ways["numpy by hand"] = Way(partial(peers.numpy_gradient, *setting.by_hand))
    if setting.by_torch:
        ways["PyTorch, autograd"] = Way(partial(peers.torch_gradient, *setting.by_torch))
    return Work("the gradient over all images", ways)


def variances(setting: Setting) -> Work:
    """Of every component, over the single gradients of all images, each of them formed."""
    train, params = setting.problem.train, sharding.on_every_device(setting.params)
    shared, alone = (
        jax.jit(way(statistics.moments(setting.problem.example_cost))) for way in (statistics.shared_out, same)
    )
    on_one = jax.device_put((params, train), jax.devices()[0])
    ways = {
        "the library: all devices": Way(lambda: shared(params, train).variance),
        "the library: one device": Way(lambda: alone(*on_one).variance),
    }
    if setting.by_torch:
        ways["PyTorch, vmap(grad)"] = Way(partial(peers.torch_variances, *setting.by_torch))
    return Work("variance of all single gradients", ways)


def variances_by_layers(setting: Setting, factors: Callable) -> Work:
    """The same from the layers' factors, no gradient formed; of the weights only, as the one by hand is."""
    train, params = setting.problem.train, sharding.on_every_device(setting.params)
    shared, alone = (jax.jit(way(statistics.layer_moments(factors))) for way in (statistics.shared_out, same))
    on_one = jax.device_put((params, train), jax.devices()[0])

    def weights(variance: list) -> list:
        return [layer.weights for layer in variance]

    ways = {
        "the library: all devices": Way(lambda: weights(shared(params, train).variance)),
        "the library: one device": Way(lambda: weights(alone(*on_one).variance)),
    }
    if setting.by_hand:
        ways["numpy by hand"] = Way(partial(peers.numpy_variances, *setting.by_hand))
    return Work("the same by the layers' factors", ways)


def same(fun: Callable) -> Callable:
    """The function as it is."""
    return fun


def grid(settings: Settings, setting: Setting) -> Work:
    """The cost over a square round the start, along two other starts. Who is slow does only one row of it."""
    some = common.first(setting.problem.train, settings.surface_examples)
    problem = setting.problem._replace(train=sharding.on_every_device(some))
    others = [problem.model.init(jax.random.key(seed)) for seed in (1, 2)]
    points = [ravel_pytree(each)[0] for each in (setting.params, *others)]
    plane = landscape.Plane(points[0], jnp.stack(points[1:]))  # not orthonormal, which no contestant minds
    side = np.linspace(-1, 1, settings.resolution, dtype=np.float32)
    quick, plain = hills.surface_of(settings, problem), plain_surface(problem)
    ways = {
        "the library: the first layer thrice": Way(lambda: quick(plane, side, side)),
        "the library: any network, one row": Way(lambda: plain(plane, side[:1], side), len(side)),
    }
    if setting.by_torch:
        layers = peers.to_torch([setting.params, *others])
        images = [tensor[: settings.surface_examples] for tensor in setting.by_torch[1:]]
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


def seeds(settings: Settings, setting: Setting) -> Work:
    """An epoch of every seed, each with its own start and order."""
    problem, optimizer = setting.problem, optax.sgd(RATE)
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


def all_works(settings: Settings, setting: Setting, factors: Callable | None) -> list[Work]:
    """Those that this network can do: only plain layers have factors, and a quick surface."""
    works = [epoch(setting), full_gradient(setting), variances(setting)]
    works += [variances_by_layers(setting, factors)] if factors else []
    return [*works, grid(settings, setting), seeds(settings, setting)]


# Taking turns.


class Timed(NamedTuple):
    """One work's seconds, and how far the contestants' results are from the library's."""

    name: str
    seconds: dict[str, np.ndarray]  # of the whole work, in every round
    apart: dict[str, float]  # largest difference over the library's largest number


def take_turns(work: Work, rounds: int, pause: float) -> Timed:
    """Everybody's seconds in every round, after a first that is not counted; one row stands for a whole grid."""
    found = {label: flat(way.call()) for label, way in work.ways.items()}
    first = next(iter(found.values()))
    apart = {
        label: float(np.max(np.abs(first[: len(other)] - other)) / np.max(np.abs(first)))
        for label, other in found.items()
    }
    seconds = runs.seconds_in_turn({label: way.call for label, way in work.ways.items()}, rounds, pause=pause)
    whole = {label: way.times * np.array(seconds[label]) for label, way in work.ways.items()}
    runs.console.print(f"{work.name}: {1000 * np.median(next(iter(whole.values()))):,.0f} ms")
    return Timed(work.name, whole, apart)


def flat(result: Any) -> np.ndarray:
    """All numbers of a result of JAX, numpy or PyTorch, one after the other."""
    return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in jax.tree.leaves(result)])


def ratios(timed: Timed) -> dict[str, float]:
    """How many times as long as the library each takes: the median of the rounds' ratios."""
    own = next(iter(timed.seconds.values()))
    return {label: float(np.median(seconds / own)) for label, seconds in timed.seconds.items()}


ASKED = {  # how many times as long as the library: what was asked for before anything was measured
    ("an epoch of SGD", "PyTorch, autograd"): 9.0,
    ("an epoch of SGD", "numpy by hand"): 3.0,
    ("the gradient over all images", "PyTorch, autograd"): 3.0,
    ("variance of all single gradients", "PyTorch, vmap(grad)"): 7.0,
    ("the cost over a grid", "PyTorch, the first layer thrice"): 5.0,
    ("the cost over a grid", "PyTorch, plain, one row"): 20.0,
    ("an epoch of every seed", "the library: one seed, so many times"): 1.9,
}


def make_claims(settings: Settings, measured: list[Timed]) -> list[Claim]:
    """What was asked of the full size and the film's network; that all compute the same is claimed of every size."""
    claim = partial(Claim, num_seeds=1)
    worst = max(apart for timed in measured for apart in timed.apart.values())
    claims = [claim("speed", "all contestants compute the same: largest difference over the largest number", worst,
                    0.0, None, 1e-3, "relative, float32")]  # fmt: skip
    if not common.is_the_films(settings) or settings.num_examples < Settings.num_examples:
        return claims
    times = {(timed.name, label): ratio for timed in measured for label, ratio in ratios(timed).items()}
    return claims + [
        claim("speed", f"{work}: {label}", times[work, label], None, low, None, "times the library's time")
        for (work, label), low in ASKED.items()
        if (work, label) in times
    ]


def sentence(measured: list[Timed]) -> str:
    """What was found, in one sentence."""
    parts = []
    for timed in measured:
        label, ratio = max(ratios(timed).items(), key=lambda item: item[1])
        own = 1000 * np.median(next(iter(timed.seconds.values())))
        parts.append(f"{timed.name} {own:,.0f} ms ({label.removeprefix('the library: ')}: {ratio:.1f} times as long)")
    return f"The library takes for {'; '.join(parts)}."


def run(settings: Settings) -> None:
    """Checks first, then times, and leaves run.json and arrays.npz behind."""
    train, test = common.load(settings)
    common.require_images(settings, "--num-examples", settings.num_examples, train, least=BATCH_SIZE)
    problem = descents.problem_of(settings, common.first(train, settings.num_examples), test)
    params = problem.model.init(jax.random.key(settings.seed))
    setting = make_setting(settings, problem, params)
    factors = common.layer_factors(settings, common.cost_function(settings))
    measured = [take_turns(work, settings.rounds, settings.pause) for work in all_works(settings, setting, factors)]
    claims, finding = make_claims(settings, measured), sentence(measured)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        {f"{place}_{index}": seconds
         for place, timed in enumerate(measured) for index, seconds in enumerate(timed.seconds.values())},
        **records.describe_data(settings.dataset, train=problem.train),
        finding=finding,
        layer_sizes=settings.sizes_for(train),
        works=[{"name": timed.name, "ways": list(timed.seconds), "ratios": list(ratios(timed).values())}
               for timed in measured],
        asked=[{"work": work, "way": way, "times": times} for (work, way), times in ASKED.items()],
        torch=peers.torch_version(),
    )  # fmt: skip


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.bars(record, arrays), out / NAME / f"{NAME}.png")
    print(f"the figure and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.benchmark"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
