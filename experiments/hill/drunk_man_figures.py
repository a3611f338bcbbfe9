"""The hill with all paths on it: map, surface, what the plane hides; and the moving picture."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots, walks
from experiments.common.walks import Way

TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # of costs


def ways_of(result: Any) -> list[Way]:
    """Every walker's way."""
    return [walker.way for walker in result.walkers]


def who_is_lower(result: Any) -> str:
    """The costs of the full batch and of the smallest batches after equally many examples, in words."""
    ways, cost = ways_of(result), np.median(result.together["examples"].cost, axis=1)
    number = walks.drunkest(ways)
    return (
        f"After equally many examples the cost is {cost[number]:.2g} with {ways[number].label}, {cost[0]:.2g} with the "
        "full batch."
    )


def headline(result: Any) -> str:
    """The same in the film's words."""
    ways, cost = ways_of(result), np.median(result.together["examples"].cost, axis=1)
    number = walks.drunkest(ways)
    return (
        f"After equally many examples the drunk man ({ways[number].label}) is at cost {cost[number]:.2g}, the careful "
        f"man (full batch) at {cost[0]:.2g}"
    )


def times(walker: Any, clock: str) -> np.ndarray:
    """What the clock showed when each of the points that were looked at was reached."""
    per_step = {"examples": walker.way.batch_size, "seconds": walker.seconds_per_step}[clock]
    return per_step * walker.steps[walker.looked_at]


def seen_at(walker: Any, clock: str, reading: float) -> int:
    """The number of the last point among those looked at, when the clock shows `reading`."""
    return int(np.searchsorted(times(walker, clock), reading * (1 + 1e-9), side="right")) - 1


def readings(result: Any, clock: str, count: int) -> np.ndarray:
    """When the pictures of a walk are taken: ever further apart, from the first step seen to the last."""
    reached = [times(walker, clock) for walker in result.walkers]
    return np.concatenate([[0], np.geomspace(min(t[1] for t in reached), max(t[-1] for t in reached), count - 1)])


def full_batch_size(result: Any) -> int:
    """How many training examples there are."""
    return result.walkers[0].way.batch_size


def hill(result: Any, hidden: str) -> Figure:
    """The map with all paths, the surface in three dimensions, and what the plane hides."""
    figure, axes = plots.new_mosaic(
        16, 10.5, [["map", "surface"], ["off", "cost"], ["legend", "legend"]], width_ratios=[1.25, 1],
        height_ratios=[1.9, 1, 0.22], per_subplot_kw={"surface": {"projection": "3d"}},
    )  # fmt: skip
    draw_map(axes["map"], result.view, ways_of(result))
    shares, null = (sum(each[:2]) for each in (result.shares, result.null_shares))
    axes["map"].set_title(
        f"{textwrap.fill(hidden, 80)}\nThe plane nearest to all paths: {shares:.0%} of their variance "
        f"(random walks that get as far: {null:.0%})", fontsize=11,
    )  # fmt: skip
    axes["map"].set_xlabel("first direction of the plane (units of the weights)")
    axes["map"].set_ylabel("second direction of the plane")
    draw_surface(axes["surface"], result)
    draw_off_plane(axes["off"], result)
    draw_shadow_costs(axes["cost"], result)
    handles, names = axes["map"].get_legend_handles_labels()
    winding = np.median(result.together["examples"].tortuosity, axis=1)
    walked = [f"{name} (way {each:.3g} x distance)" for name, each in zip(names, winding, strict=False)]
    plots.legend_in(axes["legend"], handles, walked + names[len(walked) :], columns=3)
    plots.headline(figure, headline(result))
    plots.note(figure, "paths of the first seed; headline and way over distance: medians, after equally many examples")
    return figure


def draw_map(axes: Axes, view: Any, ways: Sequence[Way]) -> None:
    """The exact cost on the plane, and the projections of all paths."""
    plots.map_of_hill(axes, view.alphas, view.betas, view.surface)
    for index, (shadow, way) in enumerate(zip(view.shadows, ways, strict=True)):
        plots.path_on_map(axes, shadow, index, way.name, linewidth=1.8)
    axes.plot(*view.shadows[0][0], "*", markersize=17, color="black", markeredgecolor="white", zorder=6,
              label="common start")  # fmt: skip


