"""The house runs the experiment. An experiment is a module of eight names:

    Settings, QUICK, FULL                   a dataclass derived from the Settings below, and two sizes of it
    Result                                  a NamedTuple of arrays: all that the other four need
    measure(problem, settings) -> Result
    claims(result, settings) -> claims      of experiments/common/claims.py, any iterable, also an empty one
    finding(result, settings) -> str
    figures(result, settings) -> {name: Figure or Page}

What is done with them, here and nowhere else: parse, check, load, measure, judge, draw, save whole; and read back.
"""

import dataclasses
import os
import shlex
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import jax
from annotated_types import Ge, Interval, Lt

from experiments.common import bounds, cli, devices, estimates, folders, hosts, plots, records, resume, stale, trees
from experiments.common.bounds import Count, blaming, first_line, of_train, require, staying
from experiments.common.claims import Claim
from experiments.common.posing import functions_of, pose, sizes_for
from experiments.common.problem import Problem
from experiments.common.runs import Diverged, console
from experiments.common.terminal import show
from experiments.common.twice import check_again, check_alone
from research import costs, models
from research.data import DataError

FILMS_SIZES = (784, 16, 16, 10)
COMMITTED = Path(__file__).parents[2] / "results"
MEASURED = "not judged: its claims, finding or figures failed"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that all experiments share."""

    dataset: str = "mnist"
    """MNIST is bundled; else any image classification set of TensorFlow Datasets by name (fashion_mnist, kmnist,
    cifar10, ...), or a folder with four IDX files."""
    data_dir: Path | None = None
    """Where TensorFlow Datasets keeps its files; by default TFDS_DATA_DIR or ~/tensorflow_datasets."""
    num_examples: Annotated[int | None, Ge(1), of_train] = None
    """Training images that are used, from the first on; all of them by default."""
    cost: str = "research.costs:sum_of_squares"
    """The cost of one example, package.module:function, a pure function (output, target) -> number. Files in the
    current folder count: my_costs:my_cost."""
    model: str = ""
    """A network of your own in place of plain layers, package.module:function, of (image_shape, num_classes); it
    returns a research.models.Model, a module of flax.linen, or a function of nnx.Rngs that makes one of flax.nnx."""
    layer_sizes: Annotated[tuple[int, ...], Ge(1)] = ()
    """Neurons in each layer, pixels first, classes last; by default pixels 16 16 classes, the film's network."""
    activation: str = "jax.nn:sigmoid"
    """Activation of the hidden layers, package.module:function; without a module one of jax.nn: relu, tanh, ..."""
    output_activation: str = "jax.nn:sigmoid"
    """Activation of the last layer, likewise; jax.nn:identity leaves the weighted sums as they are."""
    init_weights: str = "research.models:scaled_normal"
    """What draws the weights that training starts from, package.module:function, of (key, shape, dtype) as in
    jax.nn.initializers, shape (out, in); without a module one of research.models: scaled_normal, unit_normal."""
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0
    """Seed of all random numbers; one seed, the same results."""
    num_seeds: Count = 4
    """How many runs, each with its own start and its own shuffles."""
    cpu_devices: Annotated[int, Interval(ge=1, le=max(16, CORES))] = CORES
    """Into how many devices JAX divides the CPU; the seeds are shared out over them. Not for GPU, TPU."""
    out: Path = Path("results/yours")
    """Folder for what the experiment leaves behind, OUT/NAME; git ignores this one."""

    @property
    def has_films_cost(self) -> bool:
        """Whether the cost is the film's, however it is spelled."""
        return cli.import_function("--cost", self.cost, "research.costs") is costs.sum_of_squares

    @property
    def has_films_network(self) -> bool:
        """Whether network and start are the film's, however they are spelled."""
        functions = functions_of(self) == (jax.nn.sigmoid, jax.nn.sigmoid, models.scaled_normal)
        return not self.model and self.layer_sizes in ((), FILMS_SIZES) and functions

    @property
    def is_the_films(self) -> bool:
        """Whether data, cost and network are the film's: only for these does the literature have numbers."""
        return self.dataset == Settings.dataset and self.has_films_cost and self.has_films_network


class Run(NamedTuple):
    """A finished run, as it was read back: what is judged and drawn."""

    settings: Any
    result: Any
    record: dict[str, Any]


