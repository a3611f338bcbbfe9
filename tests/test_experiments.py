"""The laws of all experiments, one by one: each runs at its smallest, is judged again from its files, refuses what its
bounds forbid, and what is committed is what today's code says. What is left of an experiment's own tests is its own
mathematics, in tests/test_NAME.py, where `SMALLEST` is how small it can be."""

import ast
import dataclasses
import importlib
import inspect
import json
import re
import shlex
from itertools import combinations
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import leaves_of, misshapen, smallest

from experiments.common import bounds, chapters, cli, experiment, folders, trees
from experiments.common.bounds import SettingsError, UpTo
from experiments.common.film import FILM

ROOT = Path(__file__).parents[1]
QUESTIONS = chapters.all_questions()
EACH = [pytest.param(name, marks=pytest.mark.xdist_group(f"test_{name}")) for name in QUESTIONS]
EIGHT = ("Settings", "QUICK", "FULL", "Result", "measure", "claims", "finding", "figures")
SEES_BOTH = {"one_epoch", "hidden_neurons"}  # training and test images, and several networks
every_experiment = pytest.mark.parametrize("name", EACH)


def module_of(name):
    return importlib.import_module(QUESTIONS[name].module)


@every_experiment
def test_it_runs_and_leaves_all_that_it_lists(ran, name):
    _, folder = ran(name)
    record = folders.read_record(folder)
    assert record["status"] == "finished"
    assert {path.name for path in folder.iterdir()} == set(record["files"])
    assert any(file.endswith((".png", ".txt", ".html")) for file in record["files"])
    assert record["finding"].endswith(".")
    assert list(folder.parent.glob(".*")) == []
    for claim in record["claims"]:
        assert claim["kind"] in ("identity", "prediction", "follow-up", "speed")
        assert claim["source"], f"{claim['says']}: where does the bound come from?"
        assert claim["unit"]


@every_experiment
def test_its_result_has_the_shapes_that_it_says(ran, name):
    run, _ = ran(name)
    assert list(misshapen(module_of(name).Result, run.result)) == []


def arrays_of(kind, tree):
    """(name, names of its axes, array) of every array of a tree whose annotation names axes."""
    for name, hint, leaf in leaves_of(kind, tree):
        if hasattr(hint, "dim_str"):
            yield name, hint.dim_str.split(), leaf


