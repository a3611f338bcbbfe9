"""How many hidden neurons: accuracy against parameters and against depth, and what of the gradient reaches layer 1."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

Arrays = dict[str, np.ndarray]
NIELSENS_DEPTHS = ((1, 96.48), (2, 96.90), (3, 96.57), (4, 96.53))  # his chapter 5


def sweep_figure(record: dict, arrays: Arrays) -> Figure:
    """Width, depth and gradient, side by side."""
    figure, axes = plots.new_figure(18, 6.4, columns=3)
    widths(axes[0, 0], record, arrays)
    depths(axes[0, 1], record, arrays)
    reaching(axes[0, 2], record, arrays)
    figure.suptitle(textwrap.fill(record["finding"], 130), fontsize=14, fontweight="bold")
    settings, edge = record["settings"], record["on_the_edge"]
    where = f" (best at the grid's edge: {', '.join(edge)})" if edge else " (all inside the grid)"
    figure.supxlabel(
        f"{record['dataset']['name']}, {record['dataset']['train']['count']:,} training images, batches of "
        f"{settings['batch_size']}, {settings['num_epochs']} epochs, each network with its best rate of "
        f"{', '.join(format(rate, 'g') for rate in settings['learning_rates'])}{where}; {settings['num_seeds']} seeds",
        fontsize=10,
    )
    return figure


def networks_of(record: dict) -> dict[tuple[int, ...], int]:
    """Hidden layers -> number of the network."""
    return {tuple(sizes[1:-1]): index for index, sizes in enumerate(record["networks"])}


def ends(arrays: Arrays, index: int) -> tuple[np.ndarray, np.ndarray]:
    """(test, training) accuracy at the end in per cent, of every seed."""
    return 100 * arrays[f"sweep_{index}_test_accuracy"][:, -1], 100 * arrays[f"sweep_{index}_train_accuracy"]


def widths(axis: Axes, record: dict, arrays: Arrays) -> None:
    """Accuracy against the number of parameters, from no hidden neuron to the most; the own network as a star."""
    number, parameters = networks_of(record), record["parameters"]
    hidden = [(width,) for width in record["settings"]["widths"] if width]
    x = np.array([parameters[number[layers]] for layers in hidden])
    for series, name in enumerate(("test images", "training images")):
        y = np.stack([ends(arrays, number[layers])[series] for layers in hidden], axis=1)
        plots.seed_points(axis, x, y, series, f"one hidden layer, {name}")
        axis.plot(x, np.median(y, axis=0), color=plots.COLOURS[series], linestyle=plots.LINES[series])
    for layers, place in zip(hidden, x, strict=True):
        height = np.median(ends(arrays, number[layers])[0])
        axis.annotate(str(layers[0]), (place, height), xytext=(5, -15), textcoords="offset points", fontweight="bold")
    for layers, marker, colour in (((), "D", plots.COLOURS[2]), (tuple(record["own"][1:-1]), "*", plots.COLOURS[6])):
        if layers in number:
            label = "-".join(map(str, record["networks"][number[layers]])) + ", test images"
            axis.plot(parameters[number[layers]], np.median(ends(arrays, number[layers])[0]), marker, color=colour,
                      markersize=13 if marker == "*" else 9, label=label, linestyle="", zorder=5)  # fmt: skip
    axis.set_xscale("log")
    axis.set_ylim(0, 102)
    axis.set_xlabel("weights and biases")
    axis.set_ylabel("correct, %")
    first, last = (np.median(ends(arrays, number[layers])[0]) for layers in (hidden[0], hidden[-1]))
    axis.set_title(
        f"{hidden[0][0]} hidden neuron{'' if hidden[0][0] == 1 else 's'}: {first:.0f} %; {hidden[-1][0]}: {last:.1f} %"
    )
    axis.legend(loc="lower right", title="median and range of seeds; numbers: neurons")


def depths(axis: Axes, record: dict, arrays: Arrays) -> None:
    """Accuracy against the number of hidden layers."""
    number, width = networks_of(record), record["settings"]["depth_width"]
    x = np.array(sorted(record["settings"]["depths"]))
    for series, name in enumerate(("test images", "training images")):
        y = np.stack([ends(arrays, number[(width,) * depth])[series] for depth in x], axis=1)
        plots.seed_points(axis, x + 0.08 * series - 0.04, y, series, f"layers of {width}, {name}")
    if width == 30 and record["dataset"]["name"] == "mnist":
        axis.plot(*zip(*NIELSENS_DEPTHS, strict=True), "k*", markersize=10,
                  label="Nielsen: cross-entropy, regularised, 30 epochs of batches of 10")  # fmt: skip
    medians = {depth: np.median(ends(arrays, number[(width,) * depth])[0]) for depth in x}
    best = max(medians, key=medians.__getitem__)
    axis.set_xticks(x)
    axis.set_xlabel("hidden layers")
    axis.set_ylabel("correct, %")
    gain = medians[best] - medians.get(1, medians[best])
    axis.set_title(f"Best with {best} hidden layer{'' if best == 1 else 's'}: {gain:+.2f} points against one")
    axis.legend(loc="lower right", fontsize=9)


def reaching(axis: Axes, record: dict, arrays: Arrays) -> None:
    """The length of every layer's gradient before training, for every depth; a quarter a layer for comparison."""
    number, width = networks_of(record), record["settings"]["depth_width"]
    shown = [depth for depth in sorted(record["settings"]["depths"]) if depth]
    for series, depth in enumerate(shown):
        norms = arrays[f"sweep_{number[(width,) * depth]}_norms"]
        plots.seed_band(
            axis, np.arange(1, depth + 2), norms, series, f"{depth} hidden layer{'' if depth == 1 else 's'}"
        )
    deepest = arrays[f"sweep_{number[(width,) * shown[-1]]}_norms"]
    places, middle = np.arange(1, shown[-1] + 1), np.median(deepest, axis=0)
    if record["settings"]["activation"] == "jax.nn:sigmoid":
        axis.plot(places, middle[0] * 4.0 ** (places - 1), color="0.4", linestyle=(0, (2, 2)), linewidth=1,
                  label="4 times a layer: sigma' is 1/4 at most")  # fmt: skip
    axis.set_yscale("log")
    axis.set_xticks(np.arange(1, shown[-1] + 2))
    axis.set_xlabel("layer of weights, 1 next to the pixels")
    axis.set_ylabel("length of the layer's gradient before training")
    shallow = np.median(arrays[f"sweep_{number[(width,) * shown[0]]}_norms"][:, 0])
    share = f"1/{shallow / middle[0]:.3g}"
    axis.set_title(f"With {shown[-1]} hidden layers {share} of the gradient\nreaches the first, against {shown[0]}")
    axis.legend(loc="lower right", fontsize=9)


