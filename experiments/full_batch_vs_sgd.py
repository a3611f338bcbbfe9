"""What does a mini-batch step buy, and what does it cost, against a careful full-batch step?

The film's network (784-16-16-10) and cost on all of MNIST: full-batch descent against mini-batches of 10, 100 and
1000, from the same starts, with the same shuffles, every learning rate chosen by the same search (--tune). Cost and
test accuracy against steps, examples read, floating point operations and seconds. And Nielsen's setting (784-30-10,
batches of 10, 30 epochs), whose accuracy is known from his book.

Run:     python -m experiments.full_batch_vs_sgd [--quick | --full]
Time:    default 80 s, --quick 20 s, --full 8 min, --tune 8 min more, on 2 cores, compilation included
Result:  step for step the full batch wins or ties; but batches of 100 come as far as its 600 steps with 1/308 of the
         examples in 1/185 of the time (10 seeds). Nielsen's setting reaches 94.9 % (median of 10; his book: 95.34).
"""

import dataclasses
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Curve, Method, Problem, follow
from experiments.common.records import Claim
from experiments.figures import full_batch_vs_sgd as figures
from research import costs, data, gradients, models, statistics
from research.data import Examples

NAME = Path(__file__).stem
GRID = tuple(2.0**power for power in range(-3, 5))  # learning rates that --tune tries, the same for every method
FILMS_BATCH = 100
SETTLED = 5  # epochs after which a constant learning rate stumbles on its floor, so that a smaller one can show


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the comparison; the default takes about 80 s on 2 cores."""

    batch_sizes: tuple[int, ...] = (10, 100, 1000)
    """Mini-batch sizes to compare with the full batch, all different, 1 or more, fewer than the training examples."""
    learning_rates: tuple[float, ...] = (0.5, 4.0, 4.0)
    """Learning rate for each of the batch sizes, above 0. These were the best of --tune at commit 50088b6, 4 seeds."""
    full_batch_learning_rate: float = 4.0
    """Learning rate of full-batch descent, above 0; found likewise."""
    num_steps: int = 200
    """Full-batch steps, a multiple of 20, above 0."""
    num_epochs: int = 6
    """Passes over the training set for every mini-batch size, 1 or more."""
    nielsen_epochs: int = 30
    """Passes for Nielsen's setting; 0 leaves it out. It is left out too for other data or another cost."""
    tune: bool = False
    """Search the learning rates on the grid 2^-3, 2^-2, ... 2^4 first and use the best found for every method."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(
            0 < len(self.batch_sizes) == len(set(self.batch_sizes)),
            f"{common.typed('--batch-sizes', self.batch_sizes)}: give one or more, all different, such as 10 100 1000",
        )
        common.check_positive("--learning-rates", self.learning_rates)
        common.check_positive("--full-batch-learning-rate", [self.full_batch_learning_rate])
        common.require(
            len(self.learning_rates) == len(self.batch_sizes),
            f"--learning-rates has {len(self.learning_rates)} values for {len(self.batch_sizes)} --batch-sizes; "
            "give one for each",
        )
        common.require(
            self.num_steps >= descents.STEPS_PER_LEG and self.num_steps % descents.STEPS_PER_LEG == 0,
            f"--num-steps is {self.num_steps}; it must be a multiple of {descents.STEPS_PER_LEG}, above 0",
        )
        common.require(self.num_epochs >= 1, f"--num-epochs is {self.num_epochs}; it must be 1 or more")
        common.require(self.nielsen_epochs >= 0, f"--nielsen-epochs is {self.nielsen_epochs}; it must be 0 or more")


QUICK = Settings(
    num_seeds=2, batch_sizes=(10, 100), learning_rates=(0.5, 4.0), num_steps=40, num_epochs=1, nielsen_epochs=0
)
FULL = Settings(num_seeds=10, num_steps=600, num_epochs=20)


def methods(settings: Settings, num_examples: int) -> list[Method]:
    """Full batch first, then the mini-batches in the order of the settings."""
    labels = ["full batch", *(f"batches of {size:,}" for size in settings.batch_sizes)]
    sizes = [num_examples, *settings.batch_sizes]
    return [Method(*row) for row in zip(labels, sizes, map(optax.sgd, rates(settings)), strict=True)]


def rates(settings: Settings) -> list[float]:
    """The learning rate of every method, in the order of `methods`."""
    return [settings.full_batch_learning_rate, *settings.learning_rates]


def compare(settings: Settings, problem: Problem, order: np.ndarray, start: models.Params) -> list[Curve]:
    """The curve of every method, from the same starts and with the same shuffles."""
    return [
        follow(problem, method, start, order, settings.num_steps)
        for method in methods(settings, len(problem.train.inputs))
    ]


def tuned(settings: Settings, problem: Problem, order: np.ndarray, start: models.Params) -> tuple[Settings, dict]:
    """The settings with, for every method, the rate of GRID with the lowest median cost at its end; and those costs.

    All methods search the same grid and are judged at the end of their own run, for without that a comparison says
    nothing (Shallue et al., arXiv:1811.03600). A run that diverges costs infinity.
    """
    found: dict[str, dict[float, float]] = {}
    for method in methods(settings, len(problem.train.inputs)):
        found[method.label] = {}
        for rate in GRID:
            tried = method._replace(optimizer=optax.sgd(rate), label=f"{method.label}, rate {rate:g}")
            try:
                curve = follow(problem, tried, start, order, settings.num_steps)
                found[method.label][rate] = float(np.median(curve.cost[:, -1]))
            except runs.Diverged:
                found[method.label][rate] = math.inf
    best = [min(costs_at, key=costs_at.__getitem__) for costs_at in found.values()]
    return dataclasses.replace(settings, full_batch_learning_rate=best[0], learning_rates=tuple(best[1:])), found


class BatchQuality(NamedTuple):
    """How good the mini-batch gradients of one epoch are as stand-ins for the full gradient G; one number a seed."""

    mean_error: Array  # |mean of the batch gradients - G| / |G|
    variance_ratio: Array  # their mean |g_B - G|^2 over what sampling without replacement predicts
    cosine: Array  # mean cosine between a batch gradient and G
    predicted: Array  # the same from the scatter of the single examples' gradients
    gradient_norm: Array  # |G|


def batch_quality(problem: Problem, params: models.Params, train: Examples, schedule: Array) -> BatchQuality:
    """Averages what the examples of each mini-batch want, and holds the average against the full gradient G.

    Theory for sampling without replacement: E |g_B - G|^2 = (tr Sigma / B) (N-B)/(N-1), and therefore cos(g_B, G) is
    about 1/sqrt(1 + (B_simple/B) (N-B)/(N-1)), where tr Sigma = mean |g_i|^2 - |G|^2 and B_simple = tr Sigma / |G|^2
    (McCandlish et al., arXiv:1812.06162).
    """

    def of_batch(rows: Array) -> tuple[Array, Array]:
        nudges = gradients.per_example_gradients(problem.example_cost)(
            params, jax.tree.map(lambda leaf: leaf[rows], train)
        )
        squared_norms = jnp.asarray(optax.tree.norm(nudges, squared=True)) / len(rows)
        return ravel_pytree(gradients.average(nudges))[0], squared_norms

    batch_gradients, squared_norms = jax.lax.map(of_batch, schedule)
    full = ravel_pytree(jax.grad(problem.cost)(params, train))[0]
    norm = jnp.linalg.norm(full)
    trace = squared_norms.mean() - norm**2
    num_examples, batch_size = len(train.inputs), schedule.shape[1]
    scatter = trace / batch_size * statistics.finite_population(batch_size, num_examples)
    return BatchQuality(
        mean_error=jnp.linalg.norm(batch_gradients.mean(axis=0) - full) / norm,
        variance_ratio=jnp.mean(jnp.sum((batch_gradients - full[None]) ** 2, axis=1)) / scatter,
        cosine=jnp.mean(batch_gradients @ full / (jnp.linalg.norm(batch_gradients, axis=1) * norm)),
        predicted=statistics.expected_cosine(trace / norm**2, batch_size, num_examples),
        gradient_norm=norm,
    )


class Measured(NamedTuple):
    """All that the claims are about."""

    methods: list[Method]
    curves: list[Curve]
    seconds: list[float]  # of one step of each method
    reference: int  # which method is the film's, with batches of 100 or nearest to it
    order: np.ndarray  # seeds, epochs, examples: the shuffles
    start: BatchQuality  # at the start and at the end of the reference's run, with the film's batches of 100
    end: BatchQuality
    train_accuracy: np.ndarray  # of every seed at the end of the reference's run
    decayed: Curve | None  # the reference with a learning rate that falls to zero; None in a run too short to settle
    decayed_end: BatchQuality | None
    nielsen: tuple[Curve, np.ndarray] | None  # his setting, and the accuracy on the training set at its end


def measure(settings: Settings, problem: Problem, nielsen: Problem | None) -> tuple[Settings, dict, Measured]:
    """Searches the rates if asked to, runs every method, the decayed one and Nielsen's, looks at the gradients."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    start = descents.starts(problem, init_keys)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.num_epochs)
    settings, grid = tuned(settings, problem, order, start) if settings.tune else (settings, {})
    listed = methods(settings, len(problem.train.inputs))
    curves = compare(settings, problem, order, start)
    reference = reference_index([method.batch_size for method in listed])
    quality = jax.jit(runs.over_seeds(partial(batch_quality, problem), (0, None, 0)))
    films_batches = descents.in_batches(order[:, :1], min(FILMS_BATCH, order.shape[-1] // 2))
    decayed, decayed_end = None, None
    if settings.num_epochs >= SETTLED:
        decayed = with_falling_rate(problem, listed[reference], rates(settings)[reference], order, start)
        decayed_end = quality(decayed.end, problem.train, films_batches)
    runs.console.print("timing single steps, comparing batch gradients with the full one ...")
    return settings, grid, Measured(
        methods=listed,
        curves=curves,
        seconds=descents.seconds_per_step(problem, listed, jax.tree.map(lambda leaf: leaf[0], start), order[0, 0]),
        reference=reference,
        order=order,
        start=quality(start, problem.train, films_batches),
        end=quality(curves[reference].end, problem.train, films_batches),
        train_accuracy=accuracy_on_train(problem, curves[reference]),
        decayed=decayed,
        decayed_end=decayed_end,
        nielsen=nielsens_setting(nielsen, settings, init_keys, shuffle_keys) if nielsen else None,
    )  # fmt: skip


def accuracy_on_train(problem: Problem, curve: Curve) -> np.ndarray:
    """Of every seed, at the end of the curve."""
    return np.asarray(jax.jit(runs.over_seeds(problem.accuracy, (0, None)))(curve.end, problem.train))


def with_falling_rate(problem: Problem, method: Method, rate: float, order: np.ndarray, start: models.Params) -> Curve:
    """The method once more, same starts, same batches; in the second half its learning rate falls to zero."""
    half = descents.in_batches(order, method.batch_size).shape[1] // 2
    falling = optax.linear_schedule(rate, 0.0, transition_steps=half, transition_begin=half)
    slower = method._replace(label=f"{method.label}, rate falling", optimizer=optax.sgd(falling))
    return follow(problem, slower, start, order)


def nielsens_problem(settings: Settings, problem: Problem) -> Problem | None:
    """His network on his 50,000 training images (he keeps 10,000 for validation), every parameter from N(0, 1).

    None unless the data are MNIST and the cost is the film's, for which his book gives its numbers.
    """
    films_cost = common.cost_function(settings) is costs.sum_of_squares
    if not settings.nielsen_epochs or settings.dataset != "mnist" or not films_cost:
        return None
    model = models.mlp((784, 30, 10), init_weights=models.unit_normal, init_biases=models.unit_normal)
    train = common.first(problem.train, 50_000)
    return descents.make_problem(model, costs.sum_of_squares, train, problem.test)


def nielsens_setting(
    problem: Problem, settings: Settings, init_keys: Array, shuffle_keys: Array
) -> tuple[Curve, np.ndarray]:
    """Batches of 10, his learning rate 3.0, which is 1.5 here, since he differentiates with the 1/2.

    Returns the curve, observed after every epoch, and every seed's accuracy on the training set at its end.
    """
    own_keys = jax.vmap(partial(jax.random.fold_in, data=1))  # another network: other random numbers
    order = descents.shuffles(own_keys(shuffle_keys), len(problem.train.inputs), settings.nielsen_epochs)
    method = Method("Nielsen's setting", 10, optax.sgd(1.5))
    start = descents.starts(problem, own_keys(init_keys))
    curve = follow(problem, method, start, order, num_legs=settings.nielsen_epochs)
    return curve, accuracy_on_train(problem, curve)


def reference_index(batch_sizes: list[int]) -> int:
    """Which method is the film's: the one whose batches are nearest to its 100; number 0 is the full batch."""
    return 1 + int(np.argmin([abs(size - 100) for size in batch_sizes[1:]]))


def costs_at_equal_steps(curves: list[Curve], num_steps: int) -> list[np.ndarray]:
    """The cost of every method, for every seed, after equally many steps: the most that all made, to num_steps."""
    together = min(num_steps, *(int(curve.steps[-1]) for curve in curves))
    together = together // descents.STEPS_PER_LEG * descents.STEPS_PER_LEG
    return [curve.cost[:, curve.steps.tolist().index(together)] for curve in curves]


def factors_to_target(measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """(examples, seconds): how many times more the full batch needs than each other method, (methods, seeds).

    The target is each seed's own: the cost with which its full-batch run ends. NaN where a method never saw it.
    """
    target = measured.curves[0].cost[:, -1]
    steps = np.array([steps_to(curve, target) for curve in measured.curves])
    examples = steps * np.array([[method.batch_size] for method in measured.methods])
    seconds = steps * np.array(measured.seconds)[:, None]
    return examples[0] / examples[1:], seconds[0] / seconds[1:]


def steps_to(curve: Curve, target: np.ndarray) -> np.ndarray:
    """Steps until each seed's cost was first seen at or below its target; NaN where it never was."""
    reached = curve.cost <= target[:, None]
    return np.where(reached.any(axis=1), curve.steps[reached.argmax(axis=1)].astype(float), np.nan)


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory or the literature and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    return [
        *speed_claims(settings, measured, claim),
        *batch_claims(measured, claim),
        *(settling_claims(measured, claim) if measured.decayed else []),
        *(nielsens_claims(measured, claim) if measured.nielsen and settings.nielsen_epochs == 30 else []),
    ]


def speed_claims(settings: Settings, measured: Measured, claim: Callable) -> list[Claim]:
    """T30, T32 and T34: what a step costs, and what it buys."""
    film = measured.methods[measured.reference]
    ratio = measured.methods[0].batch_size / film.batch_size
    full, *others = costs_at_equal_steps(measured.curves, settings.num_steps)
    in_examples, in_seconds = factors_to_target(measured)
    return [
        claim("T30", f"a full-batch step takes as long as many steps of {film.batch_size:,} examples: at most as many "
              "as it has more examples, less for the overhead of a step",
              measured.seconds[0] / measured.seconds[measured.reference], ratio, 1.0, ratio, "times"),
        claim("T32", "step for step the full batch wins or ties: its cost over the best mini-batch method's, each with "
              "the rate for its whole run", max(float(np.median(full / other)) for other in others), 1.0, None, 1.05,
              "ratio, median"),
        *(claim("T34", f"per {what} SGD wins: times more that the full batch needs than {method.label} "
                f"(median {np.median(factor):.0f}, at most {np.max(factor):.0f})",
                float(np.min(factor)), None, 1.0, None, "least of all seeds")
          for what, factors in (("example read", in_examples), ("second", in_seconds))
          for method, factor in zip(measured.methods[1:], factors, strict=True)),
    ]  # fmt: skip


def batch_claims(measured: Measured, claim: Callable) -> list[Claim]:
    """T31 to T33: every example once an epoch, and how good the gradient of a mini-batch is."""
    schedule = descents.in_batches(measured.order[:1, :1], measured.methods[measured.reference].batch_size)
    num_examples = measured.order.shape[-1]
    seen = np.bincount(schedule.ravel(), minlength=num_examples)
    kept = schedule.size
    found = [
        claim("T31", "an epoch's mini-batches see every example once, but for the remainder of the division",
              float(np.sum(seen == 1)), float(kept), float(kept), float(kept), "examples"),
    ]  # fmt: skip
    for when, quality in (("at the start", measured.start), ("after training", measured.end)):
        found += [
            claim("T33", f"gradients of batches of {FILMS_BATCH} scatter as without replacement they should, {when}",
                  float(np.median(quality.variance_ratio)), 1.0, 0.95, 1.05, "ratio of variances, median"),
            claim("T33", f"their cosine with the full gradient (median {np.median(quality.cosine):.3f}) less theory's, "
                  f"{when}", float(np.median(quality.cosine - quality.predicted)), 0.0, -0.05, 0.05, "cosine, median"),
        ]  # fmt: skip
        if kept == num_examples:  # else some examples sit the epoch out
            found += [claim("T32", f"they average to the full gradient, {when}", float(np.max(quality.mean_error)), 0.0,
                            0.0, 1e-4, "largest relative error")]  # fmt: skip
    return found


def settling_claims(measured: Measured, claim: Callable) -> list[Claim]:
    """T38: a constant learning rate stumbles on a floor, a falling one gets below it."""
    assert measured.decayed
    assert measured.decayed_end
    constant = measured.curves[measured.reference]
    assert constant.steps[-1] == measured.decayed.steps[-1]
    shrunk = measured.decayed_end.gradient_norm / measured.end.gradient_norm
    cheaper = measured.decayed.cost[:, -1] / constant.cost[:, -1]
    return [
        claim("T38", "with a learning rate that falls to zero the gradient ends smaller than with a constant one",
              float(np.max(shrunk)), None, None, 1.0, "ratio of |G|, largest of all seeds"),
        claim("T38", "and the cost ends lower", float(np.max(cheaper)), None, None, 1.0,
              "ratio of costs, largest of all seeds"),
    ]  # fmt: skip


def nielsens_claims(measured: Measured, claim: Callable) -> list[Claim]:
    """T39: a really good job on the training examples, and the accuracy of the book."""
    assert measured.nielsen
    curve, on_train = measured.nielsen
    film = measured.train_accuracy
    return [
        claim("T39", "Nielsen's setting does a really good job on the training examples (the film's network: "
              f"median {100 * np.median(film):.1f} %, from {100 * film.min():.1f} to {100 * film.max():.1f} %)",
              100 * float(np.median(on_train)), None, 95.0, 100.0, "% correct, median"),
        claim("T39", "and reaches his accuracy on new images (95.42 was his best of three)",
              100 * float(np.median(curve.accuracy[:, -1])), 95.0, 94.5, 95.5, "% correct, median"),
    ]  # fmt: skip


def sentence(settings: Settings, measured: Measured) -> str:
    """What was found, in one sentence."""
    factors = [factor[measured.reference - 1] for factor in factors_to_target(measured)]
    label = measured.methods[measured.reference].label.capitalize()
    if not all(np.isfinite(factor).all() for factor in factors):
        return f"{label} did not come as far as {settings.num_steps} full-batch steps in every seed."
    in_examples, in_seconds = (f"1/{np.median(factor):.3g}" for factor in factors)
    costs_there = costs_at_equal_steps(measured.curves, settings.num_steps)
    full, film = np.median(costs_there[0]), np.median(costs_there[measured.reference])
    verdict = "is ahead" if full < 0.95 * film else "is level" if full <= 1.05 * film else "is behind"
    return (
        f"{label} come as far as {settings.num_steps} full-batch steps with {in_examples} of the examples in "
        f"{in_seconds} of the time; step for step the full batch {verdict} (cost {full:.3f}, {film:.3f})."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    began = time.perf_counter()
    train, test = common.load(settings)
    check_batches(settings, len(train.inputs))
    problem = descents.problem_of(settings, train, test)
    flops = descents.flops_per_example(problem)
    facts = records.describe_data(settings.dataset, train=train, test=test)
    with records.divergence_recorded(settings.out / NAME, settings, **facts):
        settings, grid, measured = measure(settings, problem, nielsens_problem(settings, problem))
    claims, finding = make_claims(settings, measured), sentence(settings, measured)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        arrays_for_figures(measured),
        **facts,
        finding=finding,
        layer_sizes=settings.sizes_for(train),
        image_shape=data.image_shape(settings.dataset, data_dir=settings.data_dir),
        grid=grid,
        methods=[
            {
                "label": method.label,
                "batch_size": method.batch_size,
                "learning_rate": rate,
                "seconds_per_step": seconds,
                "compile_seconds": curve.compile_seconds,
                "run_seconds": curve.run_seconds,
            }
            for method, rate, curve, seconds in zip(
                measured.methods, rates(settings), measured.curves, measured.seconds, strict=True
            )
        ],
        flops_per_example=flops,
        seconds=time.perf_counter() - began,
    )


def check_batches(settings: Settings, num_examples: int) -> None:
    """Raises common.SettingsError unless every batch size fits the data and leaves steps enough to compare."""
    for size in settings.batch_sizes:
        common.require(
            1 <= size < num_examples,
            f"--batch-sizes has {size}; each must be at least 1 and below the full batch, {num_examples} examples",
        )
        num_steps = settings.num_epochs * (num_examples // size)
        common.require(
            num_steps >= descents.STEPS_PER_LEG,
            f"--num-epochs is {settings.num_epochs}, in which batches of {size} make {num_steps} steps; "
            f"at least {descents.STEPS_PER_LEG} are needed for a comparison, so raise --num-epochs",
        )


def arrays_for_figures(measured: Measured) -> dict[str, np.ndarray]:
    """The curves by name: steps, cost and accuracy of method 0, 1, ..., of the decayed one and of Nielsen's."""
    named = {str(index): curve for index, curve in enumerate(measured.curves)}
    if measured.decayed is not None:
        named["decayed"] = measured.decayed
    if measured.nielsen is not None:
        named["nielsen"] = measured.nielsen[0]
    return {f"{name}_{field}": getattr(curve, field) for name, curve in named.items() for field in figures.CURVE_FIELDS}


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.compare_figure(record, arrays), out / NAME / f"{NAME}.png")
    if "decayed_steps" in arrays:
        index = reference_index([method["batch_size"] for method in record["methods"]])
        plots.save(figures.decay_figure(record, arrays, index), out / NAME / "falling_learning_rate.png")
    if "nielsen_steps" in arrays:
        plots.save(figures.nielsen_figure(record, arrays), out / NAME / "nielsens_setting.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.full_batch_vs_sgd"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
