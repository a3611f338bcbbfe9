"""What does a mini-batch step buy, and what does it cost, against a careful full-batch step?

The film's network (784-16-16-10) and cost on all of MNIST: full-batch descent against mini-batches of 10, 100 and
1000, from the same starts, with the same shuffles, every learning rate chosen by the same search (--tune). Cost and
test accuracy against steps, examples read, floating point operations and seconds. And Nielsen's setting (784-30-10,
batches of 10, 30 epochs), whose accuracy is known from his book.

Run:     python -m experiments.full_batch_vs_sgd [--quick | --full]
Time:    default 75 s, --quick 15 s, --full 9 min, --tune 8 min on 2 cores, compilation included
Result:  TODO
"""

import dataclasses
import math
import textwrap
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure

from experiments.common import descents, records, runs
from experiments.common import settings as common
from experiments.common.descents import Curve, Method, Problem, follow, stretches
from experiments.common.records import Claim
from research import costs, data, gradients, models, plots
from research.data import Examples

NAME = Path(__file__).stem
GRID = tuple(2.0**power for power in range(-3, 5))  # learning rates that --tune tries, the same for every method
CURVE_FIELDS = ("steps", "cost", "accuracy")
COLUMN_TITLES = ("Step for step", "Example for example", "Second for second")
SETTLED = 5  # epochs after which a constant learning rate stumbles on its floor, so that a smaller one can show
PLATEAU = 0.9  # ten balanced classes, every output 0.1: 1 * (1 - 0.1)^2 + 9 * (0 - 0.1)^2


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the comparison; the default takes about 75 s on 2 cores."""

    batch_sizes: tuple[int, ...] = (10, 100, 1000)
    """Mini-batch sizes to compare with the full batch, each between 1 and the number of training examples."""
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
    """Search the learning rates on the grid 2^-3 ... 2^5 first and use the best found."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
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
        follow(problem, method, stretches(problem, method, order, settings.num_steps), start)
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
                curve = follow(problem, tried, stretches(problem, tried, order, settings.num_steps), start)
                found[method.label][rate] = float(np.median(curve.cost[:, -1]))
            except runs.Diverged:
                found[method.label][rate] = math.inf
    best = [min(costs_at, key=costs_at.__getitem__) for costs_at in found.values()]
    return dataclasses.replace(settings, full_batch_learning_rate=best[0], learning_rates=tuple(best[1:])), found


class BatchQuality(NamedTuple):
    """How good the mini-batch gradients of one epoch are as stand-ins for the full gradient G; one number a seed."""

    mean_error: Array  # |mean of the batch gradients - G| / |G|
    cosine: Array  # mean cosine between a batch gradient and G
    predicted: Array  # the same from the scatter of the single examples' gradients
    gradient_norm: Array  # |G|


def batch_quality(problem: Problem, params: models.Params, train: Examples, schedule: Array) -> BatchQuality:
    """Averages what the examples of each mini-batch want, and holds the average against the full gradient G.

    Theory for sampling without replacement: cos(g_B, G) is about 1/sqrt(1 + (B_simple/B) (N-B)/(N-1)), where
    B_simple = (mean |g_i|^2 - |G|^2) / |G|^2 (McCandlish et al., arXiv:1812.06162).
    """

    def of_batch(rows: Array) -> tuple[Array, Array]:
        nudges = gradients.per_example_gradients(problem.one)(params, jax.tree.map(lambda leaf: leaf[rows], train))
        squared_norms = jnp.asarray(optax.tree.norm(nudges, squared=True)) / len(rows)
        return ravel_pytree(gradients.average(nudges))[0], squared_norms

    batch_gradients, squared_norms = jax.lax.map(of_batch, schedule)
    full = ravel_pytree(jax.grad(problem.cost)(params, train))[0]
    norm = jnp.linalg.norm(full)
    noise_scale = (squared_norms.mean() - norm**2) / norm**2
    num_examples, batch_size = len(train.inputs), schedule.shape[1]
    return BatchQuality(
        mean_error=jnp.linalg.norm(batch_gradients.mean(axis=0) - full) / norm,
        cosine=jnp.mean(batch_gradients @ full / (jnp.linalg.norm(batch_gradients, axis=1) * norm)),
        predicted=1 / jnp.sqrt(1 + noise_scale / batch_size * (num_examples - batch_size) / (num_examples - 1)),
        gradient_norm=norm,
    )


