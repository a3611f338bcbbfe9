"""The hill with all paths on it: the map, the costs, what the map hides; and the moving picture."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from experiments.common import microscope, plots
from experiments.hill import drunk_man_stumble_figures as near
from experiments.hill.drunk_man_stumble_figures import SERIES

TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # of costs
MEN = ("careful man", "drunk man")


def times(walker: Any, clock: str) -> np.ndarray:
    """What the clock showed when each of the points that were looked at was reached."""
    per_step = {"steps": 1, "examples": walker.way.batch_size, "seconds": walker.seconds_per_step}[clock]
    return per_step * walker.steps[walker.looked_at]


def seen_at(walker: Any, clock: str, reading: float) -> int:
    """The number of the last point among those looked at, when the clock shows `reading`."""
    return int(np.searchsorted(times(walker, clock), reading * (1 + 1e-9), side="right")) - 1


def readings(result: Any, clock: str, count: int) -> np.ndarray:
    """When the pictures of a walk are taken: ever further apart, from the first step seen to the last."""
    reached = [times(walker, clock) for walker in result.walkers]
    return np.concatenate([[0], np.geomspace(min(t[1] for t in reached), max(t[-1] for t in reached), count - 1)])


def passes(result: Any) -> list[np.ndarray]:
    """Of every walker: passes over the training set at the points looked at; the first walker's step is one pass."""
    return [times(walker, "examples") / result.walkers[0].way.batch_size for walker in result.walkers]


def shown(result: Any) -> list[int]:
    """Numbers of the walkers in the pictures: of each batch size under the microscope the first. Drawn with more, the
    paths hide one another; the page has all."""
    labels = [walker.way.label for walker in result.walkers]
    return [labels.index(steps.way.label) for steps in result.microscope.footsteps]


def hill(result: Any, says: str) -> plots.Figure:
    figure, axes = plots.new_mosaic(16, 8.2, [["map", "cost"], ["map", "off"]], width_ratios=[1.25, 1])
    draw_map(axes["map"], result, shown(result))
    mark_equal(axes["map"], result, shown(result))
    shares, null = (sum(each[:2]) for each in (result.shares, result.null_shares))
    axes["map"].set(title=f"The plane nearest to all paths: {100 * shares:.0f} % of their variance\n(of random walks "
                    f"that get as far: {100 * null:.0f} %)", xlabel="first direction of the plane (units of the "
                    "weights)", ylabel="second direction of the plane")  # fmt: skip
    draw_costs(axes["cost"], result, shown(result))
    axes["cost"].set_title("The cost along each path")
    for index, number in enumerate(shown(result)):
        walker, distance = result.walkers[number], result.view.off_plane[number]
        share = 100 * walker.steps / walker.steps[-1]
        axes["off"].plot(share, distance, **styled(index), label=walker.way.label)
    axes["off"].set(title="What the map hides: how far off its plane each path runs", xlim=(0, 100), ylim=(0, None),
                    xlabel="% of a walker's own steps", ylabel="distance (units of the weights)")  # fmt: skip
    return plots.headline(figure, says, "paths of the first seed; costs in the headline: medians")


def styled(index: int) -> dict[str, Any]:
    """How a walker's line looks in all pictures; the careful man's is wide, for others walk over it."""
    series = SERIES[index]
    return {"color": plots.COLOURS[series], "linestyle": plots.LINES[series], "linewidth": 2 if index else 3.5}


def draw_map(axes: plots.Axes, result: Any, numbers: Sequence[int]) -> None:
    plots.map_of_hill(axes, result.view.alphas, result.view.betas, result.view.surface)
    for index, number in enumerate(numbers):
        walker, shadow = result.walkers[number], result.view.shadows[number]
        axes.plot(*shadow.T, **styled(index))
        axes.plot(*shadow[-1], **disc(index))
        who = f"{walker.way.label}, rate {walker.way.learning_rate:g}\n{walker.steps[-1]:,} steps"
        plots.note(axes, who, tuple(shadow[-1]), (10, -4), series=SERIES[index], fontsize=10, fontweight="bold",
                   zorder=7, bbox={"color": "white", "alpha": 0.7, "pad": 0})  # fmt: skip
    mark(axes, result)
    axes.plot(*result.view.shadows[0][0], "k*", markersize=17, markeredgecolor="white", zorder=6)
    plots.note(axes, "start", result.view.shadows[0][0], (-8, 12))


