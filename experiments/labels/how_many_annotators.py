"""How many people must label every image?

If everyone is wrong with probability p, and the most frequent label counts, ties by lot, how many votes an image are
needed until no more than a bearable share of the labels is wrong (wrong_labels finds that 10 % cost about a point)?
Exactly, where errors are spread evenly over the other classes, and where all who err give the same wrong label; and by
100,000 simulated images a seed. With c right votes, the n - c wrong ones can fall so that j others have c as well and
the rest fewer in (n-c)! [x^(n-c)] C(K-1, j) (x^c/c!)^j (sum_{i<c} x^i/i!)^(K-1-j) ways out of (K-1)^(n-c); then the
right one wins with 1/(j + 1). For K = 2 that is the binomial tail of Condorcet's theorem.

Run:     python -m experiments how_many_annotators [--quick | --full]
Time:    default 6 s, --quick 6 s, --full 6 s on 2 cores
Result:  if everyone is wrong 40 % of the time, 6 votes an image leave 8 % wrong if errors spread evenly (5 leave 12 %);
         for at most 10 % it takes over 31 if all who err give the same wrong label.
"""

import dataclasses
import math
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Gt, Lt
from jaxtyping import Float
from numpy.polynomial.polynomial import polypow

from experiments.common import experiment, plots
from experiments.common.bounds import Count
from experiments.common.claims import Claims, about, identity, worst
from experiments.common.problem import Problem

RATES = (0.05, 0.1, 0.2, 0.3, 0.4)  # how often one annotator is wrong
VOTERS = np.arange(1, 32)
SIMULATED = np.array([1, 3, 5, 10, 20])  # numbers of voters that are simulated too
VOTED = 100_000  # images in a simulated vote


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the votes; networks and costs change nothing here, the data set only its number of classes."""

    num_seeds: Count = 1
    """How many simulations of every vote, pooled."""
    bearable: Annotated[float, Gt(0), Lt(1)] = 0.1
    """The share of wrong labels that one is ready to bear."""


QUICK, FULL = Settings(), Settings(num_seeds=5)


class Result(NamedTuple):
    """The probability that the label with the most votes is wrong."""

    votes: Float[np.ndarray, "rates voters"]  # exact, errors spread evenly
    same_way: Float[np.ndarray, "rates voters"]  # exact, all who err give the same wrong label
    simulated: Float[np.ndarray, "rates simulated"]


def wrong_by_vote(error_rate: float, num_voters: int, num_classes: int) -> float:
    """The probability that the label with the most votes is wrong, ties decided by lot, by the header's formula."""
    right, others = 0.0, num_classes - 1
    for c in range(1, num_voters + 1):
        wrong = num_voters - c
        fewer = np.array([1 / math.factorial(i) for i in range(c)])
        ways = 0.0
        for j in range(min(others, wrong // c) + 1):
            spread, rest = polypow(fewer, others - j), wrong - j * c  # the wrong votes for those that have fewer
            if rest < len(spread):
                ways += math.comb(others, j) / math.factorial(c) ** j * spread[rest] / (j + 1)
        votes = math.comb(num_voters, c) * (1 - error_rate) ** c * (error_rate / others) ** wrong
        right += votes * math.factorial(wrong) * ways
    return 1 - right


def simulated_vote(rng: np.random.Generator, error_rate: float, num_voters: int, num_classes: int) -> float:
    """The share of VOTED images whose label, class 0, loses the vote."""
    shares = [1 - error_rate] + [error_rate / (num_classes - 1)] * (num_classes - 1)
    votes = rng.multinomial(num_voters, shares, VOTED) + rng.uniform(0, 0.5, (VOTED, num_classes))  # ties by lot
    return float(np.mean(votes.argmax(axis=1) != 0))


def measure(problem: Problem, settings: Settings) -> Result:
    num_classes, rng = problem.train.targets.shape[1], np.random.default_rng(settings.seed)
    exact, same_way = (
        np.array([[wrong_by_vote(rate, voters, classes) for voters in VOTERS.tolist()] for rate in RATES])
        for classes in (num_classes, 2)
    )
    simulated = [
        [[simulated_vote(rng, rate, voters, num_classes) for voters in SIMULATED] for rate in RATES]
        for _ in range(settings.num_seeds)
    ]
    return Result(exact, same_way, np.mean(simulated, axis=0))


def needed(wrong: np.ndarray, bearable: float) -> str:
    """The fewest VOTERS whose vote is wrong at most that often, in words."""
    enough = wrong <= bearable
    return str(VOTERS[enough.argmax()]) if enough.any() else f"more than {VOTERS[-1]}"


def claims(result: Result, settings: Settings) -> Claims:
    exact, num_voted = result.votes[:, SIMULATED - 1], settings.num_seeds * VOTED
    errors = (result.simulated - exact) / np.sqrt(exact * (1 - exact) / num_voted)
    yield identity("T44", "a vote's exact probability to be wrong against a simulated one, where 10 or more are "
                     "expected", worst(errors[exact * num_voted >= 10]), about(0, by=4),
                     f"standard errors, worst of {errors.size}", "binomial")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    evenly, alike = (needed(wrong[-1], settings.bearable) for wrong in (result.votes, result.same_way))
    return (
        f"If every annotator is wrong {100 * RATES[-1]:.0f} % of the time, {evenly} votes an image leave at most "
        f"{100 * settings.bearable:.0f} % of the labels wrong where errors spread evenly, and it takes {alike} where "
        "all who err give the same wrong label."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, axes = plots.new_figure(13, 6, columns=2, sharey=True)
    expected = settings.num_seeds * VOTED * result.votes[:, SIMULATED - 1]
    for axis, exact, who in ((axes[0, 0], result.votes, "spread evenly over the wrong labels"),
                             (axes[0, 1], result.same_way, "all give the same wrong label")):  # fmt: skip
        for rate, wrong, colour in zip(RATES, 100 * exact, plots.COLOURS, strict=False):
            axis.plot(VOTERS, wrong, color=colour)
            plots.note(axis, f"{100 * rate:.0f} %", (1, wrong[0]), (-4, 0), va="center", color=colour)
        axis.hlines(100 * settings.bearable, 1, VOTERS[-1], color="0.4", linewidth=1, linestyle=(0, (2, 2)))
        plots.panel(axis, f"Errors: {who}", "annotators who vote on every image (ties by lot)",
                    log_y=(0.01, 0.1, 1, 5, 10, 50), xlim=(-1.5, None), ylim=(0.003, 60))  # fmt: skip
    for simulated, shown, colour in zip(result.simulated, expected >= 10, plots.COLOURS, strict=False):
        axes[0, 0].plot(SIMULATED[shown], 100 * simulated[shown], "o", color=colour)
    axes[0, 0].set_ylabel("labels that are wrong after the vote, %")
    about = "ten classes; at the lines: how often one annotator is wrong; dots: simulated"
    return {"annotators": plots.headline(figure, finding(result, settings), about=about)}
