"""What experiments/edge_of_stability.py left behind, as figures."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

Arrays = dict[str, np.ndarray]
ETA, LAMBDA = "\N{GREEK SMALL LETTER ETA}", "\N{GREEK SMALL LETTER LAMDA}"


def edge_figure(record: dict, arrays: Arrays) -> Figure:
    """Sharpness above, cost below: full batch against time, mini-batches and the network of the settings by steps."""
    settings = record["settings"]
    figure, axes = plots.new_figure(17, 9.5, rows=2, columns=3, sharex="col")
    careful, drunk, network = axes.T
    rates, network_rates = settings["learning_rates"], settings["network_learning_rates"]
    draw_careful(careful, arrays, rates)
    draw_drunk(drunk, arrays, rates[1], settings["batch_sizes"])
    draw_network(network, arrays, network_rates, name_of_network(record))
    for above, below in axes.T:
        above.set_ylim(bottom=0)
        below.set_yscale("log")
        plots.plain_log_ticks(below.yaxis, [digit * 10.0**power for power in range(-6, 4) for digit in (1, 2, 5)])
        below.set_ylabel("cost, on the images descended on")
        above.set_ylabel("sharpness: largest eigenvalue of the Hessian")
    plots.headline(figure, finding(arrays, rates, network_rates, name_of_network(record)))
    figure.supxlabel(
        f"{settings['num_examples']} images of {settings['dataset']}; median and range of {settings['num_seeds']} "
        f"seeds; below 2/{ETA} descent is stable", fontsize=10,
    )  # fmt: skip
    return figure


def finding(arrays: Arrays, rates: list[float], network_rates: list[float], name: str) -> str:
    """The title: whether tanh with linear outputs hovers at 2/eta, and the network of the settings."""
    careful = [middle_of_last_third(arrays, f"careful{index}", rate) for index, rate in enumerate(rates)][1:]
    network = [middle_of_last_third(arrays, f"network{index}", rate) for index, rate in enumerate(network_rates)]
    hovers = "and stays there" if all(abs(end - 1) < 0.1 for end in careful) else "or not quite"
    ends = "flattens out again" if max(network) < 0.9 else "ends near it or above"
    return f"tanh: the valley steepens to what the careful man's step allows, 2/{ETA}, {hovers}; {name} {ends}"


def middle_of_last_third(arrays: Arrays, name: str, rate: float, what: str = "sharpness") -> float:
    """Median over seeds of the mean over the last third of the points, in units of 2/eta."""
    series = arrays[f"{name}_{what}"]
    return float(np.median(series[:, -(series.shape[1] // 3) :].mean(axis=1)) * rate / 2)


def name_of_network(record: dict) -> str:
    """The film's network, or that of the settings."""
    sizes = "-".join(map(str, record["layer_sizes"]))
    return "the film's network" if record["is_the_films"] else f"your network or cost, {sizes},"


