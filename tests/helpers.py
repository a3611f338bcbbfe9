"""The plugin of all tests: strict settings, made when it is imported; hooks and fixtures; the small data they share."""

import contextlib
import dataclasses
import gc
import importlib
import itertools
import os
import shutil
import types
from pathlib import Path
from typing import Union, get_args, get_origin, get_type_hints

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from browser import Browser, driver_on_free_port
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.layout_engine import ConstrainedLayoutEngine

from experiments.common import chapters, experiment, plots, records, resume, trees
from research.data import Examples, load
from research.models import Layer

# Small data, many programs: tracing and compiling them is what takes time. No test reads where in the source an
# operation comes from. All programs are kept: the smallest is compiled in 12 ms and read in 3.
for setting, value in {
    "jax_disable_most_optimizations": True,
    "jax_include_full_tracebacks_in_locations": False,
    "jax_traceback_in_locations_limit": 0,
    "jax_compilation_cache_dir": os.environ["JAX_COMPILATION_CACHE_DIR"],
    "jax_persistent_cache_min_compile_time_secs": 0.0,
}.items():
    os.environ.setdefault(setting.upper(), str(int(value) if isinstance(value, bool) else value))  # of their programs
    jax.config.update(setting, value)
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
plots.STYLE["figure.dpi"] = 40  # the tests look at no pixel of a figure, and room for its names is half of its work
ConstrainedLayoutEngine.execute = lambda engine, figure: None
RendererAgg.draw_text = lambda *words, **style: None


# Three seeds of a made-up Result. Added to a number they leave its median, its mean, or all seeds but the last where
# they are, so that another statistic, or the first seed taken for all, is noticed.
SAME_MEDIAN = np.array([9.0, 0.0, -1.0])
SAME_MEAN = np.array([-2.0, 1.0, 1.0])
LAST_OFF = np.array([0.0, 0.0, 1.0])


# The files that take longest go first, so that the workers end together: pytest-xdist, which would take those with most
# tests, is told to keep this order.
LONGEST = (
    "hosts", "readme", "drunk_man", "reliability", "same_numbers", "resume", "critical_batch", "training",
    "other_optimizers", "steepest", "backprop", "benchmark", "relu", "nudges", "new_cost", "conflicts", "play",
    "edge_of_stability", "hebb", "conv_net", "conv_suite",
)  # fmt: skip


MOST_PAGES = 1_300_000_000 // os.sysconf("SC_PAGE_SIZE")  # a file takes up to 400 MB more; a worker may have 2 GB


def rank(item):
    """Where the group of a test stands among the longest ones."""
    name = item.get_closest_marker("xdist_group").args[0].removeprefix("test_")
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def goes_on(compute, last, folder):
    """What `compute()` gives in a run that was stopped after `last` calls, all saved, and the calls that it made."""
    made = []

    def run(first):
        with resume.journal(folder, {}, go_on=not first):
            journal = resume.CURRENT.get()
            keep = journal.keep

            def kept(found):
                made.append(journal.number)
                stops = first and journal.number == last
                journal.pause = 0.0 if stops else np.inf
                keep(found)
                if stops:
                    raise KeyboardInterrupt

            journal.keep = kept
            return compute()

    with pytest.raises(KeyboardInterrupt):
        run(first=True)
    made.clear()
    return run(first=False), made


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config, items):
    """Tests of pages need Chromium and its driver, which .ci/run installs; without them they are deselected. So are the
    slow ones unless `-m` asks for them."""
    browser = shutil.which("chromium") and shutil.which("chromedriver")
    for item in items:  # a file is a group, and so is an experiment with its file: what they compile serves them all
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    left_out = {"browser": not browser, "slow": "slow" not in config.option.markexpr}
    gone = [item for item in items if any(out and item.get_closest_marker(name) for name, out in left_out.items())]
    config.hook.pytest_deselected(items=gone)
    items[:] = sorted((item for item in items if item not in gone), key=rank)


def pytest_collection_finish():
    """What was imported stays, so the garbage collector need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def forgetting():
    """Drops the programs of the files that are done, docstrings' too, where a worker has come to much memory by them;
    where the system does not say how much, always."""
    yield
    memory = Path("/proc/self/statm")
    pages = int(memory.read_text().split()[1]) if memory.exists() else MOST_PAGES
    if pages >= MOST_PAGES:
        jax.clear_caches()
        gc.collect()
        records.trim_memory()


@pytest.fixture(scope="session")
def window(tmp_path_factory):
    """One window of headless Chromium for all tests of pages."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        pytest.fail(f'{" and ".join(missing)} not found: install it, or leave these tests out with -m "not browser"')
    with driver_on_free_port() as driver:
        chromium = Browser(driver, tmp_path_factory.mktemp("profile"))
        yield chromium
        chromium.ask("DELETE", "")


