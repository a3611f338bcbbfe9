"""Does Nielsen's recipe reach the accuracies of his book?

His book gives numbers for the film's kind of network, trained in one way: batches of 10, 30 epochs of 50,000 images of
MNIST (he keeps 10,000 for validation), all parameters from N(0, 1), the squares with rate 3.0, which is 1.5 here, since
his cost has a 1/2, and cross-entropy with rate 0.5. With 100 neurons also from small weights: he notes himself that
from N(0, 1) his readers' runs vary much and come out quite a bit worse, and that weights divided by sqrt(n) help. The
claims are the literature's and hold for MNIST alone; another cost, network or data set leaves this experiment as it is.

Run:     python -m experiments nielsens_recipe [--quick | --full]
Time:    default 40 s, --quick 12 s, --full 2.5 to 9 min on 2 cores, compilation included
Result:  (6 starts) 94.9 % with 30 neurons (the best epoch of three 95.2, his 95.42), with cross-entropy 95.2 %; with
         100 from N(0, 1) no run gets beyond 88 % (96.59: that claim does not hold), from small weights 97.7 %.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Ge, MinLen
from jax.nn.initializers import Initializer
from jaxtyping import Float

from experiments.common import descents, experiment, plots, runs
from experiments.common.bounds import Count, require
from experiments.common.claims import Claims, about, follow_up, prediction, within
from experiments.common.problem import Problem
from research import costs, data, models

UNIT = (models.unit_normal, models.unit_normal)  # weights and biases of his start in chapter 1
SMALL = (models.scaled_normal, jax.nn.initializers.zeros)  # his chapter 3's remedy
SQUARES = (costs.sum_of_squares, jax.nn.sigmoid, 1.5)  # cost, last activation, rate
ENTROPY = (costs.sigmoid_cross_entropy, jax.nn.identity, 0.5)  # no factor in his cost, none here: his rate
HIS_IMAGES, HIS_BATCH, HIS_EPOCHS = 50_000, 10, 30


class Recipe(NamedTuple):
    name: str
    hidden: tuple[int, ...]
    start: tuple[Initializer, Initializer]  # of weights and biases
    learning: tuple[Callable, Callable, float]  # cost, activation of the last layer, rate
    said: float | None = None  # his book's number, %


RECIPES = (
    Recipe("784-30-10", (30,), UNIT, SQUARES, 95.42),
    Recipe("784-100-10", (100,), UNIT, SQUARES, 96.59),
    Recipe("784-10", (), UNIT, SQUARES),
    Recipe("784-100-10, small weights", (100,), SMALL, SQUARES),
    Recipe("784-30-10, cross-entropy", (30,), UNIT, ENTROPY, 95.49),
    Recipe("784-100-10, cross-entropy", (100,), UNIT, ENTROPY, 96.82),
)
WHY = (
    "finding: digits that are never answered; dead_digits, with 100 starts, decides how often a run escapes (his own "
    "book reports readers' results that are quite a bit worse)"
)
SAID = {recipe.name: recipe.said for recipe in RECIPES}


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 3
    """How many runs, each with its own start and its own shuffles."""
    num_epochs: Annotated[int, Ge(1)] = 10
    """Passes over the training images; the book's numbers are of 30."""
    recipes: Annotated[tuple[str, ...], MinLen(1)] = tuple(SAID)
    """Which of his networks, by their names."""

    def check(self) -> None:
        for name in self.recipes:
            require(name in SAID, f"--recipes has {name}; give some of: {'; '.join(SAID)}")


QUICK = Settings(num_seeds=2, num_epochs=1, recipes=("784-30-10", "784-10"))
FULL = Settings(num_seeds=6, num_epochs=HIS_EPOCHS)


class Outcome(NamedTuple):
    train_accuracy: Float[np.ndarray, "seeds"]  # at the end
    test_accuracy: Float[np.ndarray, "seeds epochs"]

    @property
    def end(self) -> float:  # % of the test images, median
        return 100 * float(np.median(self.test_accuracy[:, -1]))


class Result(NamedTuple):
    outcomes: dict[str, Outcome]  # by the names of the networks


def measure(problem: Problem, settings: Settings) -> Result:
    train = data.take(problem.train, slice(HIS_IMAGES))
    num_in, num_out = train.inputs.shape[-1], train.targets.shape[-1]
    own = jax.vmap(partial(jax.random.fold_in, data=1))  # other networks: other random numbers
    init_keys, shuffle_keys = map(own, runs.seed_keys(settings.seed, settings.num_seeds))
    order = descents.shuffles(shuffle_keys, len(train.inputs), settings.num_epochs)
    rows = descents.in_equal_legs(descents.in_batches(order, HIS_BATCH), settings.num_epochs)
    outcomes = {}
    for name, hidden, (weights, biases), (cost_fn, last, rate), _ in RECIPES:
        if name not in settings.recipes:
            continue
        sizes = (num_in, *hidden, num_out)
        model = models.mlp(sizes, output_activation=last, init_weights=weights, init_biases=biases)
        posed = problem._replace(model=model, cost_fn=cost_fn, train=train)
        trained = descents.train(name, posed, (rate,), init_keys, rows)
        outcomes[name] = Outcome(trained.train_accuracy, trained.test_accuracy)
        runs.console.print(f"{name}: {outcomes[name].end:.2f} % of the test images")
    return Result(outcomes)


