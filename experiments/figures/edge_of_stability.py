"""What experiments/edge_of_stability.py left behind, as figures."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from research import plots

Arrays = dict[str, np.ndarray]


def edge_figure(record: dict, arrays: Arrays) -> Figure:
    """Sharpness above, cost below: full batch against time, mini-batches and the network of the settings by steps."""
    settings = record["settings"]
    figure, axes = plots.new_figure(17, 9.5, rows=2, columns=3, sharex="col")
    careful, drunk, network = axes.T
    rates = settings["learning_rates"]
    draw_careful(careful, arrays, rates)
    draw_drunk(drunk, arrays, rates[1], settings["batch_sizes"])
    draw_network(network, arrays, settings["network_learning_rates"], name_of_network(record))
    for above, below in axes.T:
        above.set_ylim(bottom=0)
        below.set_yscale("log")
        below.set_ylabel("cost")
    careful[0].set_ylabel("sharpness: largest eigenvalue of the Hessian")
    ends = [middle_of_last_third(arrays, f"careful{index}", rate) for index, rate in enumerate(rates)][1:]
    hovers = all(abs(end - 1) < 0.1 for end in ends)
    figure.suptitle(
        f"The careful man walks where the valley is {'just' if hovers else 'not always'} as steep as his step allows, "
        f"2/\N{GREEK SMALL LETTER ETA}\n{settings['num_examples']} images of {settings['dataset']}, "
        f"{settings['num_seeds']} seeds: median and all of them",
        fontsize=14, fontweight="bold",
    )  # fmt: skip
    return figure


def middle_of_last_third(arrays: Arrays, name: str, rate: float, what: str = "sharpness") -> float:
    """Median over seeds of the mean over the last third of the points, in units of 2/eta."""
    series = arrays[f"{name}_{what}"]
    return float(np.median(series[:, -(series.shape[1] // 3) :].mean(axis=1)) * rate / 2)


def name_of_network(record: dict) -> str:
    """The film's network, or that of the settings."""
    sizes = "-".join(map(str, record["layer_sizes"]))
    return f"The film's network, {sizes}" if record["is_the_films"] else f"Your network or cost, {sizes}"