def nielsen_figure(record: dict, arrays: Arrays) -> Figure:
    """Test accuracy in Nielsen's setting after every epoch, beside his numbers."""
    figure, axes = plots.new_figure(11, 7)
    axis, recipes = axes[0, 0], record["nielsens"]
    accuracies = [100 * arrays[f"nielsen_{series}_test_accuracy"] for series in range(len(recipes))]
    ends = {recipe["name"]: np.median(each[:, -1]) for recipe, each in zip(recipes, accuracies, strict=True)}
    for series, (recipe, accuracy) in enumerate(zip(recipes, accuracies, strict=True)):
        epochs = np.arange(1, accuracy.shape[1] + 1)
        style = {"color": plots.COLOURS[series], "linestyle": plots.LINES[series % len(plots.LINES)]}
        label = f"{recipe['name']}: {ends[recipe['name']]:.2f} %"
        axis.plot(epochs, accuracy.T, linewidth=0.7, alpha=0.5, **style)
        axis.plot(epochs, np.median(accuracy, axis=0), linewidth=2.5, **style,
                  label=label + (f" (his: {recipe['said']} %)" if recipe["said"] else ""))  # fmt: skip
        if recipe["said"]:
            axis.plot(epochs[-1] + 0.4 + 0.35 * series, recipe["said"], "*", color=plots.COLOURS[series],
                      markeredgecolor="black", markersize=13, linestyle="", clip_on=False, zorder=5)  # fmt: skip
    axis.set_ylim(40, 100)
    axis.set_xlabel("epochs of 50,000 images of mnist (batches of 10; all parameters from N(0, 1) if nothing is said)")
    axis.set_ylabel("correct on the 10,000 test images, %")
    axis.set_title(
        f"Nielsen's 100 hidden neurons: {ends['784-100-10']:.1f} % from N(0, 1) with the squares, "
        f"{ends['784-100-10, small weights']:.1f} % from small weights,\n"
        f"{ends['784-100-10, cross-entropy']:.1f} % with cross-entropy; 30 neurons: {ends['784-30-10']:.1f} %"
    )
    title = f"median of {len(accuracies[0])} seeds at the end (thin: each seed; stars: his)"
    axis.legend(loc="lower right", title=title, framealpha=0.9, frameon=True)
    return figure