def mark(axes: plots.Axes, result: Any) -> None:
    """A square where the microscope is."""
    number = shown(result)[1]
    place = result.view.shadows[number][result.walkers[number].steps == result.microscope.after][0]
    plots.note(axes, "microscope", tuple(place), (-8, -10))
    axes.plot(*place, "ks", markersize=10, markerfacecolor="none", markeredgewidth=1.5, zorder=6)


def mark_equal(axes: plots.Axes, result: Any, numbers: Sequence[int]) -> None:
    """A ring where the first walker stands when he has read as many examples as the one who reads least."""
    walker = result.walkers[numbers[0]]
    at = seen_at(walker, "examples", min(times(result.walkers[number], "examples")[-1] for number in numbers))
    place, colour = result.view.shadows[numbers[0]][walker.looked_at[at]], plots.COLOURS[SERIES[0]]
    axes.plot(*place, "o", color=colour, markersize=9, markerfacecolor="white", markeredgewidth=2, zorder=7)
    axes.annotate("full batch after as\nmany examples as\nthe others at their ends", tuple(place), (-12, -50),
                  textcoords="offset points", ha="center", va="top", fontsize=9, color=colour,
                  arrowprops={"arrowstyle": "-", "color": colour, "shrinkB": 5})  # fmt: skip


def disc(index: int) -> dict[str, Any]:
    colour = plots.COLOURS[SERIES[index]]
    return {"marker": "o", "color": colour, "markersize": 10, "markeredgecolor": "white", "zorder": 5}


def draw_costs(axes: plots.Axes, result: Any, numbers: Sequence[int], **options) -> None:
    """The true cost along each path, and a line where the first walker ends."""
    read = passes(result)
    for index, number in enumerate(numbers):
        walker = result.walkers[number]
        axes.plot(read[number][1:], walker.cost[0][1:], **styled(index), **options)
        at = len(walker.cost[0]) // 5
        beside = (-8, -8) if index == 1 else (8, 8)
        plots.note(axes, walker.way.label, (read[number][at], walker.cost[0][at]), beside, series=SERIES[index],
                   va="baseline", fontsize=10, fontweight="bold")  # fmt: skip
    all_read = min(read[number][-1] for number in numbers)
    axes.axvline(all_read, color="0.3", linewidth=1, linestyle=(0, (2, 2)))
    plots.note(axes, " equally many examples", (all_read, 0.03), unit=("data", "axes fraction"))
    plots.panel(axes, x="passes over the training images", y="cost", log_x=[10.0**power for power in range(-5, 5)],
                log_y=TICKS)  # fmt: skip


def frames(result: Any, num_frames: int) -> Iterator[np.ndarray]:
    """The careful man and the drunk man: first their ways by the clock of examples, then steps under the microscope."""
    figure, axes = plots.new_mosaic(10, 5.2, [["map", "cost"]], width_ratios=[1, 1])
    axes["near"] = figure.add_subplot(axes["cost"].get_subplotspec())
    figure.set_dpi(96)
    figure.suptitle(how_far(0, passes(result)), fontsize=13, fontweight="bold")
    walk, stumbling = moving_walk(axes, result), moving_steps(axes["near"], result.microscope)
    figure.canvas.draw()
    figure.set_layout_engine("none")  # nothing shifts from now on
    num_near = num_frames // 3
    for reading in readings(result, "examples", num_frames - num_near):
        axes["near"].set_visible(False)
        figure.suptitle(walk(reading), fontsize=13, fontweight="bold")
        yield picture(figure)
    axes["cost"].set_visible(False)
    axes["near"].set_visible(True)
    mark(axes["map"], result)
    for step in np.linspace(0, result.microscope.footsteps[0].lengths.shape[1], num_near + 1)[1:].astype(int):
        figure.suptitle(stumbling(step), fontsize=13, fontweight="bold")
        yield picture(figure)
    plt.close(figure)


def picture(figure: plots.Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]