def draw_edge(axes: Axes, rate: float, colour: str) -> None:
    """The line 2/eta, with its value at its right end, just above it."""
    axes.axhline(2 / rate, color=colour, linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(
        f"2/\N{GREEK SMALL LETTER ETA} = {2 / rate:.3g}", (1, 2 / rate), xycoords=("axes fraction", "data"),
        xytext=(-2, 3), textcoords="offset points", ha="right", va="bottom", fontsize=10, color=colour,
    )  # fmt: skip


def draw_careful(axes: np.ndarray, arrays: Arrays, rates: list[float]) -> None:
    """tanh, full batch, every learning rate, against the time that has passed."""
    above, below = axes
    highest = max(arrays[f"careful{index}_sharpness"].max() for index in range(len(rates)))
    ends = []
    for index, rate in enumerate(rates):
        time = rate * arrays[f"careful{index}_steps"]
        label = f"\N{GREEK SMALL LETTER ETA} = {rate:g}"
        plots.seed_band(above, time, arrays[f"careful{index}_sharpness"], index, label)
        plots.seed_band(below, time, arrays[f"careful{index}_cost"], index, label)
        if 2 / rate < highest:
            draw_edge(above, rate, plots.COLOURS[index % len(plots.COLOURS)])
            ends.append(f"{middle_of_last_third(arrays, f'careful{index}', rate):.2f}")
    found = f"to {' and '.join(ends)} of 2/\N{GREEK SMALL LETTER ETA}" if ends else "and does not come to 2/eta"
    above.set_title(f"tanh, linear outputs, full batch:\nthe sharpness rises {found}")
    above.legend(loc="upper left")
    below.set_title("The cost falls on, no longer at every step")
    below.set_xlabel("time: \N{GREEK SMALL LETTER ETA} * steps")


def draw_drunk(axes: np.ndarray, arrays: Arrays, rate: float, batch_sizes: list[int]) -> None:
    """tanh, mini-batches beside the full batch at the same learning rate, step for step."""
    above, below = axes
    curves = {"full batch": "careful1"} | {f"batches of {size}": f"drunk{at}" for at, size in enumerate(batch_sizes)}
    for label, name in curves.items():
        series = 1 if name == "careful1" else 3 + int(name[5:])  # the full batch in the colour of its learning rate
        steps = arrays[f"{name}_steps"]
        plots.seed_band(above, steps, arrays[f"{name}_sharpness"], series, label)
        plots.seed_band(below, steps, arrays[f"{name}_cost"], series, label)
        if name != "careful1":
            colour = plots.COLOURS[series % len(plots.COLOURS)]
            batch_sharpness = np.median(arrays[f"{name}_batch_sharpness"], axis=0)
            above.plot(steps, batch_sharpness, "x", color=colour, markersize=5, label=f"{label}: batch sharpness")
    draw_edge(above, rate, plots.COLOURS[1])
    levels = [f"{middle_of_last_third(arrays, name, rate):.2f}" for name in curves.values()]
    above.set_title(
        f"Step for step at \N{GREEK SMALL LETTER ETA} = {rate:g}, full batch, "
        f"{', '.join(f'{size}' for size in batch_sizes)}:\n{', '.join(levels)} of 2/\N{GREEK SMALL LETTER ETA}"
    )
    above.legend(loc="upper left", fontsize=9)
    below.set_title("So far the cost has come down by then")
    below.legend()
    below.set_xlabel("steps")


def draw_network(axes: np.ndarray, arrays: Arrays, rates: list[float], name: str) -> None:
    """The network and cost of the settings, full batch, step for step."""
    above, below = axes
    for index, rate in enumerate(rates):
        series, steps = index + 5, arrays[f"network{index}_steps"]
        label = f"\N{GREEK SMALL LETTER ETA} = {rate:g}"
        plots.seed_band(above, steps, arrays[f"network{index}_sharpness"], series, label)
        plots.seed_band(below, steps, arrays[f"network{index}_cost"], series, label)
        draw_edge(above, rate, plots.COLOURS[series % len(plots.COLOURS)])
    relative = [arrays[f"network{index}_sharpness"] * rate / 2 for index, rate in enumerate(rates)]
    peaks = " and ".join(f"{np.median(series.max(axis=1)):.2f}" for series in relative)
    ends = " and ".join(f"{np.median(series[:, -1]):.2f}" for series in relative)
    above.set_title(f"{name}:\nup to {peaks}, at the end {ends} of 2/\N{GREEK SMALL LETTER ETA}")
    above.legend(loc="center right")
    below.set_title("Its cost")
    below.set_xlabel("steps")


def parabola_figure(record: dict, arrays: Arrays) -> Figure:
    """Distance from the bottom of a parabola against steps, for learning rates below, at and above 2/lambda."""
    figure, axes = plots.new_figure(8, 5)
    (axis,) = axes[0]
    distances, factors = arrays["distances"], arrays["factors"]
    relative = distances / distances[:, :, :1]
    for index, factor in enumerate(factors):
        plots.seed_band(
            axis, np.arange(relative.shape[2]), relative[:, index], index,
            f"\N{GREEK SMALL LETTER ETA} = {factor:g} * 2/\N{GREEK SMALL LETTER LAMDA}: "
            f"|1 - \N{GREEK SMALL LETTER ETA}\N{GREEK SMALL LETTER LAMDA}| = {abs(1 - 2 * factor):.2f}",
        )  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylim(1e-4, 1e4)
    axis.set_xlabel("steps")
    axis.set_ylabel("distance from the bottom, 1 at the start")
    diverging = np.median(relative[..., -1], axis=0) > 1
    exact = bool((diverging == (factors > 1)).all())
    axis.set_title(
        f"On a parabola gradient descent diverges {'exactly' if exact else 'not exactly'} where "
        f"\N{GREEK SMALL LETTER ETA} > 2/\N{GREEK SMALL LETTER LAMDA}\n(\N{GREEK SMALL LETTER LAMDA}: its largest "
        f"curvature; {relative.shape[0]} starts)"
    )
    axis.legend(fontsize=9)
    return figure