def main(module: ModuleType, argv: Iterable[str]) -> None:
    """Runs one experiment with the words of a command line, or says its cost; exit codes as in `cli.exit_codes`."""
    name, words = name_of(module), list(argv)
    with cli.exit_codes():
        hosts.hush()
        print(((module.__doc__ or "").strip() or name).splitlines()[0], flush=True)
        settings, size = cli.parse(module, name, words), cli.SIZES.intersection(words)
        last = estimates.last_run((settings.out / name, COMMITTED / name), size)
        if cli.DRY_RUN in words:
            posed = prepared(module, settings)
            asked = estimates.asked_for(settings, len(posed.train.inputs), posed.num_parameters)
            print(asked, estimates.by_last_run(last, size, settings))
            return
        if last and estimates.size_of(last) == size and estimates.is_heavy(last, settings):
            print(f"This may take long, or much memory. {estimates.by_last_run(last, size, settings)}", flush=True)
        devices.keep_compiled()
        hosts.join(settings.cpu_devices)
        console.quiet = not hosts.is_first()
        run(module, settings, go_on=cli.RESUME in words)


def name_of(module: ModuleType) -> str:
    """The last part of the module's name, which is the name of its folder of results."""
    return module.__name__.rpartition(".")[2]


def run(module: ModuleType, settings: Any, *, go_on: bool = False) -> Run:
    """Checks first, then measures, judges, draws, and leaves all of it in OUT/NAME at once; goes on from where the same
    run was stopped, if it is to. A run that diverges leaves a record that says so, in place of an earlier one; one
    whose claims, finding or figures raise leaves what it measured, for --rejudge when they are mended."""
    began, folder = time.perf_counter(), settings.out / name_of(module)
    posed = prepared(module, settings)
    facts = facts_of(module, settings, posed)
    try:
        with resume.journal(folder, kind_of(module, facts), go_on=go_on):
            result = measured(module, settings, posed)
            facts["own_code"] = stale.users_code(module.__name__)  # also what `measure` has imported
            spent = {"seconds": time.perf_counter() - began, "peak_bytes": records.peak_bytes()}
            finished = Run(settings, result, {"status": "finished", **facts, **spent})
            with resume.nothing_kept():
                claims, finding, drawn = judged_or_kept(module, finished, folder)
                leave(finished, folder, claims, finding, drawn)
    except Diverged as error:
        folders.write(folder, {"status": f"diverged: {error}", **facts, "claims": [], "finding": ""}, {}, {})
        resume.forget(folder)
        raise
    resume.forget(folder)
    show(claims, finding, committed(module, folder, finished.record))
    print(f"figures, arrays and run.json are in {folder}")
    return finished


def judged_or_kept(module: ModuleType, finished: Run, folder: Path) -> tuple[list[Claim], str, dict[str, bytes]]:
    """As `judge`; where that raises, what was measured stays for --rejudge."""
    try:
        return judge(module, finished)
    except Exception as error:
        error.add_note(f"What was measured is kept in {folder}: mend it, and type --rejudge --out {folder.parent}.")
        record = {**finished.record, "status": MEASURED, "claims": [], "finding": ""}
        folders.write(folder, record, trees.flat(finished.result), {})
        raise


def prepared(module: ModuleType, settings: Any) -> Problem:
    """All that is checked before anything is measured, and the problem that the settings pose."""
    bounds.check(settings)
    estimates.check_memory(settings)
    devices.divide(settings.cpu_devices)
    hosts.on_first(partial(folders.check_writable, settings.out))
    hosts.on_first(partial(check_place, module, settings.out / name_of(module)))
    check_alone(settings)
    posed = pose(settings)
    bounds.check_enough(settings.dataset, posed.train.targets)
    check_again(settings, posed)
    return posed


def check_place(module: ModuleType, folder: Path) -> None:
    """Raises SettingsError where the result cannot be written, or would replace that of another module."""
    folders.check_writable(folder)
    there = folders.last_record(folder).get("module", module.__name__)
    require(there == module.__name__, f"{folder} has a result of {there}; call one otherwise, or give another --out")


def measured(module: ModuleType, settings: Any, posed: Problem) -> Any:
    """The Result, as it will be read back: numpy's arrays where there were JAX's."""
    with staying(f"measure of {name_of(module)}"):
        found = module.measure(posed, settings)
    require(
        isinstance(found, module.Result),
        f"measure of {name_of(module)} returned a {type(found).__name__}; it must return its Result",
    )
    with blaming(f"the Result of {name_of(module)} cannot be kept"):
        return trees.as_read_back(module.Result, found)


def facts_of(module: ModuleType, settings: Any, posed: Problem) -> dict[str, Any]:
    """What run.json says of a run before anything is measured."""
    return {
        "module": module.__name__,
        "settings": dataclasses.asdict(settings),
        "command": shlex.join(["python", "-m", "experiments", *sys.argv[1:]]),
        **records.provenance(),
        "own_code": stale.users_code(module.__name__),
        **records.describe_data(settings.dataset, train=posed.train, test=posed.test),
        "network": settings.model or "-".join(map(str, sizes_for(settings, posed.train))),
        "num_parameters": posed.num_parameters,
    }


