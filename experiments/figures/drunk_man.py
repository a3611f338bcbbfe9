"""What the drunk man and the careful man left behind: the hill, how drunk they are, a moving picture, and a page."""

import textwrap
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from research import landscape

AXES_OF_PLANE = ("first direction of the plane (units of the weights)", "second direction of the plane")
DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")  # plotly's, in the order of plots.LINES
CLOCKS = {"examples": "examples read", "seconds": "seconds of one run, compilation apart"}
NUM_FRAMES = 60  # of the page
TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # of costs


def labels(record: dict) -> list[str]:
    """Every method with its learning rate: who asks all examples is careful, the others are drunk."""
    count = record["dataset"]["train"]["count"]
    return [
        f"{'careful' if method['batch_size'] == count else 'drunk'}: {method['label']}, "
        f"rate {method['learning_rate']:g}"
        for method in record["methods"]
    ]


def short_names(record: dict) -> list[str]:
    """For the narrow places."""
    return [
        f"{method['label'].replace('batches of ', 'B = ')}\nrate {method['learning_rate']:g}"
        for method in record["methods"]
    ]


def network_and_data(record: dict) -> str:
    """For captions."""
    count = record["dataset"]["train"]["count"]
    return (
        f"network {'-'.join(map(str, record['layer_sizes']))}, cost on {count:,} images of {record['dataset']['name']}"
    )