def moving_walk(axes: dict[str, plots.Axes], result: Any) -> Callable[[float], str]:
    """Draws the two men on map and cost; the function puts them where they are after so many examples, and says it."""
    view, read, numbers, moving = result.view, passes(result), shown(result)[:2], []
    plots.map_of_hill(axes["map"], view.alphas, view.betas, view.surface)
    axes["map"].set(xticks=[], yticks=[], title="The real hill from above: height lines are costs")
    draw_costs(axes["cost"], result, numbers, alpha=0.5)
    axes["cost"].set_title("The cost on all training images")
    axes["map"].plot(*view.shadows[0][0], "k*", markersize=14, markeredgecolor="white", zorder=6)
    for index in range(2):
        trail, head = axes["map"].plot([], [], **styled(index))[0], axes["map"].plot([], [], **disc(index))[0]
        label = axes["map"].annotate(MEN[index], (0, 0), (10, -6 if index else 6), textcoords="offset points",
                                     va="top" if index else "bottom",
                                     color=plots.COLOURS[SERIES[index]], fontweight="bold", zorder=7)  # fmt: skip
        moving.append((trail, head, label, axes["cost"].plot([], [], **disc(index))[0]))

    def go_on(reading: float) -> str:
        for number, (trail, head, label, height) in zip(numbers, moving, strict=True):
            walker, at = result.walkers[number], seen_at(result.walkers[number], "examples", reading)
            shadow = view.shadows[number][: walker.looked_at[at] + 1]
            trail.set_data(*shadow.T)
            head.set_data(*shadow[-1:].T)
            label.xy = tuple(shadow[-1])
            reached = slice(at, at + 1) if at else slice(0)  # nothing is to be seen before the first look
            height.set_data(read[number][reached], walker.cost[0][reached])
        return how_far(reading / result.walkers[0].way.batch_size, [read[number] for number in numbers])

    return go_on


def moving_steps(axes: plots.Axes, seen: Any) -> Callable[[int], str]:
    """Draws the ground under the microscope; the function draws so many steps of both men, and says how they walk."""
    near.draw_ground(axes, seen)
    axes.set(xticks=[], yticks=[], title="Every step, from one place; thin arrows: straight down")
    lines, arrows = [], near.draw_arrows(axes, seen, 1)
    for index in range(2):
        colour = plots.COLOURS[SERIES[index]]
        lines.append(axes.plot([], [], color=colour, linewidth=1.3, marker="o", markersize=3, zorder=5 - index)[0])
        plots.note(axes, f"{MEN[index]}: {seen.footsteps[index].way.label}", (0.03, 0.97 - 0.06 * index),
                   unit=plots.IN_PANEL, color=colour, va="top", fontsize=10, fontweight="bold")  # fmt: skip

    def go_on(step: int) -> str:
        for index, line in enumerate(lines):
            line.set_data(*near.place(seen, index)[: step + 1].T)
        for number, arrow in enumerate(arrows):
            arrow.set_visible(number * microscope.EVERY <= step)
        careful, drunk = (near.wound_in_the_end(each) for each in seen.footsteps[:2])
        if step < seen.footsteps[0].lengths.shape[1]:
            return f"Under the microscope: {step} steps, the same rate for both"
        return f"The careful man walks {careful:.2f} times as far as he gets, the drunk man {drunk:.1f} times"

    return go_on


def how_far(passed: float, read: Sequence[np.ndarray]) -> str:
    """How often the careful man and the drunk one have gone through the training set; each stops where he ends.

    >>> how_far(400.0, [np.array([0.0, 400.0]), np.array([0.0, 12.0])])
    'Passes over the training images: careful man 400, drunk man 12'
    """
    careful, drunk = (min(passed, float(each[-1])) for each in (read[0], read[-1]))
    return f"Passes over the training images: careful man {careful:.3g}, drunk man {drunk:.3g}"


def as_gif(pictures: Iterable[np.ndarray]) -> bytes:
    """Pictures (height, width, 3 bytes) as a moving one, all in the commonest colours of the middle and the last one
    together, so that none changes; it rests at its end."""
    coarse = [picture & 252 for picture in pictures]  # Pillow compares the upper six bits only
    both = np.concatenate([coarse[len(coarse) // 2], coarse[-1]])
    all_colours = (256, 256, 256)
    numbers, count = np.unique(np.ravel_multi_index(tuple(both.reshape(-1, 3).T), all_colours), return_counts=True)
    first = numbers[np.argsort(-count)[:255]]  # of 256 one is left for what does not change
    commonest = np.stack(np.unravel_index(first, all_colours), axis=1).astype(np.uint8)
    palette = Image.new("P", (1, 1))
    palette.putpalette(commonest.tobytes())
    images = [Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE) for each in coarse]
    for image in images:
        image.putpalette((commonest | 3).tobytes())  # white is white again
    pauses, file = [*[120] * (len(images) - 1), 2000], io.BytesIO()  # milliseconds
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=pauses, loop=0, optimize=True)
    return file.getvalue()