def kind_of(module: ModuleType, facts: dict[str, Any]) -> dict[str, Any]:
    """What must be the same for a run to go on from another."""
    ours = stale.measuring(module.__name__, stale.as_it_is, facts["own_code"])
    code = sorted(ours.items()), facts["own_code"]
    same = {key: facts[key] for key in ("dataset", "versions", "device")}
    same["settings"] = {**facts["settings"], "out": ""}  # one folder may be spelled in several ways
    return {**same, "processes": jax.process_count(), "code": folders.sha256(repr(code).encode())}


def judge(module: ModuleType, finished: Run) -> tuple[list[Claim], str, dict[str, bytes]]:
    """Claims, finding, and the files of figures and pages."""
    (settings, result, _), name = finished, name_of(module)
    with staying(f"{name}, in claims, finding or figures,"):
        claims, finding = list(module.claims(result, settings)), module.finding(result, settings)
        require(all(isinstance(claim, Claim) for claim in claims), f"claims of {name} must yield Claims, nothing else")
        require(isinstance(finding, str), f"finding of {name} gave a {type(finding).__name__}; it must give a sentence")
        return claims, finding, draw(module, finished)


def leave(finished: Run, folder: Path, claims: list[Claim], finding: str, drawn: dict[str, bytes]) -> None:
    """Puts everything in place, with plotly's script beside it where a page names it."""
    record = {**finished.record, "finding": finding, "claims": [claim.as_record() for claim in claims]}
    folders.write(folder, record, trees.flat(finished.result), drawn)
    script = folder.parent / Path(plots.PLOTLY).name
    if any(plots.PLOTLY.encode() in content for content in drawn.values()) and not script.exists():
        from plotly.offline import get_plotlyjs

        folders.write_file(script, get_plotlyjs().encode())


def committed(module: ModuleType, folder: Path, record: dict[str, Any]) -> dict[tuple[str, str], float | None]:
    """(id, says) of every claim -> its number in the repository's own results; empty for a run that replaces them, or
    that is of other data, another network or cost."""
    there = COMMITTED / name_of(module)
    theirs = {} if there == folder.absolute() else folders.last_record(there)
    claimed = folders.claims_of(theirs) if theirs and estimates.of_one_problem(record, theirs) else {}
    return {key: claim["measured"] for key, claim in claimed.items()}


def draw(module: ModuleType, finished: Run) -> dict[str, bytes]:
    """Every figure and page as the bytes of a file, by its name; the house writes the foot of the figures."""
    (settings, result, record), name = finished, name_of(module)
    figures = module.figures(result, settings)
    require(isinstance(figures, dict), f"figures of {name} gave a {type(figures).__name__}; {plots.WANTED}")
    files = dict(plots.as_file(each, drawn, foot(record, settings)) for each, drawn in figures.items())
    require(len(files) == len(figures), f"figures of {name} gave two by one name; call one otherwise")
    return files


def foot(record: dict[str, Any], settings: Any) -> str:
    """Network, data and seeds, for the foot of a figure."""
    dataset, seeds = record["dataset"], settings.num_seeds
    images = f"{dataset['train']['count']:,} training images of {Path(dataset['name']).name}"
    return f"network {record['network']}, {images}; {seeds} seed{'s' * (seeds != 1)}"


def read(module: ModuleType, folder: Path) -> Run:
    """An earlier run, read back by today's types. Raises DataError if there is none, or none to judge."""
    record = folders.read_record(folder)
    if record["status"] not in ("finished", MEASURED):
        raise DataError(f"there is nothing to judge in {folder}, that run ended thus: {record['status']}")
    arrays = folders.read_arrays(folder, record.get("sha256", {}).get(folders.ARRAYS, ""))
    try:
        settings = settings_from(module.Settings, record["settings"])
        result = trees.built(module.Result, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder} was left by another version of {name_of(module)} ({first_line(error)}); run it again"
        ) from error
    written_anew = {"claims", "finding", "files", "sha256", "sha256_of_arrays"}
    facts = {key: value for key, value in record.items() if key not in written_anew}
    return Run(settings, result, facts | {"status": "finished"})


def rejudge(module: ModuleType, folder: Path) -> list[Claim]:
    """Today's verdicts, sentence and figures of an earlier run; nothing is measured. Raises DataError while a run into
    that folder goes on, whose result the earlier one would replace."""
    with folders.alone(resume.place_of(folder), folder):
        finished = read(module, folder)
        leave(finished, folder, *(judged := judge(module, finished)))
    return judged[0]


def settings_from(kind: type, saved: dict[str, Any]) -> Any:
    """Settings as run.json keeps them -> of their type; what is new since then has its default."""
    fields = {field.name: field for field in bounds.fields_of(kind)}
    return kind(**{name: None if value is None else fields[name].converted(value) for name, value in saved.items()})
