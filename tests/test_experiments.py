"""The laws of all experiments, one by one: each runs at its smallest, is judged again from its files, refuses what its
bounds forbid, and what is committed is what today's code says. What is left of an experiment's own tests is its own
mathematics, in tests/test_NAME.py, where `SMALLEST` is how small it can be."""

import ast
import dataclasses
import importlib
import json
import shlex
from pathlib import Path

import pytest
from conftest import misshapen, smallest

from experiments.common import bounds, chapters, cli, experiment, folders
from experiments.common.bounds import SettingsError, UpTo
from experiments.common.film import FILM

ROOT = Path(__file__).parents[1]
QUESTIONS = chapters.all_questions()
EACH = [pytest.param(name, marks=pytest.mark.xdist_group(f"test_{name}")) for name in QUESTIONS]
EIGHT = ("Settings", "QUICK", "FULL", "Result", "measure", "claims", "finding", "figures")
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


@every_experiment
def test_every_claim_is_about_a_row_of_the_film(ran, name):
    record = folders.read_record(ran(name)[1])
    assert {claim["id"] for claim in record["claims"]} <= FILM.keys()


@every_experiment
def test_it_is_judged_and_drawn_again_from_its_files(ran, name):
    _, folder = ran(name)
    before, times = folders.read_record(folder), folder.stat().st_ino
    experiment.rejudge(module_of(name), folder)
    assert folders.read_record(folder) == before
    assert folder.stat().st_ino != times


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
    header = (module_of(name).__doc__ or "").splitlines()
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


def test_what_an_experiment_compiles_serves_all_its_tests(request, worker_id):
    assert worker_id == "master" or request.node.nodeid.endswith("@test_experiments"), "groups are split over workers"
