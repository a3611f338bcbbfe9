"""How many steps, and how many examples, does it take to come down to a given cost, for every batch size?

A small batch needs few examples and many steps, a large one few steps and many examples. McCandlish et al.
(arXiv:1812.06162) expect a hyperbola between the least of both, S_min steps and E_min examples:

    (S / S_min - 1) (E / E_min - 1) = 1,   E = S B,   that is   S = S_min (1 + B_crit / B),   B_crit = E_min / S_min

Well below B_crit a batch of twice the size halves the steps; from B_crit on no size saves more than half of them.
B_crit should be near to the noise scale B_simple = tr Sigma / |G|^2 on the way down, which is measured from single
examples' gradients. How the race is held, and each batch size's learning rate found: experiments/common/race.py.

Run:     python -m experiments batch_frontier [--quick | --full]
Time:    default 2.8 min, --quick 15 s, --full 4 to 7 min, on 2 cores, compilation included
Result:  (8 starts) down to 0.5 batches of 1 take 1,664 examples, the full batch 8 million, in 1,664 and 134.5 steps (a
         look every 256 examples); B_crit = 10. One claim fails: the noise scale is 12 times that, for half of the way
         lies on a plateau.
"""

import numpy as np

from experiments.common import plots, race
from experiments.common.claims import Claims, about, at_least, prediction, within
from experiments.common.problem import Problem
from experiments.common.race import FEWEST, LOOK_EVERY, Settings
from experiments.mini_batches import batch_frontier_figures as drawn
from research import fits

QUICK = Settings(
    num_seeds=1, num_examples=6000, batch_sizes=(4, 32, 256), learning_rates=(0.25, 1.0, 4.0, 16.0), target=0.7
)
FULL = Settings(num_seeds=8)
Result = race.Race


def measure(problem: Problem, settings: Settings) -> Result:
    return race.hold(problem, settings, *race.begin(problem, settings))


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films or result.sizes[-1] != race.FILMS_EXAMPLES:
        return
    sizes, steps = result.medians()
    grid = np.array(settings.learning_rates, np.float32)  # as it was tried
    inside = (result.rates > grid.min()) & (result.rates < grid.max())
    yield prediction("E9", "steps against batch size lie on a hyperbola, (S/S_min - 1)(E/E_min - 1) = 1",
                     result.hyperbola.explained, within(0.95, 1, 1), "share of the variance of log S, medians",
                     "McCandlish et al. arXiv:1812.06162")  # fmt: skip
    for says, expected, part in (
        (f"small batches: twice the size, half the steps (slope of the {FEWEST} smallest)", -1, slice(FEWEST)),
        (f"large batches: twice the size, as many steps (slope of the {FEWEST} largest)", 0, slice(-FEWEST, None)),
    ):
        yield prediction("E9", says, fits.log_log_slope(sizes[part], steps[part]), about(expected, by=0.2),
                         "slope of log S against log B", "Shallue et al. arXiv:1811.03600")  # fmt: skip
    yield prediction("E9", "B_crit, where the hyperbola bends, is the noise scale, within a factor of 5",
                     result.over_critical, within(0.2, 5, 1),
                     "ratio; B_simple: mean of the way, median", "McCandlish et al. arXiv:1812.06162; the factor: a "
                     "wish", "finding: on the plateau G is small, hence B_simple large, but the learning rate, not the "
                     "noise, limits a step; past_the_plateau leaves it out. For single steps one_noisy_step decides "
                     "it: tr(H Sigma)/(G'HG) is right, and on the plateau larger still, but for rates beyond this "
                     "grid")  # fmt: skip
    yield prediction("E9", "every batch size has its best learning rate inside the grid", np.mean(inside), at_least(1),
                     "share of the batch sizes", "else a better rate may lie outside")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    (sizes, steps), critical = result.medians(), result.hyperbola.critical
    return (
        f"Down to cost {settings.target:g}, looked at every {LOOK_EVERY} examples, batches of {sizes[0]:,} take "
        f"{steps[0] * sizes[0]:,.0f} examples in {steps[0].round(1):,g} steps, batches of {sizes[-1]:,} "
        f"{steps[-1] * sizes[-1]:,.0f} in {steps[-1].round(1):,g} (medians). By the fitted hyperbola larger "
        f"batches save at most half of the steps that batches of {critical:,.3g} take. The noise scale is "
        f"{result.over_critical:.1f} times that size."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    sizes, steps = result.medians()
    dearer = steps[-1] * sizes[-1] / (steps[0] * sizes[0])
    headline = (
        f"From batches of about {result.hyperbola.critical:.0f} on, larger ones save at most half of the steps; "
        f"batches of {sizes[-1]:,} read {dearer:,.0f} times as many examples as batches of {sizes[0]}"
    )
    return {"batch_frontier": drawn.frontier(result, settings, headline)}
