"""The stumble under the microscope: steps from one place, how far they get, and how sharply they turn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.text import Annotation

from experiments.common import microscope, plots

SERIES = (0, 2, 3)  # of the full batch, the smallest batches and the next larger ones: as on the map
ARROW = 0.13  # length of an arrow in the plane, as a share of the width of all steps


def found(seen: Any) -> str:
    """How many times as far as it gets every walker walks."""
    num_steps = seen.footsteps[0].lengths.shape[1]
    wound = [f"{steps.way.label} {wound_in_the_end(steps):.3g}" for steps in seen.footsteps]
    return (
        f"Under the microscope, {num_steps} steps from one place with the rate "
        f"{seen.footsteps[0].way.learning_rate:g} are so many times as long as from start to end (medians): "
        f"{', '.join(wound)}; a random walk {num_steps**0.5:.3g}."
    )


def wound_in_the_end(steps: Any) -> float:
    return float(np.median(microscope.winding(steps)[:, -1]))


def stumble(seen: Any) -> plots.Figure:
    figure, axes = plots.new_mosaic(16, 6.4, [["map", "winding", "turns"]], width_ratios=[1.3, 1, 1])
    draw_ground(axes["map"], seen)
    for index in range(len(seen.footsteps)):
        draw_steps(axes["map"], seen, index)
    axes["map"].set(title="Every step; thin arrows: minus the full gradient",
                    xlabel="where the full batch goes (units of the weights)",
                    ylabel="where the steps of the smallest batches vary most")  # fmt: skip
    draw_winding(axes["winding"], seen)
    draw_turns(axes["turns"], seen)
    shares = ", ".join(f"{100 * steps.share:.0f} % ({steps.way.label})" for steps in seen.footsteps)
    return plots.headline(
        figure, found(seen), f"from where the smallest batches stand after {seen.after:,} steps, all with rate "
        f"{seen.footsteps[0].way.learning_rate:g}; left: first seed, the plane shows {shares} of the squared lengths"
    )  # fmt: skip


def place(seen: Any, index: int) -> np.ndarray:
    """Of one walker: the shadows of all points (points, 2), the common start at 0."""
    return seen.view.shadows[index] - seen.view.shadows[index][0]


def draw_ground(axes: plots.Axes, seen: Any) -> None:
    """The exact cost as thin height lines, the start as a star."""
    x, y = (
        each - zero for each, zero in zip((seen.view.alphas, seen.view.betas), seen.view.shadows[0][0], strict=True)
    )
    axes.contour(x, y, seen.view.surface.T, levels=12, colors="0.85", linewidths=0.8)
    axes.plot(0, 0, "k*", markersize=15, markeredgecolor="white", zorder=6)
    axes.set_aspect("equal")
    axes.grid(False)


def draw_steps(axes: plots.Axes, seen: Any, index: int) -> None:
    colour, points = plots.COLOURS[SERIES[index]], place(seen, index)
    style = {"marker": plots.MARKERS[SERIES[index]], "markersize": 3, "zorder": 4 if index else 5}
    axes.plot(*points.T, color=colour, linewidth=1.2, **style)
    axes.plot(*points[-1], marker="o", markersize=9, color=colour, markeredgecolor="white", zorder=6)
    draw_arrows(axes, seen, index)
    text = f"{plots.SIGNS[SERIES[index]]} {seen.footsteps[index].way.label}"
    plots.note(axes, text, (0.02, 0.98 - 0.06 * index), unit=plots.IN_PANEL, series=SERIES[index], fontweight="bold",
               va="top")  # fmt: skip


def draw_arrows(axes: plots.Axes, seen: Any, index: int) -> list[Annotation]:
    thin = {"arrowstyle": "->", "color": "0.35", "linewidth": 0.7}
    return [axes.annotate("", tuple(head), tuple(tail), arrowprops=thin, zorder=3)
            for tail, head in arrows(seen, index)]  # fmt: skip


def arrows(seen: Any, index: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Tail and head of every arrow of one walker: shadows of unit vectors, all to one scale."""
    width = np.ptp(np.concatenate(seen.view.shadows)[:, 0])
    tails = place(seen, index)[:: microscope.EVERY]
    return [*zip(tails, tails + ARROW * width * seen.footsteps[index].downhill, strict=True)]


def draw_winding(axes: plots.Axes, seen: Any) -> None:
    """Path length over distance from the start against steps, all seeds; straight on it is 1."""
    count = 1 + np.arange(seen.footsteps[0].lengths.shape[1])
    for index, steps in enumerate(seen.footsteps):
        plots.seed_band(axes, count, microscope.winding(steps), SERIES[index], steps.way.label)
    axes.plot(count, count**0.5, color="0.4", linewidth=1, label="random walk: √n")
    axes.set(title="How much they wind", xlabel="steps n", ylabel="path length over distance from the start",
             ylim=(0, None))  # fmt: skip


def draw_turns(axes: plots.Axes, seen: Any) -> None:
    """The cosine of every two successive steps, a dot each, with their mean and what the noise scale says."""
    rng = np.random.default_rng(0)
    for index, steps in enumerate(seen.footsteps):
        colour, cosines = plots.COLOURS[SERIES[index]], steps.cosine.ravel()
        axes.plot(cosines, index + rng.uniform(-0.28, 0.28, len(cosines)), ".", color=colour, markersize=3, alpha=0.5)
        axes.plot([cosines.mean()] * 2, [index - 0.38, index + 0.38], color=colour, linewidth=3)
        axes.plot(microscope.memory(seen, steps), index, "kD", markersize=6, markerfacecolor="none")
        plots.note(axes, f"{steps.way.label}: mean {cosines.mean().round(2) + 0:.2f}", (-1, index - 0.42), color=colour,
                   fontweight="bold", va="bottom")  # fmt: skip
    axes.set(title="How they turn\n(diamond: what the noise scale foretells)", xlim=(-1.05, 1.05),
             xticks=np.linspace(-1, 1, 5), yticks=[], ylim=(len(seen.footsteps) - 0.5, -0.6),
             xlabel="cosine of successive steps; -1: back")  # fmt: skip
