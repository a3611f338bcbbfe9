"""Cost and accuracy of every method on three clocks, a falling learning rate, and Nielsen's setting."""

import numpy as np
from matplotlib.figure import Figure

from experiments.common import plots

Arrays = dict[str, np.ndarray]
CURVE_FIELDS = ("steps", "cost", "accuracy")
COLUMN_TITLES = ("Step for step", "Example for example", "Second for second")
FILMS_COST = "research.costs:sum_of_squares"


def compare_figure(record: dict, arrays: Arrays) -> Figure:
    """Cost and accuracy of every method against steps, examples (and operations), and seconds."""
    figure, axes = plots.new_figure(15, 8.5, rows=2, columns=3, sharey="row")
    for index, method in enumerate(record["methods"]):
        steps, cost, accuracy = (arrays[f"{index}_{field}"] for field in CURVE_FIELDS)
        together = steps <= record["settings"]["num_steps"]
        label = f"{method['label']}, rate {method['learning_rate']:g}"
        for column, scale in enumerate((1, method["batch_size"], method["seconds_per_step"])):
            shown = together if column == 0 else slice(None)
            plots.seed_band(axes[0, column], steps[shown] * scale, cost[:, shown], index, label)
            plots.seed_band(axes[1, column], steps[shown] * scale, 100 * accuracy[:, shown], index, label)
    num_seeds, dataset = record["settings"]["num_seeds"], record["dataset"]
    network = "-".join(map(str, record["layer_sizes"]))
    for row in axes:
        row[1].set_xscale("log")
        row[2].set_xscale("log")
    for axis, title in zip(axes[0], COLUMN_TITLES, strict=True):
        axis.set_title(title)
        axis.set_yscale("log")
        plots.plain_log_ticks(axis.yaxis, (0.05, 0.1, 0.2, 0.5, 1, 2))
        if record["settings"]["cost"] == FILMS_COST:
            # K balanced classes, every output 1/K: (1 - 1/K)^2 + (K - 1) / K^2 = 1 - 1/K
            share = 1 / record["layer_sizes"][-1]
            plots.reference_line(axis, 1 - share, f"every output {share:.2g}: cost {1 - share:.2g}")
    for axis, unit in zip(axes[1], ("steps", "examples read", "seconds of one run, compilation apart"), strict=True):
        axis.set_xlabel(unit)
    per_example = record["flops_per_example"]
    operations = axes[0, 1].secondary_xaxis(
        -0.09, functions=(lambda examples: examples * per_example, lambda flops: flops / per_example)
    )
    operations.set_xlabel("floating point operations (the same curves)", fontsize=9)
    axes[0, 0].set_ylabel(f"cost on the {dataset['train']['count']:,} training images")
    axes[1, 0].set_ylabel(f"correct on the {dataset['test']['count']:,} test images, %")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(record["methods"]),
        title=f"network {network} on {dataset['name']}; median and range of {num_seeds} seeds",
    )
    plots.headline(figure, record["finding"].removesuffix("."))
    return figure


def decay_figure(record: dict, arrays: Arrays, index: int) -> Figure:
    """The cost near the end of method `index` with a constant learning rate and with one that falls to zero."""
    method, num_seeds = record["methods"][index], record["settings"]["num_seeds"]
    figure, axes = plots.new_figure(8, 5)
    axis = axes[0, 0]
    for series, (name, label) in enumerate(((str(index), "constant"), ("decayed", "falling to 0 in the second half"))):
        examples = arrays[f"{name}_steps"] * method["batch_size"] / record["dataset"]["train"]["count"]
        plots.seed_band(
            axis,
            examples,
            arrays[f"{name}_cost"],
            series,
            f"{method['label']}, learning rate {method['learning_rate']:g}, {label}",
        )
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2))
    axis.set_xlabel("epochs")
    axis.set_ylabel("cost on the training images")
    lower = all(claim["holds"] for claim in record["claims"] if claim["id"] == "T38")
    plots.headline(figure, f"A falling learning rate ends {'lower' if lower else 'no lower'} than a constant one")
    axis.legend(title=f"median and range of {num_seeds} seeds")
    plots.foot(figure, record, f"batches of {method['batch_size']}")
    return figure


def nielsen_figure(record: dict, arrays: Arrays) -> Figure:
    """Test accuracy of 784-30-10 in Nielsen's setting, against what his book gives."""
    epochs, accuracy = np.arange(1, len(arrays["nielsen_steps"]) + 1), 100 * arrays["nielsen_accuracy"]
    figure, axes = plots.new_figure(8, 5)
    axis = axes[0, 0]
    axis.axhspan(94.5, 95.5, color="0.88", label="expected after epoch 30: 94.5 to 95.5 %")
    plots.seed_band(axis, epochs, accuracy, 0, f"784-30-10, median and range of {len(accuracy)} seeds")
    axis.plot([1, 30], [91.29, 95.34], "k*", markersize=11, label="Nielsen's book: epochs 1 and 30")
    axis.set_xlabel("epochs of 50,000 images (batches of 10, learning rate 1.5; 3.0 in his convention)")
    axis.set_ylabel("correct on the 10,000 test images, %")
    finding = f"Nielsen's 30 neurons: {np.median(accuracy[:, -1]):.2f} % after {epochs[-1]} epochs; his book: 95.34"
    plots.headline(figure, finding)
    axis.legend(loc="lower right")
    return figure