def claims(result: Result, settings: Settings) -> Claims:
    """His numbers of chapter 1 are the best of three runs, and their best epoch; so are these. For cross-entropy his
    numbers are of one run: the median is to be within half a point. From small weights his 96.59 is to be reached,
    below what he reaches with regularised cross-entropy, 98.04."""
    if settings.dataset != "mnist" or settings.num_epochs != HIS_EPOCHS or settings.num_examples is not None:
        return
    found = result.outcomes
    if thirty := found.get("784-30-10"):
        right = 100 * np.median(thirty.train_accuracy)
        yield prediction("T39", "Nielsen's setting does a really good job on the training examples", right,
                         within(95, 100), "% correct, median", "the film")  # fmt: skip
        yield prediction("T39", "784-30-10 reaches his accuracy on new images after 30 epochs (the best of his three "
                         "runs: 95.34)", thirty.end, within(94.5, 95.5, 95), "%, median",
                         "Nielsen, chapter 1")  # fmt: skip
    for name, _, _, learning, said in RECIPES:
        if said and name in found and learning is SQUARES:
            best = 100 * found[name].test_accuracy[:3].max()
            yield prediction("C8", f"{name} from N(0, 1), the best epoch of the best of the first three runs (his: "
                             f"{said})", best, about(said, by=0.5), "%", "Nielsen, chapter 1", why=WHY)  # fmt: skip
        elif said and name in found:
            yield prediction("C8", f"{name}, after 30 epochs (his: {said})", found[name].end, about(said, by=0.5),
                             "%, median", "Nielsen, chapter 3")  # fmt: skip
    if small := found.get("784-100-10, small weights"):
        yield follow_up("C8", "784-100-10 from small weights, after 30 epochs: at least his 96.59", small.end,
                        within(96.59, 98.04), "%, median", "Nielsen, chapters 1 and 3")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    parts = [
        f"{name}: {outcome.end:.2f} %" + (f" (his {SAID[name]})" if SAID[name] else "")
        for name, outcome in result.outcomes.items()
    ]
    epochs = f"{settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}"
    return f"Correct on the test images after {epochs}, median: {'; '.join(parts)}."


def below_his(result: Result) -> dict[str, float]:
    """How far each network is below his number, the farthest last."""
    below = {name: said - each.end for name, each in result.outcomes.items() if (said := SAID[name])}
    return dict(sorted(below.items(), key=lambda item: item[1]))


def on_top(result: Result) -> str:
    """Which network is farthest below his number, and how far the others are; nothing where there is none."""
    below = below_his(result)
    *others, worst = below or [""]
    rest = f"; of the others with a star none is more than {below[others[-1]]:.1f} points below his" if others else ""
    return (
        f"{worst} reaches {result.outcomes[worst].end:.1f} % where Nielsen has {SAID[worst]} %{rest}" if worst else ""
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, ((left, right),) = plots.new_figure(15, 6, columns=2, width_ratios=[1, 1.2])
    best = max(result.outcomes, key=lambda name: result.outcomes[name].end)
    shown = {best, *[*below_his(result)][-1:]}
    for row, (name, outcome) in enumerate(result.outcomes.items()):
        accuracy, said = 100 * outcome.test_accuracy, SAID[name]
        style = {"color": plots.COLOURS[row], "linestyle": plots.LINES[row]}
        left.plot(accuracy[:, -1], np.full(len(accuracy), row), "o", color=plots.COLOURS[row], alpha=0.6)
        if said:
            left.plot(said, row + 0.25, "*", color="black", markersize=11)
        if name in shown:
            right.plot(np.arange(1, settings.num_epochs + 1), accuracy.T, linewidth=1.2, **style)
            plots.note(right, name, (settings.num_epochs, accuracy[:, -1].max()), (0, 4), series=row, ha="right",
                       fontweight="bold")  # fmt: skip
    names = [f"{name}: {outcome.end:.2f} %" for name, outcome in result.outcomes.items()]
    left.set_yticks(range(len(names)), names)
    left.set(ylim=(len(names) - 0.5, -0.5), xlabel="correct on the 10,000 test images, %",
             title="At the end: every seed, median by the name; star: his")  # fmt: skip
    right.set(ylabel="correct on the test images, %", xlabel="epochs of 50,000 images, in batches of 10",
              title="On the way there: every seed of two networks")  # fmt: skip
    about = (
        f"his networks on the first 50,000 training images, all parameters from N(0, 1) if nothing is said; "
        f"{settings.num_seeds} seeds\nhis numbers: with the squares the best epoch of the best of three runs, with "
        "cross-entropy one run"
    )
    return {"nielsens_setting": plots.headline(figure, on_top(result) or finding(result, settings), about=about)}