class Measured(NamedTuple):
    """All that the claims are about."""

    methods: list[Method]
    curves: list[Curve]
    seconds: list[float]  # of one step of each method
    reference: int  # which method is the film's, with batches of 100 or nearest to it
    start: BatchQuality  # at the start and at the end of the reference's run
    end: BatchQuality
    decayed: Curve | None  # the reference with a learning rate that falls to zero; None in a run too short to settle
    decayed_end: BatchQuality | None
    nielsen: tuple[Curve, np.ndarray] | None  # his setting, and the accuracy on the training set at its end


def measure(settings: Settings, problem: Problem, nielsen: Problem | None) -> tuple[Settings, dict, Measured]:
    """Searches the rates if asked to, runs every method, the decayed one and Nielsen's, looks at the gradients."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    start = descents.starts(problem, init_keys)
    num_epochs = max(settings.num_epochs, settings.nielsen_epochs if nielsen else 0)
    shuffles = descents.shuffles(shuffle_keys, len(problem.train.inputs), num_epochs)
    order = shuffles[:, : settings.num_epochs]
    settings, grid = tuned(settings, problem, order, start) if settings.tune else (settings, {})
    listed = methods(settings, len(problem.train.inputs))
    curves = compare(settings, problem, order, start)
    reference = reference_index([method.batch_size for method in listed])
    quality = jax.jit(runs.over_seeds(partial(batch_quality, problem), (0, None, 0)))
    one_epoch = descents.in_batches(order[:, :1], listed[reference].batch_size)
    decayed, decayed_end = None, None
    if settings.num_epochs >= SETTLED:
        decayed = with_falling_rate(problem, listed[reference], rates(settings)[reference], order, start)
        decayed_end = quality(decayed.end, problem.train, one_epoch)
    runs.console.print("timing single steps, comparing batch gradients with the full one ...")
    return settings, grid, Measured(
        methods=listed,
        curves=curves,
        seconds=descents.seconds_per_step(problem, listed, jax.tree.map(lambda leaf: leaf[0], start), order[0, 0]),
        reference=reference,
        start=quality(start, problem.train, one_epoch),
        end=quality(curves[reference].end, problem.train, one_epoch),
        decayed=decayed,
        decayed_end=decayed_end,
        nielsen=nielsens_setting(nielsen, shuffles[:, : settings.nielsen_epochs], init_keys) if nielsen else None,
    )  # fmt: skip


def with_falling_rate(problem: Problem, method: Method, rate: float, order: np.ndarray, start: models.Params) -> Curve:
    """The method once more, same starts, same batches; in the second half its learning rate falls to zero."""
    half = descents.in_batches(order, method.batch_size).shape[1] // 2
    falling = optax.linear_schedule(rate, 0.0, transition_steps=half, transition_begin=half)
    slower = method._replace(label=f"{method.label}, rate falling", optimizer=optax.sgd(falling))
    return follow(problem, slower, stretches(problem, slower, order, num_steps=0, legs_per_epoch=2), start)


def nielsens_setting(problem: Problem, order: np.ndarray, init_keys: Array) -> tuple[Curve, np.ndarray]:
    """Batches of 10, his learning rate 3.0 (1.5 here: he differentiates with the 1/2), every parameter from N(0, 1).

    Returns the curve and, for every seed, the accuracy on the training set at its end.
    """
    method = Method("Nielsen's setting", 10, optax.sgd(1.5))
    way = stretches(problem, method, order, num_steps=0, legs_per_epoch=1)
    curve = follow(problem, method, way, descents.starts(problem, init_keys))
    train_accuracy = jax.jit(runs.over_seeds(problem.accuracy, (0, None)))(curve.end, problem.train)
    return curve, np.asarray(train_accuracy)


def reference_index(batch_sizes: list[int]) -> int:
    """Which method is the film's: the one whose batches are nearest to its 100; number 0 is the full batch."""
    return 1 + int(np.argmin([abs(size - 100) for size in batch_sizes[1:]]))