def hill(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The map with all paths, the surface in three dimensions, and what the plane hides."""
    figure, axes = plots.new_mosaic(
        16, 10.5, [["map", "surface"], ["off", "cost"]], width_ratios=[1.25, 1], height_ratios=[1.9, 1],
        per_subplot_kw={"surface": {"projection": "3d"}},
    )  # fmt: skip
    draw_map(axes["map"], record, arrays, "view")
    draw_surface(axes["surface"], record, arrays)
    draw_off_plane(axes["off"], record, arrays)
    draw_shadow_costs(axes["cost"], record, arrays)
    handles, names = axes["map"].get_legend_handles_labels()
    winding = np.median(arrays["together_examples_tortuosity"], axis=1)
    walked = [f"{name} (way {each:.3g} x distance)" for name, each in zip(names, winding, strict=False)]
    figure.legend(
        handles, walked + names[len(walked) :], loc="outside lower center", ncols=3,
        title=f"One start (seed {record['settings']['seed']}), {network_and_data(record)}; way over distance got: "
        "median of the seeds, after equally many examples",
    )  # fmt: skip
    plots.headline(figure, who_gets_lower(record, arrays))
    return figure


def drunkest(record: dict) -> int:
    """The number of the method with the smallest batches."""
    return int(np.argmin([method["batch_size"] for method in record["methods"]]))


def who_gets_lower(record: dict, arrays: dict[str, np.ndarray]) -> str:
    """The costs of the careful man and the drunkest one when both have read as much, in words."""
    drunk = drunkest(record)
    careful_cost, drunk_cost = np.median(arrays["together_examples_cost"], axis=1)[[0, drunk]]
    return (
        f"After equally many examples the drunk man ({record['methods'][drunk]['label']}) is at cost "
        f"{drunk_cost:.2g}, the careful man (full batch) at {careful_cost:.2g}"
    )


def who_stumbles(record: dict, arrays: dict[str, np.ndarray]) -> str:
    """How far the drunkest man walks, and whether the careful one walks straight on as claimed, in words."""
    drunk = drunkest(record)
    walked = f"The drunk man ({record['methods'][drunk]['label']}) walks " + (
        f"{np.median(arrays['together_examples_tortuosity'], axis=1)[drunk]:.3g} times as far as he gets"
    )
    failed = [claim for claim in record["claims"] if "walks on as he went" in claim["says"] and not claim["holds"]]
    if not failed:
        return walked
    rate, cosine, low = failed[0]["says"].split(", ")[-1], failed[0]["measured"], failed[0]["low"]
    turns = "turns round" if cosine < 0 else "does not"
    return (
        f"{walked}. The careful man should walk straight on (cosine {low:g} or more), but with {rate} he {turns}: "
        f"{cosine:.2f}"
    )


def draw_map(axes: Axes, record: dict, arrays: dict[str, np.ndarray], view: str) -> None:
    """The exact cost on the plane, and the shadows of all paths."""
    alphas, betas, surface = (arrays[f"{view}_{field}"] for field in ("alphas", "betas", "surface"))
    plots.map_of_hill(axes, alphas, betas, surface)
    for index, label in enumerate(labels(record)):
        plots.path_on_map(axes, arrays[f"{view}_{index}_shadow"], index, label, linewidth=1.8)
    axes.plot(*arrays[f"{view}_0_shadow"][0], "*", markersize=17, color="black", markeredgecolor="white", zorder=6,
              label="common start")  # fmt: skip
    shares, null = (sum(record[name][:2]) for name in ("union_shares", "null_shares"))
    axes.set_title(
        f"{textwrap.fill(record['hidden'], 100)}\nThe plane nearest to all paths: {shares:.0%} of their variance "
        f"(random walks that get as far: {null:.0%})", fontsize=11,
    )  # fmt: skip
    axes.set_xlabel(AXES_OF_PLANE[0])
    axes.set_ylabel(AXES_OF_PLANE[1])


def draw_surface(axes: Any, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The surface, every path at its true cost above (or below) it, and its shadow on it; heights are logarithms."""
    alphas, betas, surface = (arrays[f"view_{field}"] for field in ("alphas", "betas", "surface"))
    across, along = np.meshgrid(alphas, betas, indexing="ij")
    axes.plot_surface(across, along, np.log10(surface), cmap="Greys", alpha=0.45, linewidth=0, rstride=1, cstride=1)
    for index in range(len(record["methods"])):
        shadow = arrays[f"view_{index}_shadow"][arrays[f"{index}_looked_at"]]
        colour, line = plots.COLOURS[index], plots.LINES[index]
        true, below = (np.log10(each) for each in (arrays[f"{index}_cost"][0], arrays[f"{index}_shadow_cost"]))
        axes.plot(*shadow.T, true, color=colour, linestyle=line, linewidth=2.4, zorder=9)
        axes.plot(*shadow.T, below, color=colour, linewidth=0.9, alpha=0.8, zorder=8)
    ticks = [tick for tick in TICKS if surface.min() * 0.8 < tick < surface.max() * 1.2]
    axes.set_zticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
    axes.set_zlabel("cost")
    axes.set_xlabel("first direction")
    axes.set_ylabel("second direction")
    axes.view_init(elev=32, azim=-58)
    axes.set_title("Thick: the path at its true cost.\nThin: its shadow on the surface")


def draw_off_plane(axes: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """How far off the plane each path runs, against how much of its way is done."""
    for index in range(len(record["methods"])):
        steps, distance = arrays[f"{index}_steps"], arrays[f"view_{index}_off_plane"]
        axes.plot(100 * steps / steps[-1], distance, color=plots.COLOURS[index], linestyle=plots.LINES[index])
    axes.set_ylim(bottom=0)
    axes.set_title("What the map hides: the distance of each path from the plane")
    axes.set_xlabel("% of a walker's own steps")
    axes.set_ylabel("distance (units of the weights)")


def draw_shadow_costs(axes: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The true cost along each path and that of its shadow, on a clock of examples; where all have read as many."""
    count, ends = record["dataset"]["train"]["count"], []
    for index in range(len(record["methods"])):
        read, colour = times(record, arrays, index, "examples") / count, plots.COLOURS[index]
        ends.append(read[-1])
        axes.plot(read[1:], arrays[f"{index}_cost"][0][1:], color=colour, linestyle=plots.LINES[index])
        axes.plot(read[1:], arrays[f"{index}_shadow_cost"][1:], color=colour, linewidth=0.9, marker="x", markersize=4)
    axes.axvline(min(ends), color="0.3", linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(" equally many examples ", (min(ends), 0.03), xycoords=("data", "axes fraction"), va="bottom",
                  ha="left", fontsize=9, color="0.3")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    plots.plain_log_ticks(axes.xaxis, [10.0**power for power in range(-5, 5)])
    plots.plain_log_ticks(axes.yaxis, TICKS)
    axes.set_title("True cost (thick), and cost of the shadow on the plane (thin, x)")
    axes.set_xlabel("examples read, in passes over the training set")
    axes.set_ylabel("cost")


def how_drunk(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The gait of each method in numbers, and their costs when all clocks show the same."""
    figure, panels = plots.new_figure(16, 9, rows=2, columns=3)
    draw_together(panels[0, 0], record, arrays, "tortuosity")
    panels[0, 0].set_title("Winding: 1 is straight")
    panels[0, 0].set_ylabel("path length / displacement")
    plots.plain_log_ticks(panels[0, 0].yaxis, (1, 3, 10, 30, 100, 300))
    bars(panels[0, 1], record, arrays, "cosine", "Cosine of successive steps: 1 straight on, 0 no memory")
    draw_displacements(panels[0, 2], record, arrays)
    bars(panels[1, 0], record, arrays, "gained", "Cost gained per unit of path", log=True)
    draw_shares(panels[1, 1], record, arrays)
    draw_together(panels[1, 2], record, arrays, "cost")
    panels[1, 2].set_ylabel("cost")
    panels[0, 1].set_ylabel("mean cosine")
    panels[1, 0].set_ylabel("cost gained / path length")
    panels[1, 2].set_title("Cost: who is lower depends on the clock")
    plots.plain_log_ticks(panels[1, 2].yaxis, TICKS)
    handles, names = panels[1, 1].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=3,
        title=f"{network_and_data(record)}; median of {record['settings']['num_seeds']} seeds (dots: every seed)",
    )  # fmt: skip
    plots.headline(figure, who_stumbles(record, arrays))
    return figure


def bars(axes: Axes, record: dict, arrays: dict[str, np.ndarray], field: str, title: str, *, log: bool = False) -> None:
    """One bar a method, its number written on it, a dot for every seed."""
    names = short_names(record)
    for index in range(len(names)):
        values = arrays[f"{index}_{field}"]
        middle = float(np.median(values))
        axes.bar(index, middle, color=plots.COLOURS[index], alpha=0.75, width=0.65)
        axes.plot(np.full(len(values), index), values, "k.", markersize=5)
        above = (0, 5) if middle >= 0 else (0, -14)
        end = float(values.max() if middle >= 0 else values.min())
        axes.annotate(f"{middle:.2g}", (index, end), xytext=above, textcoords="offset points", ha="center")
    axes.set_xticks(range(len(names)), names)
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * 1.6)
        plots.plain_log_ticks(axes.yaxis, [digit * 10.0**power for power in range(-5, 4) for digit in (1, 3)])
        axes.set_ylim(low, high * 1.6)
    else:
        axes.margins(y=0.15)
    axes.set_title(title)


def draw_displacements(axes: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """Mean squared displacement against the lag, with its exponent."""
    for index, name in enumerate(short_names(record)):
        moved = arrays[f"{index}_displacements"]
        lags = np.arange(1, moved.shape[1] + 1) / moved.shape[1] / 2
        power = np.median(arrays[f"{index}_exponent"])
        plots.seed_band(axes, 100 * lags, moved, index, f"{name.replace(chr(10), ', ')}: exponent {power:.2f}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title("Exponent of the displacement: 2 straight, 1 random")
    axes.set_xlabel("lag, % of a walker's own steps")
    axes.set_ylabel("squared displacement")
    axes.legend(fontsize=9)


def draw_shares(axes: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """What each path's own first three principal components explain, against a random walk's."""
    null = 100 * np.asarray(landscape.random_walk_shares(3))
    for index, label in enumerate(labels(record)):
        shares = 100 * np.median(arrays[f"{index}_shares"], axis=0)
        axes.bar(*side_by_side(record, index, shares), color=plots.COLOURS[index], alpha=0.75, label=label)
    for component, share in enumerate(null):
        text = "a random walk" if component == 0 else None
        axes.plot([component - 0.42, component + 0.42], [share, share], color="black", linestyle="--", label=text)
    axes.set_xticks(range(3), ["1st", "2nd", "3rd"])
    axes.set_xlabel("principal component of a path")
    axes.set_ylabel("explained, %")
    axes.set_title("Looking planar is no merit: a random walk does too")


def side_by_side(record: dict, index: int, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Places, heights and width of one method's bars in groups of all methods'."""
    width = 0.8 / len(record["methods"])
    return np.arange(len(heights)) + width * (index + 0.5) - 0.4, heights, 0.95 * width


def draw_together(axes: Axes, record: dict, arrays: dict[str, np.ndarray], field: str) -> None:
    """A number of every method after equally many steps, examples and seconds."""
    clocks = ("steps", "examples", "seconds")
    for index in range(len(record["methods"])):
        values = np.median([arrays[f"together_{clock}_{field}"][index] for clock in clocks], axis=1)
        places, _, width = side_by_side(record, index, values)
        axes.bar(places, values, width, color=plots.COLOURS[index], alpha=0.75)
        for place, value in zip(places, values, strict=True):
            text = f"{value:.0f}" if value >= 10 else f"{value:.2g}"
            axes.annotate(
                text, (place, value), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9, rotation=90
            )
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.16)
    axes.set_xticks(range(3), [f"equal {clock}" for clock in clocks])


def random_plane(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The same paths on a random plane, where nearly nothing of them is seen."""
    figure, ((axes,),) = plots.new_figure(8.5, 8)
    draw_map(axes, record, arrays, "random")
    moved = np.linalg.norm(arrays["random_0_shadow"][0] - arrays["random_0_shadow"][-1])
    hidden = max(arrays[f"random_{index}_off_plane"].max() for index in range(len(record["methods"])))
    axes.set_title(
        f"On a random plane nothing is seen of the way: the careful man's shadow\ngoes {moved:.2g} from start to end, "
        f"and the paths run up to {hidden:.3g} away from theirs"
    )
    axes.set_xlabel("random direction, scaled neuron by neuron to the weights (units of the weights)")
    axes.set_ylabel("a second one")
    figure.legend(loc="outside lower center", ncols=2, title=f"Mean bends only: a saddle looks convex here too.\n"
                  f"{network_and_data(record)}")  # fmt: skip
    return figure


def seen_at(record: dict, arrays: dict[str, np.ndarray], index: int, clock: str, reading: float) -> int:
    """The number of a method's last point among those looked at, when its clock shows `reading`."""
    return int(np.searchsorted(times(record, arrays, index, clock), reading * (1 + 1e-9), side="right")) - 1


def times(record: dict, arrays: dict[str, np.ndarray], index: int, clock: str) -> np.ndarray:
    """What the clock showed when each of the points that were looked at was reached."""
    method = record["methods"][index]
    per_step = {"examples": method["batch_size"], "seconds": method["seconds_per_step"]}[clock]
    return per_step * arrays[f"{index}_steps"][arrays[f"{index}_looked_at"]]


def readings(record: dict, arrays: dict[str, np.ndarray], clock: str, count: int) -> np.ndarray:
    """When the pictures of a walk are taken: ever further apart, from the first step seen to the last."""
    reached = [times(record, arrays, index, clock) for index in range(len(record["methods"]))]
    return np.concatenate([[0], np.geomspace(min(t[1] for t in reached), max(t[-1] for t in reached), count - 1)])


def frames(record: dict, arrays: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """Pictures of all walkers on the map and of their costs, on a common clock of examples read."""
    figure, axes = plots.new_mosaic(10, 5, [["map", "cost"]], width_ratios=[1.35, 1])
    figure.set_dpi(72)
    alphas, betas, surface = (arrays[f"view_{field}"] for field in ("alphas", "betas", "surface"))
    plots.map_of_hill(axes["map"], alphas, betas, surface)
    axes["map"].set_xticks([])
    axes["map"].set_yticks([])
    count, walkers = record["dataset"]["train"]["count"], []
    for index, label in enumerate(labels(record)):
        colour, line = plots.COLOURS[index], plots.LINES[index]
        (trail,) = axes["map"].plot([], [], color=colour, linestyle=line, label=label, linewidth=2)
        (head,) = axes["map"].plot([], [], "o", color=colour, markersize=10, markeredgecolor="white", zorder=5)
        axes["cost"].plot(times(record, arrays, index, "examples")[1:] / count,
                          arrays[f"{index}_cost"][0][1:], color=colour, linestyle=line,
                          alpha=0.45)  # fmt: skip
        (height,) = axes["cost"].plot([], [], "o", color=colour, markersize=9, markeredgecolor="white", zorder=5)
        walkers.append((trail, head, height))
    axes["map"].plot(*arrays["view_0_shadow"][0], "k*", markersize=14, markeredgecolor="white", label="start")
    axes["cost"].set_xscale("log")
    axes["cost"].set_yscale("log")
    plots.plain_log_ticks(axes["cost"].yaxis, TICKS)
    plots.plain_log_ticks(axes["cost"].xaxis, [10.0**power for power in range(-4, 5)])
    axes["cost"].set_xlabel("examples read, in passes over the training set")
    axes["cost"].set_title("cost on all training images")
    figure.legend(*axes["map"].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    for reading in readings(record, arrays, "examples", record["settings"]["gif_frames"]):
        for index, (trail, head, height) in enumerate(walkers):
            at = seen_at(record, arrays, index, "examples", reading)
            point = arrays[f"{index}_looked_at"][at]
            shadow = arrays[f"view_{index}_shadow"][: point + 1]
            trail.set_data(*shadow.T)
            head.set_data(*shadow[-1:].T)
            now = max(times(record, arrays, index, "examples")[at], times(record, arrays, index, "examples")[1]) / count
            height.set_data([now], [arrays[f"{index}_cost"][0][at]])
        axes["map"].set_title(f"all have read {reading / count:.3g} times the training set")
        figure.canvas.draw()
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]
    plt.close(figure)


def page(record: dict, arrays: dict[str, np.ndarray]) -> Any:
    """The surface to turn, both paths to play on a common clock, and the cost beside it: a plotly figure."""
    from plotly import graph_objects as go

    figure: Any = go.Figure()
    add_hill(figure, arrays)
    for index, label in enumerate(labels(record)):
        add_walker(figure, record, arrays, index, label)
    metas = [trace.meta for trace in figure.data]
    moving = [number for number, meta in enumerate(metas) if meta == "moves"]
    timed = [number for number, meta in enumerate(metas) if meta in ("moves", "timed")]
    figure.frames = [
        go.Frame(name=f"{clock} {number}", data=walkers_at(record, arrays, clock, reading), traces=moving)
        for clock in CLOCKS
        for number, reading in enumerate(readings(record, arrays, clock, NUM_FRAMES))
    ]
    lay_out(figure, record, arrays, timed)
    return figure


def add_hill(figure: Any, arrays: dict[str, np.ndarray]) -> None:
    """The exact surface; plotly wants rows along the second direction."""
    alphas, betas, surface = (arrays[f"view_{field}"] for field in ("alphas", "betas", "surface"))
    figure.add_surface(
        x=rounded(alphas), y=rounded(betas), z=rounded(surface.T), surfacecolor=rounded(np.log10(surface.T)),
        colorscale=[[0, "#e9edf2"], [1, "#5b6470"]], opacity=0.75, showscale=False, name="surface",
        hovertemplate="cost on the plane %{z:.3g}<extra></extra>",
    )  # fmt: skip


def add_walker(figure: Any, record: dict, arrays: dict[str, np.ndarray], index: int, label: str) -> None:
    """A path at its true cost, its shadow, the walker with the line down to his shadow, and his cost over time."""
    looked_at, cost = arrays[f"{index}_looked_at"], arrays[f"{index}_cost"][0]
    steps, shadow = arrays[f"{index}_steps"][looked_at], arrays[f"view_{index}_shadow"][looked_at]
    colour, line = plots.COLOURS[index], {"color": plots.COLOURS[index], "width": 7}
    figure.add_scatter3d(
        x=rounded(shadow[:, 0]), y=rounded(shadow[:, 1]), z=rounded(cost), mode="lines", line=line, name=label,
        customdata=steps, hovertemplate=f"{label}<br>step %{{customdata:,}}<br>cost %{{z:.3g}}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter3d(
        x=rounded(shadow[:, 0]), y=rounded(shadow[:, 1]), z=rounded(arrays[f"{index}_shadow_cost"]),
        mode="lines", line={"color": colour, "width": 2}, showlegend=False, customdata=steps,
        hovertemplate=f"shadow of {label}<br>step %{{customdata:,}}<br>its cost %{{z:.3g}}<extra></extra>",
    )  # fmt: skip
    head = {"color": colour, "size": 7, "line": {"color": "white", "width": 1}}
    figure.add_scatter3d(mode="markers", marker=head, showlegend=False, meta="moves", hoverinfo="skip")
    figure.add_scatter3d(mode="lines", line={"color": colour, "width": 2}, showlegend=False, meta="moves",
                         hoverinfo="skip")  # fmt: skip
    figure.add_scatter(
        x=rounded(times(record, arrays, index, "examples")[1:]), y=rounded(cost[1:]), mode="lines",
        line={"color": colour, "width": 2, "dash": DASHES[index]}, showlegend=False, meta="timed",
        customdata=steps[1:],
        hovertemplate=f"{label}<br>step %{{customdata:,}}<br>cost %{{y:.3g}}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(mode="markers", marker={"color": colour, "size": 12, "line": {"color": "white", "width": 1.5}},
                       showlegend=False, meta="moves", hoverinfo="skip")  # fmt: skip


def walkers_at(record: dict, arrays: dict[str, np.ndarray], clock: str, reading: float) -> list[dict[str, Any]]:
    """Where the traces that move are when the clock shows `reading`: each walker, his line down, his place in time."""
    placed = []
    for index in range(len(record["methods"])):
        at = seen_at(record, arrays, index, clock, reading)
        point = arrays[f"{index}_looked_at"][at]
        x, y = rounded(arrays[f"view_{index}_shadow"][point])
        high, low = rounded(np.array([arrays[f"{index}_cost"][0][at], arrays[f"{index}_shadow_cost"][at]]))
        time = times(record, arrays, index, clock)
        placed += [
            {"type": "scatter3d", "x": [x], "y": [y], "z": [high]},
            {"type": "scatter3d", "x": [x, x], "y": [y, y], "z": [high, low]},
            {"type": "scatter", "x": rounded(time[[max(at, 1)]]), "y": [high]},
        ]
    return placed


def rounded(values: np.ndarray) -> list:
    """Four digits are enough for the eye, and make a small page."""
    return np.vectorize(lambda value: float(f"{value:.4g}"), otypes=[float])(values).tolist()


def lay_out(figure: Any, record: dict, arrays: dict[str, np.ndarray], timed: list[int]) -> None:
    """The scene above, the costs below, a slider and a play button for each clock, and a choice between the clocks."""
    ticks = {"tickvals": TICKS, "ticktext": [f"{tick:g}" for tick in TICKS]}
    figure.update_layout(
        height=960, margin={"l": 45, "r": 15, "t": 80, "b": 0}, hovermode="closest", template="plotly_white",
        legend={"orientation": "h", "y": 1.0, "yanchor": "top", "x": 0},
        scene={
            "domain": {"y": [0.4, 1]}, "aspectmode": "manual", "aspectratio": {"x": 1.5, "y": 1.5, "z": 0.85},
            "xaxis": {"title": "1st direction"}, "yaxis": {"title": "2nd direction"},
            "zaxis": {"title": "cost", "type": "log", **ticks},
            "camera": {"eye": {"x": 1.05, "y": -1.7, "z": 1.05}, "center": {"x": 0, "y": 0, "z": -0.15}},
        },
        xaxis={"type": "log", "title": CLOCKS["examples"], "exponentformat": "SI", "dtick": 1},
        yaxis={"type": "log", "title": "cost", "domain": [0.155, 0.37], **ticks},
        sliders=[slider(record, arrays, clock) for clock in CLOCKS],
        updatemenus=[clock_menu(record, arrays, timed), *(play_button(clock) for clock in CLOCKS)],
    )  # fmt: skip
    for number, state in zip(timed, timed_state(record, arrays, "examples"), strict=True):
        figure.data[number].update({key: value for key, value in state.items() if key != "type"})


def timed_state(record: dict, arrays: dict[str, np.ndarray], clock: str) -> list[dict[str, Any]]:
    """All traces that depend on the clock, at its last reading, in the order in which `add_walker` adds them."""
    placed = walkers_at(record, arrays, clock, readings(record, arrays, clock, NUM_FRAMES)[-1])
    found = []
    for index in range(len(record["methods"])):
        walker, down, place = placed[3 * index : 3 * index + 3]
        cost = arrays[f"{index}_cost"][0]
        curve = {"x": rounded(times(record, arrays, index, clock)[1:]), "y": rounded(cost[1:])}
        found += [walker, down, curve, place]
    return found


def slider(record: dict, arrays: dict[str, np.ndarray], clock: str) -> dict[str, Any]:
    """One step a picture, labelled with what the clock shows."""
    go_there = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    times_shown = readings(record, arrays, clock, NUM_FRAMES)
    return {
        "visible": clock == "examples", "active": NUM_FRAMES - 1, "x": 0, "len": 1, "y": 0.07, "pad": {"t": 0, "b": 0},
        "currentvalue": {"prefix": f"{CLOCKS[clock]}: ", "font": {"size": 14, "color": "#1a1a1a"}},
        "ticklen": 0, "minorticklen": 0, "font": {"color": "rgba(0,0,0,0)"},
        "steps": [
            {"label": f"{shown:,.0f}" if clock == "examples" else f"{shown:.2g}", "method": "animate",
             "args": [[f"{clock} {number}"], go_there]}
            for number, shown in enumerate(times_shown)
        ],
    }  # fmt: skip


def play_button(clock: str) -> dict[str, Any]:
    """Starts from the first picture, and stops."""
    names = [f"{clock} {number}" for number in range(NUM_FRAMES)]
    play = {"mode": "immediate", "frame": {"duration": 120, "redraw": True}, "transition": {"duration": 0}}
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    return {
        "type": "buttons", "direction": "left", "visible": clock == "examples", "x": 0, "xanchor": "left", "y": 1.05,
        "yanchor": "bottom", "showactive": False,
        "buttons": [
            {"label": "▶ Play", "method": "animate", "args": [names, play]},
            {"label": "❚❚ Stop", "method": "animate", "args": [[None], stop]},
        ],
    }  # fmt: skip


def clock_menu(record: dict, arrays: dict[str, np.ndarray], timed: list[int]) -> dict[str, Any]:
    """Equal examples or equal seconds: which clock both walkers share."""
    buttons = []
    for number, clock in enumerate(CLOCKS):
        states = timed_state(record, arrays, clock)
        moved = {"x": [state["x"] for state in states], "y": [state["y"] for state in states]}
        layout: dict[str, Any] = {"xaxis.title.text": CLOCKS[clock], "xaxis.autorange": True}
        for other in range(len(CLOCKS)):
            layout |= {
                f"sliders[{other}].visible": other == number,
                f"updatemenus[{other + 1}].visible": other == number,
            }
        layout |= {f"sliders[{number}].active": NUM_FRAMES - 1}
        moved["z"] = [state.get("z") for state in states]
        buttons.append({"label": f"clock: {clock}", "method": "update", "args": [moved, layout, timed]})
    return {
        "type": "buttons", "direction": "left", "x": 1, "xanchor": "right", "y": 1.05, "yanchor": "bottom",
        "showactive": True, "buttons": buttons,
    }  # fmt: skip