@pytest.fixture
def browser(window):
    """The window for one test; what it leaves playing there stops."""
    yield window
    window.leave()


@pytest.fixture
def saves_at_once(monkeypatch):
    """A run saves at every call."""
    monkeypatch.setattr(resume, "PAUSE", 0.0)
    monkeypatch.setattr(resume, "SHARE", np.inf)


@pytest.fixture
def x64():
    """float64 for the identities."""
    with jax.enable_x64(True):
        yield


def drawn_by(key):
    """numpy's random numbers: nothing is compiled for them."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def make_examples(key: jax.Array, num_examples: int, num_pixels: int = 12, num_classes: int = 4) -> Examples:
    """Random inputs in [0, 1] with random one-hot targets, in the default precision."""
    draws, wide = drawn_by(key), jnp.result_type(float)
    targets = np.eye(num_classes)[draws.integers(num_classes, size=num_examples)]
    return Examples(jnp.asarray(draws.random((num_examples, num_pixels)), wide), jnp.asarray(targets, wide))


def make_params(key: jax.Array, layer_sizes=(12, 5, 6, 4)) -> list[Layer]:
    """A start in the default precision with biases that are not zero."""
    draws, wide = drawn_by(key), jnp.result_type(float)
    return [
        Layer(jnp.asarray(draws.normal(size=(num_out, num_in)) / np.sqrt(num_in), wide),
              jnp.asarray(draws.normal(size=num_out), wide))
        for num_in, num_out in itertools.pairwise(layer_sizes)
    ]  # fmt: skip


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """A folder of IDX files with the first 600 training and 200 test images of MNIST: for `--dataset FOLDER`."""
    folder = tmp_path_factory.mktemp("small_mnist")
    for split, prefix, count in (("train", "train", 600), ("test", "t10k", 200)):
        examples = load("mnist", split)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", np.asarray(examples.inputs[:count]).reshape(count, 28, 28))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.asarray(examples.targets[:count]).argmax(axis=1))
    return folder


def smallest(name):
    """How small the experiment can be, as its tests say."""
    return importlib.import_module(f"test_{name}").SMALLEST


def around(name):
    """What must be so while it runs and is drawn, as its tests say; most say nothing."""
    return getattr(importlib.import_module(f"test_{name}"), "AROUND", contextlib.nullcontext)()


@pytest.fixture(scope="session")
def ran(small_mnist, tmp_path_factory):
    """name -> what the experiment leaves behind at its smallest; each runs once, for all tests of it."""
    out, runs, questions = tmp_path_factory.mktemp("results"), {}, chapters.all_questions()

    def run(name):
        if name not in runs:
            module = importlib.import_module(questions[name].module)
            seed = smallest(name).seed or 1  # not the default, so that a seed that is not handed on is noticed
            settings = dataclasses.replace(smallest(name), dataset=str(small_mnist), out=out, seed=seed)
            with around(name):
                runs[name] = experiment.run(module, settings), out / name
        return runs[name]

    return run


def write_idx(path, values):
    """One file of the IDX format: magic number with the number of axes, their lengths, the bytes."""
    path.write_bytes(
        bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()
    )


def leaves_of(kind, tree, name=""):
    """(name, annotation, array) of every array of a result; while they are told, an axis has one length throughout a
    NamedTuple."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # X | None
        yield from () if tree is None else leaves_of(args[0], tree, name)
    elif hasattr(kind, "_fields"):
        with jaxtyping.jaxtyped("context"):
            for field, hint in get_type_hints(kind).items():
                yield from leaves_of(hint, getattr(tree, field), trees.joined(name, field))
    elif origin in (tuple, list, dict):
        for key, part in tree.items() if origin is dict else enumerate(tree):
            inner = args[-1] if origin is dict else args[0] if args[-1] is Ellipsis or origin is list else args[key]
            yield from leaves_of(inner, part, trees.joined(name, str(key)))
    else:
        yield name, kind, tree


def misshapen(kind, tree):
    """The names of a result's arrays whose shape or type is not the annotated one."""
    for name, hint, leaf in leaves_of(kind, tree):
        if not isinstance(leaf, hint):
            yield f"{name} is {getattr(leaf, 'dtype', type(leaf).__name__)} {getattr(leaf, 'shape', '')}, not {hint}"
