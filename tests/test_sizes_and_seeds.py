"""A size, a rate or a seed that is changed by mistake, or not handed on, and that no other test sees."""

import ast
import dataclasses
import importlib
import math
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import smallest

from experiments.all_examples import conflicts
from experiments.common import bounds, chapters, stale
from experiments.common.experiment import Settings
from experiments.common.problem import Problem
from experiments.hill import noise_floor
from experiments.labels import data_need
from experiments.mini_batches import convex_shuffling, every_order, linear_scaling, minibatch_quality
from experiments.networks import complexity, new_cost
from experiments.networks.new_cost import LOOKS
from research import costs, models
from research.data import Examples

ROOT = Path(__file__).parents[1]
QUESTIONS = chapters.all_questions()
every_experiment = pytest.mark.parametrize("name", QUESTIONS)


def numbers(value):
    """The numbers of one setting; no number of images is all of them."""
    each = value if isinstance(value, tuple) else (value,)
    return [math.inf if number is None else number for number in each]


def work(settings, name):
    """How much a setting that counts something asks for: of passes over the images, how many images they read."""
    (number,) = numbers(getattr(settings, name))
    return number * min(settings.num_examples or 60_000, 60_000) if name == "num_epochs" else number


@every_experiment
def test_a_smaller_size_asks_the_same_with_less_work(name):
    """Counts do not fall from --quick to the default to --full; rates, places and batch sizes, and what is tried one by
    one, lie within a factor of two of those that the next size has."""
    module = importlib.import_module(QUESTIONS[name].module)
    for less, more in ((module.QUICK, module.Settings()), (module.Settings(), module.FULL)):
        for field in bounds.fields_of(type(more)):
            small, large = (numbers(getattr(settings, field.name)) for settings in (less, more))
            if field.kind not in (int, float) or not small or not large:
                continue
            if field.is_tuple or field.kind is float or "batch_size" in field.name:
                assert len(small) <= len(large), field.flag
                assert min(large) / 2 <= min(small) <= max(small) <= 2 * max(large), field.flag
            else:
                assert work(less, field.name) <= work(more, field.name), field.flag


NOT_MEASURED_BY = {
    "drunk_man": {"gif_frames", "self_contained"},  # how it is drawn
    "how_many_annotators": {"bearable"},  # what is said of it
    "scaling": {"large"},  # likewise
}


@every_experiment
def test_every_setting_of_its_own_is_asked_for_where_it_measures(name):
    kind = importlib.import_module(QUESTIONS[name].module).Settings
    own = {field.name for field in dataclasses.fields(kind)} - {field.name for field in dataclasses.fields(Settings)}
    code = "".join(stale.measuring(QUESTIONS[name].module, stale.as_it_is).values())
    assert {field for field in own if not re.search(rf"\.{field}\b", code)} == NOT_MEASURED_BY.get(name, set())


COUNTS_NOTHING = {"seed", "cpu_devices"}  # a name, and what no result depends on
STARTS_PROGRAMS = {"reliability": "one for everything it counts, seconds each", "same_numbers": "its one start, again"}


@every_experiment
def test_no_two_counts_of_its_smallest_run_are_the_same(name):
    """Else nobody notices that one is handed on for another, or one seed's numbers for all."""
    settings = smallest(name)
    fields = [field for field in bounds.fields_of(type(settings)) if field.kind is int and not field.is_tuple]
    besides = COUNTS_NOTHING | NOT_MEASURED_BY.get(name, set())
    counts = {field.name: getattr(settings, field.name) for field in fields if field.name not in besides}
    given = [count for count in counts.values() if count]  # None is all of them, 0 leaves something out
    if name not in STARTS_PROGRAMS:
        assert len(given) == len(set(given)), counts
        assert settings.num_seeds > 1


DRAWS = ("default_rng", "key", "seed_keys")


def draws(tree):
    """(call, the names in its arguments) of all that draws by itself within a function that is given settings or a
    seed; but for shapes, which need no number."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not (isinstance(call.func, ast.Attribute) and call.func.attr in DRAWS):
            continue
        around, node = [], call
        while node := parents.get(node):
            around.append(node)
        given = {arg.arg for node in around if isinstance(node, ast.FunctionDef) for arg in node.args.args}
        of_shapes = any(isinstance(node, ast.Call) and "eval_shape" in ast.unparse(node.func) for node in around)
        if given & {"settings", "seed"} and not of_shapes:
            yield ast.unparse(call), {name for arg in call.args for name in names_in(arg)}


def names_in(node):
    found = [part for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute)]
    return {part.id if isinstance(part, ast.Name) else part.attr for part in found}


def trees_of_experiments():
    tries_functions = {ROOT / "experiments/common/twice.py"}  # on any numbers
    return [ast.parse(path.read_text()) for path in set((ROOT / "experiments").rglob("*.py")) - tries_functions]


def test_what_is_drawn_is_drawn_by_the_seed():
    found = [each for tree in trees_of_experiments() for each in draws(tree)]
    assert len(found) > 40, "they are found"
    assert [call for call, names in found if not {"seed", "key"} & names] == []


def test_what_is_done_so_many_times_is_another_every_time():
    """One who counts and does not ask for the number does the same for every seed; else it is called _."""
    loops = [node for tree in trees_of_experiments() for node in ast.walk(tree)
             if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp)]  # fmt: skip
    counted = [
        (loop, each) for loop in loops for each in loop.generators if ast.unparse(each.iter).startswith("range(")
    ]
    assert len(counted) > 20, "they are found"
    unasked = [ast.unparse(loop) for loop, each in counted if not names_in(each.target) & {"_"}
               and not names_in(each.target) & {name for part in (loop.elt, *(other.iter for other in loop.generators))
                                                for name in names_in(part)}]  # fmt: skip
    assert unasked == []


class Begun(Exception):
    """Work starts."""


@pytest.mark.parametrize(
    ("module", "changed", "needed", "first"),
    [
        (conflicts, {}, 100, (conflicts.checkpoints, "walk")),
        (minibatch_quality, {}, 400, (minibatch_quality.checkpoints, "walk")),
        (convex_shuffling, {}, 30, (convex_shuffling, "make_quadratic")),
        (every_order, {"batch_size": 7, "num_batches": 3}, 21, (every_order.descents, "begin")),
        (linear_scaling, {"batch_size": 7, "num_batches": (5, 2)}, 35, (linear_scaling.descents, "begin")),
        (
            noise_floor,
            {"batch_sizes": (2, 7), "num_epochs": 3, "num_looks": 6},
            14,
            (noise_floor.long_training, "train"),
        ),
        (complexity, {"halvings": 3}, 8, (complexity, "on_one_device")),
        (new_cost, {"batch_size": 7, "num_epochs": 10}, 7 * LOOKS // 10, (new_cost.descents, "begin")),
        (data_need, {"sizes": (20, 30, 90)}, 30, (data_need.runs, "seed_keys")),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_as_many_images_as_are_needed_suffice_and_one_less_is_refused(module, changed, needed, first, monkeypatch):
    def begun(*_, **__):
        raise Begun

    monkeypatch.setattr(*first, begun)
    for count, end in ((needed, Begun), (needed - 1, bounds.SettingsError)):
        few = Examples(np.zeros((count, 4), np.uint8), np.zeros((count, 2)))
        sigmoids = jax.nn.sigmoid, jax.nn.sigmoid
        posed = Problem(models.mlp((4, 2)), costs.sum_of_squares, few, few, (2, 2, 1), sigmoids, models.mlp)
        with pytest.raises(end):
            module.measure(posed, dataclasses.replace(module.Settings(), **changed))
