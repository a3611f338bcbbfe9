"""The drunk man and the careful man: what do their paths look like on the real hill, and what does a picture hide?

Full-batch descent and mini-batches of 10, 100 and 1000 from one start, on the real cost of the film's network on all
of MNIST. Their paths are laid on the plane nearest to all of them, whose cost is computed exactly; beside it what the
plane hides: how far off it the paths run, and the true cost along each against the cost of its shadow. How drunk each
is, in numbers: path length over displacement, cosine of successive steps, mean squared displacement, and the cost
after equally many steps, examples and seconds. A page, drunk_man.html, lets both walk on the surface.

Run:     python -m experiments.drunk_man [--quick | --full] [--gif-frames 48] [--save-points] [--self-contained]
Time:    default 50 s, --quick 15 s, --full 3 min, on 2 cores, compilation included
Result:  (5 seeds) when both have read as many examples, batches of 10 have walked 167 times as far as they got, the
         full batch 1.43 times; their costs are 0.07 and 0.91. One does not see it: at 181 points the path winds
         7.7-fold, its shadow on the best plane 1.04-fold. One claim does not hold: with the rate that is best for him,
         4, the careful man turns round at every step in the end (cosine -0.22); with 1 he walks straight on (1.00),
         but slower
"""

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, hills, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Method, Problem
from experiments.common.records import Claim
from experiments.figures import drunk_man as figures
from research import landscape, models, paths
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
CHECKED = 20  # points of the surface that are computed once more, one by one
DRUNKEST = 10  # the batch size that the claims are about
MOST_METHODS = 6  # so many line styles there are


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the two walks; the default takes about 50 s on 2 cores."""

    num_seeds: int = 2
    """How many starts, each with its own shuffles, 1 or more; the pictures show the first."""
    batch_sizes: tuple[int, ...] = (10, 100, 1000)
    """Mini-batch sizes, all different, 1 or more, fewer than the training examples."""
    learning_rates: tuple[float, ...] = (0.5, 4.0, 4.0)
    """Learning rate for each of the batch sizes, above 0; those that full_batch_vs_sgd --tune found."""
    full_batch_learning_rates: tuple[float, ...] = (4.0, 1.0)
    """Learning rates of full-batch descent, one or more, all different, above 0: the first, found likewise, is the
    careful man's; the others show what becomes of him with more patience."""
    num_steps: int = 100
    """Full-batch steps, 10 or more."""
    num_epochs: int = 3
    """Passes over the training set for every mini-batch size, 1 or more."""
    num_points: int = 100
    """Points of each path that are looked at, about, 10 or more."""
    resolution: int = 41
    """Points of the surface along each direction, 2 or more."""
    gif_frames: int = 48
    """Pictures in the moving one; 0 leaves it out."""
    save_points: bool = False
    """Save the whole points of the first seed's paths too, 13,002 numbers each, in points.npz."""
    self_contained: bool = False
    """Put plotly's script into the page, 5 MB, so that it can be sent by itself; else it lies beside, in OUT."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rates", self.learning_rates)
        common.check_positive("--full-batch-learning-rates", self.full_batch_learning_rates)
        common.require(
            0 < len(self.full_batch_learning_rates) == len(set(self.full_batch_learning_rates)),
            f"{common.typed('--full-batch-learning-rates', self.full_batch_learning_rates)}: give one or more, all "
            "different",
        )
        common.require(
            0 < len(self.batch_sizes) == len(set(self.batch_sizes)) == len(self.learning_rates),
            f"{common.typed('--batch-sizes', self.batch_sizes)} "
            f"{common.typed('--learning-rates', self.learning_rates)}: give one or more sizes, all different, "
            "and as many rates",
        )
        common.require(
            len(rates(self)) <= MOST_METHODS,
            f"--full-batch-learning-rates and --batch-sizes make {len(rates(self))} paths; at most {MOST_METHODS} can "
            "be told apart in a picture",
        )
        least = {"num_steps": 10, "num_epochs": 1, "num_points": 10, "resolution": 2, "gif_frames": 0}
        for field, low in least.items():
            value = getattr(self, field)
            common.require(value >= low, f"--{field.replace('_', '-')} is {value}; it must be {low} or more")


QUICK = Settings(
    num_seeds=1, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=20, num_epochs=1,
    num_points=21, resolution=11, gif_frames=0,
)  # fmt: skip
FULL = Settings(num_seeds=5, num_steps=400, num_epochs=12, num_points=200, resolution=51)


class Sight(NamedTuple):
    """What is seen of a walker at the end of a leg; arrays of jax in the loop, of numpy after it."""

    point: Any
    length: Any  # of the path so far
    turns: Any  # sum of the cosines of successive steps so far


class Walk(NamedTuple):
    """One method's way, from its start on."""

    steps: np.ndarray  # points
    sight: Sight  # leaves seeds, points, ...
    logged: np.ndarray  # seeds, steps: the cost that training itself saw before every step