def draw_edge(axes: Axes, rate: float, colour: str, end: str) -> None:
    """The line 2/eta, with its value just above its left or right end."""
    axes.axhline(2 / rate, color=colour, linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(
        f"2/{ETA} = {2 / rate:.3g}", (end == "right", 2 / rate), xycoords=("axes fraction", "data"),
        xytext=(-4 if end == "right" else 4, 3), textcoords="offset points", ha=end, va="bottom", fontsize=10,
        color=colour,
    )  # fmt: skip


def draw_careful(axes: np.ndarray, arrays: Arrays, rates: list[float]) -> None:
    """tanh, full batch, every learning rate, against the time that has passed."""
    above, below = axes
    highest = max(arrays[f"careful{index}_sharpness"].max() for index in range(len(rates)))
    ends = []
    for index, rate in enumerate(rates):
        time = rate * arrays[f"careful{index}_steps"]
        within = 2 / rate < highest
        label = f"{ETA} = {rate:g}" if within else f"{ETA} = {rate:g} (2/{ETA} = {2 / rate:g}, off the axis)"
        for axis, what in ((above, "sharpness"), (below, "cost")):
            plots.seed_band(axis, time, arrays[f"careful{index}_{what}"], index, label)
            if not within:  # it never leaves the way of the larger rates, which are drawn on it
                axis.lines[-1].set(linewidth=6, alpha=0.5, linestyle="-")
        if within:
            draw_edge(above, rate, plots.COLOURS[index % len(plots.COLOURS)], "left")
            ends.append(f"{middle_of_last_third(arrays, f'careful{index}', rate):.2f}")
    above.set_title(
        f"tanh, linear outputs, full batch: the sharpness rises\nand ends at {' and '.join(ends)} of 2/{ETA}"
        if ends else "tanh, linear outputs, full batch"
    )  # fmt: skip
    above.set_ylim(top=1.4 * highest)
    above.legend(loc="upper right", fontsize=9)
    rising = 100 * np.mean(np.diff(arrays[f"careful{len(rates) - 1}_cost"], axis=1) > 0)
    below.set_title(f"The cost falls, at {ETA} = {rates[-1]:g} with rises in {rising:.0f} % of the looks")
    below.set_xlabel(f"time: {ETA} * steps")


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
            above.plot(steps, batch_sharpness, "x", color=colour, markersize=5, label=f"batch sharpness, {label[8:]}")
    draw_edge(above, rate, plots.COLOURS[1], "left")
    levels = [
        f"{label} {middle_of_last_third(arrays, name, rate):.2f}".replace("batches of", "of")
        for label, name in curves.items()
    ]
    above.set_title(f"Mini-batches walk where it is flatter, {ETA} = {rate:g}:\n{', '.join(levels)} of 2/{ETA}")
    above.set_ylim(top=1.45 * max(arrays[f"{name}_sharpness"].max() for name in curves.values()))
    above.legend(loc="upper left", fontsize=9, ncols=2)
    ends = [f"{np.median(arrays[f'{name}_cost'][:, -1]):.3f}" for name in curves.values()]
    below.set_title(f"Their costs at the end: {', '.join(ends)}")
    below.set_xlabel("steps")


def draw_network(axes: np.ndarray, arrays: Arrays, rates: list[float], name: str) -> None:
    """The network and cost of the settings, full batch, step for step."""
    above, below = axes
    for index, rate in enumerate(rates):
        series, steps = index + 5, arrays[f"network{index}_steps"]
        label = f"{ETA} = {rate:g}"
        plots.seed_band(above, steps, arrays[f"network{index}_sharpness"], series, label)
        plots.seed_band(below, steps, arrays[f"network{index}_cost"], series, label)
        draw_edge(above, rate, plots.COLOURS[series % len(plots.COLOURS)], "right")
    starts, peaks, ends = (
        " and ".join(f"{np.median(value(index)) * rate / 2:.2f}" for index, rate in enumerate(rates))
        for value in (
            lambda index: arrays[f"network{index}_sharpness"][:, 0],
            lambda index: arrays[f"network{index}_peak"],
            lambda index: arrays[f"network{index}_sharpness"][:, -1],
        )
    )
    rises = "" if "nan" in peaks else f", falls,\nrises again to {peaks}"
    above.set_title(f"{name[0].upper()}{name[1:]} starts at {starts} of 2/{ETA}{rises} and ends at {ends}", fontsize=11)
    above.set_ylim(top=1.3 * max(2 / min(rates), *(arrays[f"network{at}_sharpness"].max() for at in range(len(rates)))))
    above.legend(loc="upper right", ncols=len(rates))
    last = [f"{np.median(arrays[f'network{index}_cost'][:, -1]):.3f}" for index in range(len(rates))]
    below.set_title(f"Its cost at the end: {' and '.join(last)}")
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
            f"{ETA} = {factor:g} * 2/{LAMBDA}: |1 - {ETA}{LAMBDA}| = {abs(1 - 2 * factor):.2f}",
        )  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylim(1e-4, 1e4)
    axis.set_xlabel("steps")
    axis.set_ylabel("distance from the bottom, 1 at the start")
    exact = bool(((distances[..., -1] > distances[..., -2]) == (factors > 1)).all())  # still going away at the end
    axis.set_title(
        f"On a parabola gradient descent diverges {'exactly' if exact else 'not exactly'} where "
        f"{ETA} > 2/{LAMBDA}\n({LAMBDA}: its largest "
        f"curvature; {relative.shape[0]} starts)"
    )
    axis.legend(fontsize=9)
    return figure