def costs_at_equal_steps(curves: list[Curve], num_steps: int) -> list[np.ndarray]:
    """The cost of every method, for every seed, after as many steps as all of them made, at most num_steps."""
    together = min(num_steps, *(int(curve.steps[-1]) for curve in curves))
    return [curve.cost[:, np.flatnonzero(curve.steps <= together)[-1]] for curve in curves]


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
    film = measured.methods[measured.reference]
    ratio = measured.methods[0].batch_size / film.batch_size
    full, *others = costs_at_equal_steps(measured.curves, settings.num_steps)
    in_examples, in_seconds = factors_to_target(measured)
    found = [
        claim("T30", f"a full-batch step takes as long as many steps of {film.batch_size:,} examples; "
              "as many as it has more examples, but for overhead and caches",
              measured.seconds[0] / measured.seconds[measured.reference], ratio, 10.0, 2 * ratio, "times"),
        *([claim("T32", "the mini-batch gradients of one epoch average to the gradient",
                 float(np.max(measured.start.mean_error)), 0.0, 0.0, 1e-5, "largest relative error")]
          if ratio.is_integer() else []),  # else some examples sit the epoch out
        claim("T32", "step for step the full batch wins or ties: its cost over the best mini-batch method's",
              max(float(np.median(full / other)) for other in others), 1.0, None, 1.05, "ratio, median"),
        *(claim("T33", f"the cosine of a batch's gradient with the full one, less what theory says, {when} "
                f"(median {np.median(quality.cosine):.3f})",
                float(np.median(quality.cosine - quality.predicted)), 0.0, -0.05, 0.05, "cosine, median")
          for when, quality in (("at the start", measured.start), ("after training", measured.end))),
        *(claim("T34", f"per {what} SGD wins: times more that the full batch needs than {method.label}",
                float(np.min(factor)), None, 1.0, None, "smallest factor of all seeds")
          for what, factors in (("example read", in_examples), ("second", in_seconds))
          for method, factor in zip(measured.methods[1:], factors, strict=True)),
    ]  # fmt: skip
    if measured.decayed is not None and measured.decayed_end is not None:
        constant = measured.curves[measured.reference]
        found += [
            claim("T38", "with a learning rate that falls to zero the gradient gets smaller than with a constant one",
                  float(np.max(measured.decayed_end.gradient_norm / measured.end.gradient_norm)), None, None, 1.0,
                  "largest ratio of |G|"),
            claim("T38", "and the cost gets lower", float(np.max(measured.decayed.cost[:, -1] / constant.cost[:, -1])),
                  None, None, 1.0, "largest ratio of costs"),
        ]  # fmt: skip
    if measured.nielsen is not None and settings.nielsen_epochs == 30:
        found += [
            claim("T39", "Nielsen's setting does a really good job on the training examples",
                  100 * float(np.median(measured.nielsen[1])), None, 95.0, 100.0, "% correct, median"),
            claim("T39", "and reaches his accuracy on new images (95.42 was his best of three)",
                  100 * float(np.median(measured.nielsen[0].accuracy[:, -1])), 95.0, 94.5, 95.5, "% correct, median"),
        ]  # fmt: skip
    return found