AXES = {  # of these experiments, as long as the settings say; else a setting of its name says it: num_epochs of epochs
    "avenues hebb repair": {"looks": lambda of: of.num_legs + 1},  # the start is one
    "average_of_nudges disputes running_mean": {"networks": lambda of: 2 * of.num_seeds},  # untrained, trained
    "batch_frontier critical_batch past_the_plateau": {
        "sizes": lambda of: len(of.batch_sizes) + 1,  # the full batch is one
        "grid": lambda of: len(of.learning_rates),
    },
    "complexity": {"rounds": lambda of: of.num_seeds, "halvings": lambda of: of.halvings + 1},
    "conflicts minibatch_quality": {"checkpoints": lambda of: len(of.checkpoints) + 1},
    "conv_net": {"looks": lambda of: 5 * of.num_epochs},
    "conv_suite new_cost play random_plane": {"alphas": lambda of: of.resolution, "betas": lambda of: of.resolution},
    "data_need": {"sizes": None},  # those that there are images for
    "drunk_man": {"steps": lambda of: of.microscope_steps, "turns": lambda of: of.microscope_steps - 1},
    "drunk_man how_drunk random_plane": {
        "ways": lambda of: len(of.full_batch_learning_rates) + len(of.batch_sizes),
        "points": None,  # about as many
    },
    "edge_of_stability": {
        "points": lambda of: of.num_looks + 1,
        "rates": lambda of: len(of.edge_learning_rates),  # the one array of this axis is of their descents
    },
    "exact_optimizers": {"steps": lambda of: of.dimensions},
    "full_batch_vs_sgd": {"methods": lambda of: len(of.batch_sizes) + 1, "rates": None},  # the grid of --tune
    "new_cost": {"examples": None},  # one, or some
    "noise_floor": {"looks": lambda of: 2 * of.num_looks, "late": lambda of: of.num_looks},  # in each half
    "one_noisy_step": {"places": lambda of: len(of.checkpoints) + 1},
    "other_optimizers": {"evaluations": lambda of: of.num_evaluations + 1},
    "play": {"train": lambda of: of.num_shown, "test": lambda of: of.num_shown_test},
    "steepest": {"pairs": lambda of: of.num_directions // 2},
    "stop_rule": {"looks": lambda of: of.num_legs + 1, "steps": lambda of: 10 * of.num_legs},
    "what_it_looks_for": {"looks": lambda of: len(of.checkpoints) + 1, "later": lambda of: len(of.checkpoints)},
    "wrong_labels": {"epochs": None},  # the first and the last
}


def lengths(name, settings):
    """axis -> how long the settings say that it is."""
    asked = {}
    for field in bounds.fields_of(type(settings)):
        value = getattr(settings, field.name)
        if value and (field.is_tuple or field.kind is int):  # an empty tuple is what the experiment makes of it
            noun = re.sub("^(num|batch|learning)_", "", field.name)
            asked[noun] = len(value) if field.is_tuple else value
    for names, axes in AXES.items():
        if name in names.split():
            asked |= {axis: length and length(settings) for axis, length in axes.items()}
    return {axis: length for axis, length in asked.items() if length}


@every_experiment
def test_an_axis_is_as_long_as_the_setting_of_its_name_says(ran, name):
    run, _ = ran(name)
    asked = lengths(name, run.settings)
    for where, axes, array in arrays_of(module_of(name).Result, run.result):
        found = {axis: length for axis, length in zip(axes, array.shape, strict=True) if axis in asked}
        assert found == {axis: asked[axis] for axis in found}, where


def pairs_of_seeds(kind, tree):
    """(array's name, which two, what one found, what the other found) of all seeds, and of networks that differ by
    their seeds."""
    for where, axes, array in arrays_of(kind, tree):
        for axis in {"seeds", "networks"} & set(axes):
            leading = np.moveaxis(array, axes.index(axis), 0)
            for one, other in combinations(range(len(leading)), 2):
                yield where, (axis, one, other), leading[one], leading[other]


def may_be_the_same(array):
    """Counts, shares of 200 test or 600 training images, and what is no number or infinite."""
    wide = np.asarray(array, float)
    return any(np.all(np.isclose(wide, np.round(wide * of) / of, rtol=1e-6, atol=0) | ~np.isfinite(wide))
               for of in (1, 200, 600))  # fmt: skip


@every_experiment
def test_no_two_seeds_find_the_same(ran, name):
    run, _ = ran(name)
    other_than = {}
    for where, pair, one, other in pairs_of_seeds(module_of(name).Result, run.result):
        same = one.tobytes() == other.tobytes()
        assert not same or may_be_the_same(one), f"{where} of {pair}"
        if one.dtype.kind == "f" and np.any((one, other)):
            other_than[pair] = other_than.get(pair, False) or not same
    assert all(other_than.values())


@pytest.mark.parametrize("name", [each for each in EACH if set(each.values) & SEES_BOTH])
def test_an_accuracy_is_a_share_of_the_images_that_it_is_of(ran, name):
    run, _ = ran(name)
    train, test = (run.record["dataset"][split]["count"] for split in ("train", "test"))
    for where, array in trees.flat(run.result).items():
        if where.endswith("train_accuracy"):
            assert is_share(array, train), where
            assert not is_share(array, test), where
        elif where.endswith("test_accuracy"):
            assert is_share(array, test), where


def is_share(numbers, count):
    """Whether each is a whole number over `count`."""
    return bool(np.all(np.abs(numbers * count - np.round(numbers * count)) < 1e-2))


ON_THE_WAY = {"conflicts", "minibatch_quality", "what_it_looks_for", "one_noisy_step"}  # of a training


@pytest.mark.parametrize("name", [each for each in EACH if set(each.values) & ON_THE_WAY])
def test_looks_on_the_way_are_at_the_start_and_at_every_checkpoint(ran, name):
    run, _ = ran(name)
    np.testing.assert_allclose(run.result.epochs, (0, *run.settings.checkpoints))


@every_experiment
def test_every_claim_is_about_a_row_of_the_film(ran, name):
    record = folders.read_record(ran(name)[1])
    assert {claim["id"] for claim in record["claims"]} <= FILM.keys()


@every_experiment
def test_what_is_read_back_is_what_was_measured_and_is_judged_alike(ran, name):
    """All that figures are made of is the same; test_house draws those of steepest again."""
    run, folder = ran(name)
    again, record, module = experiment.read(module_of(name), folder), folders.read_record(folder), module_of(name)
    assert again.settings == run.settings
    assert jax.tree.structure(again.result) == jax.tree.structure(run.result)
    for one, other in zip(jax.tree.leaves(again.result), jax.tree.leaves(run.result), strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other, strict=isinstance(one, np.ndarray))
    assert [claim.as_record() for claim in module.claims(again.result, again.settings)] == record["claims"]
    assert module.finding(again.result, again.settings) == record["finding"]


@every_experiment
def test_it_refuses_more_than_there_is(name):
    settings = smallest(name)
    for field in bounds.fields_of(type(settings)):
        for bound in (bound for bound in field.bounds if isinstance(bound, UpTo)):
            value = 601 - bound.strictly
            whole = (value,) if field.is_tuple else value
            with pytest.raises(SettingsError, match=f"{field.flag} is {value}; x has 600 {bound.split} images"):
                bounds.check_with_data(
                    dataclasses.replace(settings, **{field.name: whole}), "x", {"train": 600, "test": 600}
                )


@every_experiment
def test_a_count_of_test_images_is_bounded_by_them_and_any_other_by_the_training_images(name):
    for field in bounds.fields_of(module_of(name).Settings):
        for bound in (bound for bound in field.bounds if isinstance(bound, UpTo)):
            assert bound.split == ("test" if "test" in field.name else "train"), field.name


@every_experiment
def test_what_the_data_bound_in_a_base_they_bound_in_its_experiment(name):
    kind = module_of(name).Settings
    own = {field.name: field.bounds for field in bounds.fields_of(kind)}
    for base in filter(dataclasses.is_dataclass, kind.__mro__[1:]):
        for field in bounds.fields_of(base):
            assert {bound for bound in field.bounds if isinstance(bound, UpTo)} <= {*own[field.name]}, field.name


@every_experiment
def test_an_experiment_keeps_the_bounds_of_the_settings_that_all_have(name):
    of_all = {field.name: field.bounds for field in bounds.fields_of(experiment.Settings)}
    del of_all["num_examples"]  # some experiments need more than one
    own = {field.name: field.bounds for field in bounds.fields_of(module_of(name).Settings) if field.name in of_all}
    assert own == of_all


@every_experiment
def test_its_sizes_are_within_its_bounds_and_the_quick_one_is_no_larger(name):
    module = module_of(name)
    for settings in (module.QUICK, module.Settings(), module.FULL):
        bounds.check(settings)
    assert module.QUICK.num_seeds <= module.FULL.num_seeds


@every_experiment
def test_every_setting_is_explained(name, capsys):
    with pytest.raises(SystemExit) as left:
        cli.parse(module_of(name), name, ["--help"])
    assert left.value.code == 0
    assert cli.docs_of(module_of(name).Settings).keys() >= {
        field.name for field in dataclasses.fields(module_of(name).Settings)
    }


@every_experiment
def test_it_opens_with_its_question_and_says_how_it_is_run(name):
    header = inspect.cleandoc(module_of(name).__doc__ or "").splitlines()
    assert chapters.header(Path(module_of(name).__file__)).splitlines() == header
    assert header[0].endswith("?")
    for label in ("Run:     python -m experiments " + name + " ", "Time:    ", "Result:  "):
        assert any(line.startswith(label) for line in header), label


@every_experiment
def test_it_is_a_module_of_the_eight_names_that_runs_nothing_itself(name):
    tree = ast.parse((ROOT / (QUESTIONS[name].module.replace(".", "/") + ".py")).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert {"measure", "claims", "finding", "figures"} <= defined  # Settings and Result may be those of the house
    assert not {"main", "run", "plot"} & defined
    assert all(hasattr(module_of(name), part) for part in EIGHT)
    assert not any(isinstance(node, ast.If) for node in tree.body)


@every_experiment
def test_what_is_committed_is_what_todays_code_says(name):
    folder = ROOT / "results" / name
    module = module_of(name)
    run = experiment.read(module, folder)
    claims = list(module.claims(run.result, run.settings))
    record = folders.read_record(folder)
    assert len(record["commit"]) == 40, "it comes from changed code"
    asked = cli.parse(module, name, shlex.split(record["command"])[4:])
    assert dataclasses.replace(asked, cpu_devices=run.settings.cpu_devices) == run.settings
    assert module.finding(run.result, run.settings) == record["finding"]
    for claim, committed in zip(claims, record["claims"], strict=True):
        found = json.loads(json.dumps(claim.as_record()))
        for side in ("measured", "bound"):  # other versions of numpy round otherwise in the last digit
            assert found.pop(side) == pytest.approx(committed.pop(side), rel=1e-9, abs=1e-12)
        assert found == committed
    for claim in claims:
        assert claim.holds or claim.why, f"{claim.says}: why does it fail?"


CHANGES = {"dataset": "kmnist", "cost": "absolute", "activation": "relu", "layer_sizes": (784, 30, 10)}
OF_OTHERS_TOO = {  # what may be another than the film's, and its predictions are made as before: some of them, at least
    "nudges steepest avenues full_batch_vs_sgd one_epoch minibatch_quality one_noisy_step falling_rate scaling "
    "same_numbers":
        {"dataset", "cost", "activation", "layer_sizes"},  # theory of any network
    "data_need wrong_labels nielsens_recipe edge_of_stability": {"cost", "activation", "layer_sizes"},  # on MNIST
    "repair": {"dataset", "activation", "layer_sizes"},  # whether neurons are sigmoids, the result says
    "pen_and_paper": {"dataset", "activation", "layer_sizes"},  # a network of its own, with the cost that is given
    "what_it_looks_for": {"dataset", "cost"},
    "hebb stop_rule": {"dataset"},
    "new_cost": {"cost"},  # it is about them
    "hidden_neurons": {"layer_sizes"},  # likewise
}  # fmt: skip


@every_experiment
def test_predictions_are_made_only_of_what_they_were_made_for(name):
    module = module_of(name)
    run = experiment.read(module, ROOT / "results" / name)
    found, allowed = set(), [changes for names, changes in OF_OTHERS_TOO.items() if name in names.split()]
    for field, other in CHANGES.items():
        claims = module.claims(run.result, dataclasses.replace(run.settings, **{field: other}))
        found |= {field for claim in claims if claim.kind in ("prediction", "follow-up")}
    assert [found] * bool(found) == allowed


def test_what_an_experiment_compiles_serves_all_its_tests(request, worker_id):
    assert worker_id == "master" or request.node.nodeid.endswith("@test_experiments"), "groups are split over workers"