class Looks(NamedTuple):
    """The cost at some points of a way."""

    numbers: np.ndarray  # looks: of the points
    steps: np.ndarray  # looks
    cost: np.ndarray  # seeds, looks; on the training set


def methods(settings: Settings, num_examples: int) -> list[Method]:
    """The careful man first, then he with other rates, then the drunk men, each with an odometer."""
    num_careful = len(settings.full_batch_learning_rates)
    labels = ["full batch"] * num_careful + [f"batches of {size:,}" for size in settings.batch_sizes]
    sizes = [num_examples] * num_careful + list(settings.batch_sizes)
    return [
        Method(label, size, optax.chain(optax.sgd(rate), paths.odometer()))
        for label, size, rate in zip(labels, sizes, rates(settings), strict=True)
    ]


def rates(settings: Settings) -> list[float]:
    """The learning rate of every method, in the order of `methods`."""
    return [*settings.full_batch_learning_rates, *settings.learning_rates]


def observe(problem: Problem, shared: tuple[Examples, Examples], state: TrainState) -> Sight:
    """Where the walker is, and what his odometer reads."""
    opt_state: Any = state.opt_state
    return Sight(ravel_pytree(state.params)[0], opt_state[-1].length, opt_state[-1].turns)


def walk(settings: Settings, problem: Problem, method: Method, start: models.Params, order: np.ndarray) -> Walk:
    """Follows one method from the starts of all seeds; `order` (seeds, epochs, examples) is each epoch's shuffle."""
    if method.batch_size == order.shape[-1]:
        length = leg_length(settings.num_steps, settings.num_steps, settings.num_points)
        loop = descents.careful_man(problem, method, observe, length)
        chunks = [()] * (settings.num_steps // length)
    else:
        rows = descents.in_batches(order, method.batch_size)
        length = leg_length(rows.shape[1], settings.num_steps, settings.num_points)
        loop, chunks = descents.drunk_man(problem, method, observe), in_equal_legs(rows, length)
    state, shared = TrainState(start, jax.vmap(method.optimizer.init)(start)), (problem.train, problem.test)
    before = jax.jit(jax.vmap(partial(observe, problem, shared)))(state)
    run = runs.descend(method.label, loop, state, shared, chunks)
    sight = jax.tree.map(
        lambda first, rest: np.concatenate([np.asarray(first)[:, None], rest], axis=1), before, run.history.observed
    )
    return Walk(np.concatenate([[0], run.steps]), sight, np.asarray(run.history.costs))


def look_at(settings: Settings, problem: Problem, methods: list[Method], walks: list[Walk]) -> list[Looks]:
    """The cost along every way, of all seeds. Raises runs.Diverged where it is no finite number."""
    read = [path.steps * method.batch_size for method, path in zip(methods, walks, strict=True)]
    count, all_read = min(41, settings.num_points), min(examples[-1] for examples in read)
    meeting = [[settings.num_steps, path.steps[each <= all_read][-1]] for path, each in zip(walks, read, strict=True)]
    chosen = [places_to_look(path.steps, steps, count) for path, steps in zip(walks, meeting, strict=True)]
    points = [path.sight.point[:, numbers] for path, numbers in zip(walks, chosen, strict=True)]
    costs = np.split(heights(problem, np.concatenate(points, axis=1)), np.cumsum(list(map(len, chosen)))[:-1], axis=1)
    looks = [Looks(each, path.steps[each], cost) for each, path, cost in zip(chosen, walks, costs, strict=True)]
    for method, seen in zip(methods, looks, strict=True):
        if not np.isfinite(seen.cost).all():  # training itself does not see the cost after its last step
            raise runs.Diverged(method.label, int(seen.steps[-1]))
    return looks


def places_to_look(steps: np.ndarray, also: list[int], count: int) -> np.ndarray:
    """Numbers of points of a path: `count` all along it, some more at its beginning, and those after `also` steps."""
    last = len(steps) - 1
    spread = np.concatenate([np.linspace(0, last, count), np.geomspace(1, last, count // 3)]).astype(int)
    return np.unique(np.append(spread, np.flatnonzero(np.isin(steps, also))))


def heights(problem: Problem, points: np.ndarray) -> np.ndarray:
    """The cost on the training set at any points (..., params), computed plainly, one by one."""
    unravel = hills.unravel_of(problem)

    def height(point: Array, train: Examples) -> Array:
        return problem.cost(unravel(point), train)

    flat = points.reshape(-1, points.shape[-1])
    return np.asarray(jax.jit(runs.over_seeds(height, (0, None)))(flat, problem.train)).reshape(points.shape[:-1])


def leg_length(total: int, num_steps: int, num_points: int) -> int:
    """Steps between two looks: a divisor of `num_steps`, so that all methods are seen after equally many steps.

    The least that makes at most `num_points` legs of `total` steps; where none does, the longest that makes three.
    """
    lengths = [length for length in range(1, max(1, total // 3) + 1) if num_steps % length == 0]
    return next((length for length in lengths if total <= length * num_points), lengths[-1])


def in_equal_legs(rows: np.ndarray, length: int) -> list[tuple[np.ndarray]]:
    """At most ten schedules (seeds, legs, length, batch) of one shape; steps that fill no leg are left out."""
    num_seeds, num_steps, batch_size = rows.shape
    legs = rows[:, : num_steps // length * length].reshape(num_seeds, -1, length, batch_size)
    num_chunks = max(count for count in range(1, 11) if legs.shape[1] % count == 0)
    return [(chunk,) for chunk in np.split(legs, num_chunks, axis=1)]


class Gait(NamedTuple):
    """How a method walks, from its start to its end; every array is (seeds,) but for the last two."""

    cosine: np.ndarray  # mean cosine between successive steps
    exponent: np.ndarray  # of the mean squared displacement
    gained: np.ndarray  # cost gained per unit of length
    shares: np.ndarray  # seeds, 3: of the path's variance along its own principal components
    displacements: np.ndarray  # seeds, lags: mean squared displacement


def gait(path: Walk, looks: Looks) -> Gait:
    """Measures one method's way."""
    point, length, turns = path.sight
    displacements = np.stack([paths.squared_displacements(points) for points in point])
    shares = jax.jit(lambda points: landscape.explained_shares(points)[:3])
    return Gait(
        cosine=turns[:, -1] / (path.steps[-1] - 1),
        exponent=np.array([paths.exponent(each) for each in displacements]),
        gained=(looks.cost[:, 0] - looks.cost[:, -1]) / length[:, -1],
        shares=np.stack([np.asarray(shares(points)) for points in point]),
        displacements=displacements,
    )


class Reading(NamedTuple):
    """Every method when all clocks show the same; arrays (methods, seeds)."""

    cost: np.ndarray
    tortuosity: np.ndarray  # length of the path over displacement, 1 for a straight line


def read_together(walks: list[Walk], looks: list[Looks], per_step: list[float]) -> Reading:
    """Cost and tortuosity of every method when all clocks show the same: as late as the first to end allows.

    `per_step` says how far each method's clock goes on in one step. Where nobody looked just then, the look before
    counts; the time is one at which the careful man, who is looked at most rarely, was looked at. NaN where that is
    the start already.
    """
    chosen = numbers_together(looks, per_step)
    cost, tortuosity = [], []
    for number, path, seen in zip(chosen, walks, looks, strict=True):
        point, length = path.sight.point, path.sight.length[:, seen.numbers[number]]
        away = np.linalg.norm(point[:, seen.numbers[number]].astype(float) - point[:, 0], axis=1)
        cost.append(seen.cost[:, number] if chosen[0] else np.full(len(point), np.nan))
        tortuosity.append(np.divide(length, away, out=np.full(len(point), np.nan), where=away > 0))
    return Reading(np.stack(cost), np.stack(tortuosity))


def numbers_together(looks: list[Looks], per_step: list[float]) -> list[int]:
    """Which look of every method is its last when all clocks show the same."""
    clocks = [seen.steps * each for seen, each in zip(looks, per_step, strict=True)]
    shortest = min(clock[-1] for clock in clocks) * (1 + 1e-9)
    time = clocks[0][clocks[0] <= shortest][-1] * (1 + 1e-9)
    return [int(np.sum(clock <= time)) - 1 for clock in clocks]


class Measured(NamedTuple):
    """All that claims and figures are about."""

    methods: list[Method]
    seconds: list[float]  # of one step of each method
    walks: list[Walk]
    looks: list[Looks]
    gaits: list[Gait]
    together: dict[str, Reading]  # "steps", "examples", "seconds": all clocks show the same
    view: hills.View  # of the first seed, on the principal plane of all its paths
    union_shares: np.ndarray  # 3: of the variance of all these paths together, along their principal components
    null_shares: np.ndarray  # 3: the same for random walks that get as far as these
    shadow_costs: list[np.ndarray]  # of every path of the first seed, where it was looked at
    checked: tuple[np.ndarray, np.ndarray]  # the cost at some points of the surface, and once more, one by one
    random_view: hills.View  # the same paths on a random plane, filter-normalised


def measure(settings: Settings, problem: Problem) -> Measured:
    """Walks by every method from the same starts, then looks at the paths from above."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    start = descents.starts(problem, init_keys)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.num_epochs)
    listed = methods(settings, order.shape[-1])
    walks = [walk(settings, problem, method, start, order) for method in listed]
    paths = [path.sight.point[0] for path in walks]
    union_shares = np.asarray(jax.jit(landscape.explained_shares)(np.concatenate(paths))[:3])
    if not np.isfinite(union_shares).all():  # a step led so far that its square is no float32: sigmoids are flat there
        raise runs.Stuck(settings.num_epochs)
    looks = look_at(settings, problem, listed, walks)
    runs.console.print("timing single steps, computing the surface ...")
    seconds = descents.seconds_per_step(problem, listed, jax.tree.map(lambda leaf: leaf[0], start), order[0, 0])
    sizes = [float(method.batch_size) for method in listed]
    clocks = {"steps": [1.0] * len(listed), "examples": sizes, "seconds": seconds}
    distances = np.array([np.linalg.norm(path[-1] - path[0]) for path in paths])
    surface = hills.surface_of(settings, problem)
    plane = jax.jit(landscape.principal_plane)(np.concatenate(paths))
    view = hills.look_down(surface, plane, paths, resolution=settings.resolution)
    shadow_costs, checked = look_closer(problem, plane, view, [seen.numbers for seen in looks], settings.seed)
    return Measured(
        methods=listed,
        seconds=seconds,
        walks=walks,
        looks=looks,
        gaits=list(map(gait, walks, looks)),
        together={name: read_together(walks, looks, per_step) for name, per_step in clocks.items()},
        view=view,
        union_shares=union_shares,
        null_shares=np.asarray(jax.jit(landscape.shares_of_random_walks, static_argnums=1)(distances, 3)),
        shadow_costs=shadow_costs,
        checked=checked,
        random_view=from_a_random_side(settings, problem, surface, paths),
    )


def look_closer(
    problem: Problem, plane: landscape.Plane, view: hills.View, looked_at: list[np.ndarray], seed: int
) -> tuple[list[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The cost of the shadows where they were looked at, and of some grid points, beside what `view` has there."""
    rows, columns = np.random.default_rng(seed).integers(0, len(view.alphas), (2, CHECKED))
    places = [shadow[numbers] for shadow, numbers in zip(view.shadows, looked_at, strict=True)]
    places.append(np.stack([view.alphas[rows], view.betas[columns]], axis=1))
    points = jax.jit(jax.vmap(landscape.point_at, (None, 0)))(plane, np.concatenate(places))
    ends = np.cumsum([len(each) for each in places])[:-1]
    *shadows, plain = np.split(heights(problem, np.asarray(points)), ends)
    return shadows, (view.surface[rows, columns], plain)


def from_a_random_side(
    settings: Settings, problem: Problem, surface: hills.Surface, paths: list[np.ndarray]
) -> hills.View:
    """The same paths on a random plane through the end of the last one, scaled as Li et al., arXiv:1712.09913."""
    end, unravel = paths[-1][-1], hills.unravel_of(problem)

    def one_direction(key: Array) -> Array:
        return ravel_pytree(landscape.filter_normalised(key, unravel(end)))[0]

    first, second = jax.jit(jax.vmap(one_direction))(jax.random.split(jax.random.key(settings.seed)))
    plane = jax.jit(landscape.spanned_plane)(end, first, second)
    reach = float(np.linalg.norm(first))
    return hills.look_down(surface, plane, paths, resolution=settings.resolution, reach=reach)


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory or the literature and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    return [
        *surface_claims(measured),
        *(gait_claims(settings, measured, claim) if common.is_the_films(settings) else []),
    ]


def surface_claims(measured: Measured) -> list[Claim]:
    """That what is drawn is true."""
    on_grid, plain = measured.checked
    logged = measured.walks[0].logged[:, measured.looks[0].steps[:-1]]
    seen = measured.looks[0].cost[:, :-1]
    return [
        Claim("T35", f"the surface is the cost itself: {CHECKED} points of it, computed one by one",
              float(np.max(np.abs(on_grid - plain) / np.abs(plain))), 0.0, None, 1e-6, "largest relative error", 1),
        Claim("T35", "the careful man's path is drawn as it was trained: its cost and that of the training log",
              float(np.max(np.abs(logged - seen) / np.abs(logged))), 0.0, None, 1e-6, "largest relative error",
              len(logged)),
    ]  # fmt: skip


def gait_claims(settings: Settings, measured: Measured, claim: partial[Claim]) -> list[Claim]:
    """T35, E8: how straight each of them walks, and who is lower when; about the film's network on MNIST.

    On a parabola of curvature h every step of descent is 1 - eta h times the one before it: who goes down with a rate
    above 1/h along the direction in which he moves most turns round at every step, careful or not.
    """
    num_careful = len(settings.full_batch_learning_rates)
    found = [
        claim("T35", f"the careful man walks on as he went: cosine of his successive steps, rate {rate:g}",
              float(np.median(careful.cosine)), None, 0.5, 1.0, "cosine, mean of a path, median")
        for rate, careful in zip(settings.full_batch_learning_rates, measured.gaits, strict=False)
    ]  # fmt: skip
    at_equal = measured.together["examples"].tortuosity
    for index, method in enumerate(measured.methods):
        if method.batch_size == DRUNKEST:
            found += [
                claim("T35", "the drunk man's next step has nothing to do with his last: their cosine, batches of 10",
                      float(np.median(measured.gaits[index].cosine)), 0.0, -0.1, 0.1, "cosine, mean of a path, median"),
                claim("E8", "after equally many examples the way of batches of 10 winds more than the careful man's",
                      float(np.median(at_equal[index] / at_equal[0])), None, 5.0, None,
                      "ratio of length / displacement, median"),
            ]  # fmt: skip
    found += [
        claim("T35", f"quick steps win: after equally many {clock} each drunk man is lower than the careful one",
              float(np.max(cost[num_careful:] / cost[:1])), None, None, 1.0, "cost / his cost, largest of all")
        for clock, cost in ((clock, measured.together[clock].cost) for clock in ("examples", "seconds"))
    ]  # fmt: skip
    return [each for each in found if np.isfinite(each.measured)]  # without the clocks that stopped at the start


def findings(measured: Measured) -> tuple[str, str]:
    """What was found, and what the map hides of it, in one sentence each."""
    at_equal = measured.together["examples"]
    wind, costs = np.median(at_equal.tortuosity, axis=1), np.median(at_equal.cost, axis=1)
    drunkest = int(np.argmax([path.sight.length[0, -1] for path in measured.walks]))
    shadow = measured.view.shadows[drunkest]
    true, drawn = paths.winding(measured.walks[drunkest].sight.point[0]), paths.winding(shadow)
    return (
        f"After equally many examples the drunk man ({measured.methods[drunkest].label}) is at cost "
        f"{costs[drunkest]:.2g}, the careful man at {costs[0]:.2g}; he has walked {wind[drunkest]:.3g} times as far as "
        f"he got, the careful man {wind[0]:.3g} times.",
        f"The map {'hides' if true > 1.5 * drawn else 'shows'} the stumbling: joined at {len(shadow)} points, his way "
        f"winds {true:.3g}-fold, its shadow {drawn:.3g}-fold.",
    )


def run(settings: Settings) -> None:
    """Checks first, then walks, and leaves run.json and arrays.npz behind."""
    began = time.perf_counter()
    train, test = common.load(settings)
    check_batches(settings, len(train.inputs))
    problem = descents.problem_of(settings, train, test)
    folder, facts = settings.out / NAME, records.describe_data(settings.dataset, train=train)
    with records.divergence_recorded(folder, settings, **facts):
        measured = measure(settings, problem)
    claims, (finding, hidden) = make_claims(settings, measured), findings(measured)
    records.conclude(
        folder,
        settings,
        claims,
        arrays_for_figures(measured),
        **facts,
        finding=f"{finding} {hidden}",
        in_short=finding,
        hidden=hidden,
        layer_sizes=settings.sizes_for(train),
        methods=[
            {"label": method.label, "batch_size": method.batch_size, "learning_rate": rate, "seconds_per_step": seconds}
            for method, rate, seconds in zip(measured.methods, rates(settings), measured.seconds, strict=True)
        ],
        union_shares=measured.union_shares.tolist(),
        null_shares=measured.null_shares.tolist(),
        seconds=time.perf_counter() - began,
    )
    if settings.save_points:
        points: dict[str, Any] = {str(index): path.sight.point[0] for index, path in enumerate(measured.walks)}
        records.write_whole(folder / "points.npz", lambda file: np.savez_compressed(file, **points))


def check_batches(settings: Settings, num_examples: int) -> None:
    """Raises common.SettingsError unless every batch size fits the data and leaves steps enough for a path."""
    for size in settings.batch_sizes:
        common.require(
            1 <= size < num_examples,
            f"--batch-sizes has {size}; each must be at least 1 and below the full batch, {num_examples} examples",
        )
        num_steps = settings.num_epochs * (num_examples // size)
        common.require(
            num_steps >= 10,
            f"--num-epochs is {settings.num_epochs}, in which batches of {size} make {num_steps} steps; a path needs "
            "10 or more, so raise --num-epochs",
        )


def arrays_for_figures(measured: Measured) -> dict[str, np.ndarray]:
    """By name: NUMBER_field of every method, together_CLOCK_field (methods, seeds), and the two views."""
    named: dict[str, np.ndarray] = {}
    for index, (path, looks, how) in enumerate(zip(measured.walks, measured.looks, measured.gaits, strict=True)):
        named |= {f"{index}_{field}": getattr(how, field) for field in Gait._fields}
        named |= {f"{index}_steps": path.steps, f"{index}_looked_at": looks.numbers, f"{index}_cost": looks.cost}
        named |= {f"{index}_shadow_cost": measured.shadow_costs[index]}
    for name, view in (("view", measured.view), ("random", measured.random_view)):
        named |= {f"{name}_{field}": getattr(view, field) for field in ("alphas", "betas", "surface")}
        for index, (shadow, off_plane) in enumerate(zip(view.shadows, view.off_plane, strict=True)):
            named |= {f"{name}_{index}_shadow": shadow, f"{name}_{index}_off_plane": off_plane}
    for clock, reading in measured.together.items():
        named |= {f"together_{clock}_{field}": getattr(reading, field) for field in Reading._fields}
    return named


def plot(out: Path) -> None:
    """Draws the figures, the moving picture and the page from what a run left behind."""
    folder = out / NAME
    record, arrays = records.read_run(folder)
    plots.save(figures.hill(record, arrays), folder / f"{NAME}.png")
    plots.save(figures.how_drunk(record, arrays), folder / "how_drunk.png")
    plots.save(figures.random_plane(record, arrays), folder / "random_plane.png")
    plots.save_page(
        figures.page(record, arrays),
        folder / f"{NAME}.html",
        title="The drunk man and the careful man on the real hill",
        says=f"{record['finding']} Drag to turn. Thick: the path at its true cost; thin: its shadow on the surface.",
        self_contained=record["settings"]["self_contained"],
    )
    if record["settings"]["gif_frames"]:
        plots.save_gif(figures.frames(record, arrays), folder / f"{NAME}.gif")
    print(f"figures, the page {NAME}.html and run.json are in {folder}")


def main() -> None:
    """python -m experiments.drunk_man"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