def sentence(settings: Settings, measured: Measured) -> str:
    """What was found, in one sentence."""
    in_examples, in_seconds = (
        np.median(factor, axis=1)[measured.reference - 1] for factor in factors_to_target(measured)
    )
    costs_there = costs_at_equal_steps(measured.curves, settings.num_steps)
    full, film = np.median(costs_there[0]), np.median(costs_there[measured.reference])
    label = measured.methods[measured.reference].label.capitalize()
    if not np.isfinite(in_examples):
        return f"{label} never came as far as {settings.num_steps} full-batch steps."
    verdict = "is ahead" if full < 0.95 * film else "is level" if full <= 1.05 * film else "is behind"
    return (
        f"{label} come as far as {settings.num_steps} full-batch steps with {in_examples:.0f} times fewer examples in "
        f"{in_seconds:.0f} times less time; step for step the full batch {verdict} (cost {full:.3f}, {film:.3f})."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    cost_fn = common.cost_function(settings)
    train, test = (data.load(settings.dataset, split, data_dir=settings.data_dir) for split in ("train", "test"))
    check_batches(settings, len(train.inputs))
    model = common.make_model(settings, train)
    common.check_cost(cost_fn, model, train)
    problem = descents.make_problem(model, cost_fn, train, test)
    facts = records.describe_data(settings.dataset, train=train, test=test)
    try:
        settings, grid, measured = measure(settings, problem, nielsens_problem(settings, problem))
    except runs.Diverged as error:
        records.write_run(settings.out / NAME, settings, [], {}, status=f"diverged: {error}", **facts)
        raise
    claims, finding = make_claims(settings, measured), sentence(settings, measured)
    records.write_run(
        settings.out / NAME,
        settings,
        claims,
        arrays_for_figures(measured),
        **facts,
        finding=finding,
        layer_sizes=settings.sizes_for(train),
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
        flops_per_example=descents.flops_per_example(problem),
    )
    records.print_claims(claims)
    print(finding)


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


def nielsens_problem(settings: Settings, problem: Problem) -> Problem | None:
    """His network on our data; None unless it is MNIST with the film's cost, for which he gives his numbers."""
    if not settings.nielsen_epochs or settings.dataset != "mnist" or settings.cost != Settings.cost:
        return None
    model = models.mlp((784, 30, 10), init_weights=models.unit_normal, init_biases=models.unit_normal)
    return descents.make_problem(model, costs.sum_of_squares, problem.train, problem.test)


def arrays_for_figures(measured: Measured) -> dict[str, np.ndarray]:
    """The curves by name: steps, cost and accuracy of method 0, 1, ..., of the decayed one and of Nielsen's."""
    named = {str(index): curve for index, curve in enumerate(measured.curves)}
    if measured.decayed is not None:
        named["decayed"] = measured.decayed
    if measured.nielsen is not None:
        named["nielsen"] = measured.nielsen[0]
    return {f"{name}_{field}": getattr(curve, field) for name, curve in named.items() for field in CURVE_FIELDS}


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(compare_figure(record, arrays), out / NAME / f"{NAME}.png")
    if "decayed_steps" in arrays:
        plots.save(decay_figure(record, arrays), out / NAME / "falling_learning_rate.png")
    if "nielsen_steps" in arrays:
        plots.save(nielsen_figure(record, arrays), out / NAME / "nielsens_setting.png")
    print(f"figures and run.json are in {out / NAME}")


def compare_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Cost and accuracy of every method against steps, examples (and operations), and seconds."""
    figure, axes = plots.new_figure(15, 8.5, rows=2, columns=3, sharey="row")
    for index, method in enumerate(record["methods"]):
        steps, cost, accuracy = (arrays[f"{index}_{field}"] for field in CURVE_FIELDS)
        together = steps <= record["settings"]["num_steps"]
        label = f"{method['label']}, rate {method['learning_rate']:g}"
        for column, scale in enumerate((1, method["batch_size"], method["seconds_per_step"])):
            shown = together if column == 0 else slice(None)
            plots.seed_band(axes[0, column], steps[shown] * scale, cost[:, shown], index, label)
            plots.seed_band(axes[1, column], steps[shown] * scale, 100 * accuracy[:, shown], index, label)
    num_seeds, dataset = record["settings"]["num_seeds"], record["dataset"]
    network = "-".join(map(str, record["layer_sizes"]))
    for row in axes:
        row[1].set_xscale("log")
        row[2].set_xscale("log")
    for axis, title in zip(axes[0], COLUMN_TITLES, strict=True):
        axis.set_title(title)
        axis.set_yscale("log")
        plots.plain_log_ticks(axis.yaxis, (0.05, 0.1, 0.2, 0.5, 1, 2))
        plots.reference_line(axis, PLATEAU, "every output 0.1: cost 0.9")
    for axis, unit in zip(axes[1], ("steps", "examples read", "seconds of one run, compilation apart"), strict=True):
        axis.set_xlabel(unit)
    per_example = record["flops_per_example"]
    operations = axes[0, 1].secondary_xaxis(
        -0.09, functions=(lambda examples: examples * per_example, lambda flops: flops / per_example)
    )
    operations.set_xlabel("floating point operations (the same curves)", fontsize=9)
    axes[0, 0].set_ylabel(f"cost on the {dataset['train']['count']:,} training images")
    axes[1, 0].set_ylabel(f"correct on the {dataset['test']['count']:,} test images, %")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(record["methods"]),
        title=f"Median and range of {num_seeds} seeds, network {network}; rates are the best for the whole run.",
    )
    figure.suptitle(textwrap.fill(record["finding"], 120), fontsize=14, fontweight="bold")
    return figure


def decay_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The cost near the end with a constant learning rate and with one that falls to zero."""
    index = reference_index([method["batch_size"] for method in record["methods"]])
    method, num_seeds = record["methods"][index], record["settings"]["num_seeds"]
    figure, axes = plots.new_figure(8, 5)
    axis = axes[0, 0]
    for series, (name, label) in enumerate(((str(index), "constant"), ("decayed", "falling to 0 in the second half"))):
        examples = arrays[f"{name}_steps"] * method["batch_size"] / record["dataset"]["train"]["count"]
        plots.seed_band(
            axis, examples, arrays[f"{name}_cost"], series, f"learning rate {method['learning_rate']:g}, {label}"
        )
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2))
    axis.set_xlabel("epochs")
    axis.set_ylabel("cost on the training images")
    axis.set_title(f"{method['label']}: only when the steps get smaller does the stumbling settle")
    axis.legend(title=f"median and range of {num_seeds} seeds")
    return figure


def nielsen_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Test accuracy of 784-30-10 in Nielsen's setting, against what his book gives."""
    steps, accuracy = arrays["nielsen_steps"], 100 * arrays["nielsen_accuracy"]
    figure, axes = plots.new_figure(8, 5)
    axis = axes[0, 0]
    axis.axhspan(94.5, 95.5, color="0.85", label="expected at the end: 94.5 to 95.5 %")
    epochs = steps * 10 / record["dataset"]["train"]["count"]
    plots.seed_band(axis, epochs, accuracy, 0, f"784-30-10, median and range of {len(accuracy)} seeds")
    axis.plot([1, epochs[-1]], [91.29, 95.34], "k*", markersize=11, label="Nielsen's book: first and last epoch")
    axis.set_xlabel("epochs (batches of 10, learning rate 1.5; 3.0 in his convention)")
    axis.set_ylabel("correct on the 10,000 test images, %")
    axis.set_title(f"Nielsen's 30-neuron network ends at {np.median(accuracy[:, -1]):.2f} %; he reports 95.34")
    axis.legend(loc="lower right")
    return figure


def main() -> None:
    """python -m experiments.full_batch_vs_sgd"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