def draw_surface(axes: Any, result: Any) -> None:
    """The surface, every path at its true cost above (or below) it, and its shadow on it; heights are logarithms."""
    view = result.view
    across, along = np.meshgrid(view.alphas, view.betas, indexing="ij")
    heights = np.log10(view.surface)
    axes.plot_surface(across, along, heights, cmap="Greys", alpha=0.45, linewidth=0, rstride=1, cstride=1)
    for index, (walker, path) in enumerate(zip(result.walkers, view.shadows, strict=True)):
        colour, line = plots.COLOURS[index], plots.LINES[index]
        shadow, true, below = path[walker.looked_at], np.log10(walker.cost[0]), np.log10(walker.shadow_cost)
        axes.plot(*shadow.T, true, color=colour, linestyle=line, linewidth=2.4, zorder=9)
        axes.plot(*shadow.T, below, color=colour, linewidth=0.9, alpha=0.8, zorder=8)
    ticks = [tick for tick in TICKS if view.surface.min() * 0.8 < tick < view.surface.max() * 1.2]
    axes.set_zticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
    axes.set_zlabel("cost")
    axes.set_xlabel("first direction")
    axes.set_ylabel("second direction")
    axes.view_init(elev=32, azim=-58)
    axes.set_title("Thick: the path at its true cost.\nThin: its shadow on the surface")


def draw_off_plane(axes: Axes, result: Any) -> None:
    """How far off the plane each path runs, against how much of its way is done."""
    for index, (walker, distance) in enumerate(zip(result.walkers, result.view.off_plane, strict=True)):
        done = 100 * walker.steps / walker.steps[-1]
        axes.plot(done, distance, color=plots.COLOURS[index], linestyle=plots.LINES[index])
    axes.set_ylim(bottom=0)
    axes.set_title("What the map hides: the distance of each path from the plane")
    axes.set_xlabel("% of a walker's own steps")
    axes.set_ylabel("distance (units of the weights)")


def draw_shadow_costs(axes: Axes, result: Any) -> None:
    """The true cost along each path and that of its shadow, on a clock of examples; where all have read as many."""
    count, ends = full_batch_size(result), []
    for index, walker in enumerate(result.walkers):
        read, colour = times(walker, "examples") / count, plots.COLOURS[index]
        ends.append(read[-1])
        axes.plot(read[1:], walker.cost[0][1:], color=colour, linestyle=plots.LINES[index])
        axes.plot(read[1:], walker.shadow_cost[1:], color=colour, linewidth=0.9, marker="x", markersize=4)
    axes.axvline(min(ends), color="0.3", linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(" equally many examples ", (min(ends), 0.03), xycoords=("data", "axes fraction"), va="bottom",
                  ha="left", fontsize=9, color="0.3")  # fmt: skip
    log_costs(axes)
    axes.set_title("True cost (thick), and cost of the shadow on the plane (thin, x)")
    axes.set_ylabel("cost")


def log_costs(axes: Axes) -> None:
    """Both axes logarithmic, examples read to the right, costs upwards."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    plots.plain_log_ticks(axes.xaxis, [10.0**power for power in range(-5, 5)])
    plots.plain_log_ticks(axes.yaxis, TICKS)
    axes.set_xlabel("examples read, in passes over the training set")


def frames(result: Any, num_frames: int) -> Iterator[np.ndarray]:
    """Pictures of all walkers on the map and of their costs, on a common clock of examples read."""
    figure, axes = plots.new_mosaic(10, 5, [["map", "cost"]], width_ratios=[1.35, 1])
    figure.set_dpi(72)
    view, count = result.view, full_batch_size(result)
    plots.map_of_hill(axes["map"], view.alphas, view.betas, view.surface)
    axes["map"].set_xticks([])
    axes["map"].set_yticks([])
    moving = [new_mover(axes, index, walker, count) for index, walker in enumerate(result.walkers)]
    axes["map"].plot(*view.shadows[0][0], "k*", markersize=14, markeredgecolor="white", label="start")
    log_costs(axes["cost"])
    axes["cost"].set_title("cost on all training images")
    figure.legend(*axes["map"].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    for reading in readings(result, "examples", num_frames):
        for walker, path, (trail, head, height) in zip(result.walkers, view.shadows, moving, strict=True):
            at, read = seen_at(walker, "examples", reading), times(walker, "examples")
            shadow = path[: walker.looked_at[at] + 1]
            trail.set_data(*shadow.T)
            head.set_data(*shadow[-1:].T)
            height.set_data([max(read[at], read[1]) / count], [walker.cost[0][at]])
        axes["map"].set_title(f"all have read {reading / count:.3g} times the training set")
        figure.canvas.draw()
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]
    plt.close(figure)


def new_mover(axes: dict[str, Axes], index: int, walker: Any, count: int) -> tuple:
    """The parts of the picture that move with one walker: trail and head on the map, his place on the curve."""
    colour, line = plots.COLOURS[index], plots.LINES[index]
    (trail,) = axes["map"].plot([], [], color=colour, linestyle=line, label=walker.way.name, linewidth=2)
    (head,) = axes["map"].plot([], [], "o", color=colour, markersize=10, markeredgecolor="white", zorder=5)
    axes["cost"].plot(times(walker, "examples")[1:] / count, walker.cost[0][1:], color=colour, linestyle=line,
                      alpha=0.45)  # fmt: skip
    (height,) = axes["cost"].plot([], [], "o", color=colour, markersize=9, markeredgecolor="white", zorder=5)
    return trail, head, height
