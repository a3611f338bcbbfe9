"""The command line: words become checked settings, import paths functions, and errors one sentence and an exit code."""

import dataclasses
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from experiments import __main__
from experiments.common import bounds, cli, experiment, folders, gather
from experiments.common.bounds import SettingsError
from experiments.common.runs import Diverged
from experiments.mini_batches import full_batch_vs_sgd
from experiments.mini_batches.full_batch_vs_sgd import FULL, QUICK, Settings

ROOT = Path(__file__).parents[1]


def parse(*words):
    return cli.parse(full_batch_vs_sgd, "full_batch_vs_sgd", list(words))


def test_quick_and_full_choose_the_values_that_other_words_change():
    assert parse() == Settings()
    assert parse("--full") == FULL
    assert parse("--quick", "--num-seeds", "7") == dataclasses.replace(QUICK, num_seeds=7)
    assert parse("--quick", "--batch-sizes", "5", "50", "--tune").batch_sizes == (5, 50)
    with pytest.raises(SettingsError, match="choose one"):
        parse("--quick", "--full")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--num-seeds abc", "--num-seeds is abc; it must be a whole number"),
        ("--num-seeds 1.5", "--num-seeds is 1.5; it must be a whole number"),
        ("--out=", "--out is ''; it must be a path"),
        ("--num-seeds", "--num-seeds: expected one argument"),
        ("--learning-rates", "--learning-rates: expected at least one argument"),
        ("--learning-rates=--", "; it must be a number"),  # until Python 3.13 argparse made '' of it
        ("--num-seeds=--", "; it must be a whole number"),
        ("--nonsense 3", "--nonsense 3 is no setting of full_batch_vs_sgd"),
        ("--num-seed 3", "--num-seed 3 is no setting of full_batch_vs_sgd"),
        ("--seed -1", "--seed is -1; it must be 0 or more, below 4,294,967,296"),
        ("--batch-sizes 10 10 100", "--batch-sizes 10 10 100: give values, 1 or more of them, all different"),
        ("--num-seeds 0", "--num-seeds is 0; it must be 1 or more"),
        ("--num-seeds 100000000", "--num-seeds is 100000000; it must be 1 or more, at most 10,000"),
        ("--cpu-devices 0", "--cpu-devices is 0"),
        ("--cpu-devices 99999", "--cpu-devices is 99999; it must be 1 or more, at most "),
        ("--layer-sizes 784 0 10", "--layer-sizes 784 0 10: each must be 1 or more"),
        (
            "--learning-rates 0.5 0 4",
            "--learning-rates 0.5 0 4: each must be a finite number that float32 holds, above 0",
        ),
        ("--learning-rates 1e-320 1 1", "--learning-rates 1e-320 1 1: each must be a finite number that float32 holds"),
        ("--learning-rates nan 1 1", "--learning-rates nan 1 1: each must be a finite number"),
        ("--full-batch-learning-rate inf", "--full-batch-learning-rate is inf"),
        ("--learning-rates 0.5", "--learning-rates has 1 values for 3 --batch-sizes"),
        ("--num-steps 30", "--num-steps is 30; it must be 20 or more, a multiple of 20"),
    ],
)
def test_what_cannot_work_is_named_in_one_sentence(words, sentence):
    with pytest.raises(SettingsError) as error:
        parse(*words.split())
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_help_says_what_every_setting_means_what_is_allowed_and_what_it_is_by_default(capsys):
    with pytest.raises(SystemExit):
        parse("--quick", "--help")
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Settings):
        assert f"--{field.name.replace('_', '-')}" in text
    assert "Full-batch steps. (20 or more, a multiple of 20) [40]" in text
    assert "(each 1 or more, below the number of train images; 1 or more of them, all different) [10 100]" in text


@dataclasses.dataclass(frozen=True)
class Other(experiment.Settings):
    num_seeds: int = 2
    """Its own words."""


def test_a_setting_that_is_declared_anew_is_said_in_its_own_words():
    docs = cli.docs_of(Other)
    assert docs["num_seeds"] == "Its own words."
    assert docs["seed"] == cli.docs_of(experiment.Settings)["seed"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("no_such_module:cost", "there is no module no_such_module"),
        ("research.costs:no_such_cost", "research.costs has no no_such_cost"),
        ("my_costs", "or, if my_costs is a module of your own, my_costs:FUNCTION"),
        ("long_story:cost", "importing it failed: ValueError: once upon a time; mend it first"),
        ("research.data:MNIST_FOLDER", "that is not a function"),
        ("broken_costs:cost", "importing it failed: ZeroDivisionError"),
        ("research.costs:", "--cost is research.costs:, which names no function; give package.module:function"),
        ("../my_costs:cost", "--cost is ../my_costs, which names no module"),
        (":", "--cost is :, which names no function"),
    ],
)
def test_a_function_that_cannot_be_imported_is_named(path, sentence, tmp_path, monkeypatch):
    (tmp_path / "broken_costs.py").write_text("1 / 0\n")
    (tmp_path / "long_story.py").write_text("raise ValueError('once upon a time\\n' * 9)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError) as error:
        cli.import_function("--cost", path, "research.costs")
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("changes", "films"),
    [
        ({"layer_sizes": (784, 16, 16, 10)}, True),
        ({"activation": "sigmoid", "output_activation": "jax.nn:sigmoid"}, True),
        ({"cost": "sum_of_squares"}, True),
        ({"layer_sizes": (784, 16, 10)}, False),
        ({"layer_sizes": (784, 10)}, False),
        ({"activation": "tanh"}, False),
        ({"init_weights": "unit_normal"}, False),
        ({"cost": "optax:l2_loss"}, False),
        ({"dataset": "fashion_mnist"}, False),
        ({"model": "my_models:conv"}, False),
    ],
)
def test_what_is_the_films_does_not_hang_on_its_spelling(changes, films):
    assert dataclasses.replace(Settings(), **changes).is_the_films is films


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingsError("--x is 1"), 2, "error: --x is 1"),
        (MemoryError("1 TiB"), 2, "error: these settings ask for more than this machine can hold"),
        (OverflowError("too large"), 2, "error: these settings ask for more than this machine can hold"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 1 TiB"), 2, "error: these settings ask for more"),
        (Diverged("full batch", 3), 1, "diverged: full batch: the cost was no longer a finite number at step 3"),
        (OSError(36, "File name too long", "aaa"), 2, "error: File name too long: aaa; name another"),
        (KeyboardInterrupt(), 130, "stopped by KeyboardInterrupt; earlier results stand"),
    ],
)
def test_every_end_has_its_exit_code_and_one_sentence(error, code, said, capsys):
    with pytest.raises(SystemExit) as left, cli.exit_codes():
        raise error
    assert left.value.code == code
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGHUP", "SIGHUP SIGTERM"])  # the last under nohup
def test_a_signal_ends_the_program_and_what_it_started_and_what_nohup_ignores_stays_ignored(sent):
    code = textwrap.dedent("""
        import signal, subprocess, sys
        from experiments.common import stopping
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # as in the foreground
            signal.signal(number, signal.SIG_DFL)
        if " " in sys.argv[1]:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stopping.listen()
        child = "from experiments.common import stopping; stopping.listen(); print('begun', flush=True); "
        sys.exit(stopping.run([sys.executable, "-c", child + "import time; time.sleep(600)"]))
    """)  # the one that was started says nothing
    process = subprocess.Popen([sys.executable, "-c", code, sent], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    numbers = [signal.Signals[name] for name in sent.split()]
    for number in numbers:
        process.send_signal(number)
    _, said = process.communicate(timeout=300)  # ends when the child has closed the pipe too
    assert process.returncode == 128 + numbers[-1]
    assert said.strip() == f"stopped by {numbers[-1].name}; earlier results stand, what was not finished is gone"


class Wordless(BaseException):
    def __str__(self):
        raise ValueError


def test_a_users_function_or_module_that_leaves_the_program_is_named(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="the cost failed: SystemExit: 7"), bounds.blaming("the cost failed"):
        sys.exit(7)
    with pytest.raises(SettingsError, match=r"the cost failed: Wordless$"), bounds.blaming("the cost failed"):
        raise Wordless
    with pytest.raises(KeyboardInterrupt), bounds.blaming("the cost failed"):
        raise KeyboardInterrupt
    (tmp_path / "leaving.py").write_text("import sys; sys.exit('no')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="importing it failed: SystemExit: no"):
        cli.import_module("--cost", "leaving")


def test_a_fault_of_the_program_is_not_taken_for_a_large_setting():
    with pytest.raises(jax.errors.JaxRuntimeError, match="broken"), cli.exit_codes():
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")


@pytest.mark.parametrize("folder", ["/proc/nope", "/dev/null", "/dev/null/below", "a" * 300])
def test_a_folder_in_which_no_file_can_be_made_is_refused_to_root_too(folder):
    with pytest.raises(SettingsError, match=r"--out is .*, which is not a folder that can be written to"):
        folders.check_writable(Path(folder))


def run(*words, folder=ROOT):
    command = [sys.executable, "-m", "experiments", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_wrong_setting_exits_with_2_and_one_sentence_and_writes_nothing(tmp_path):
    done = run("full_batch_vs_sgd", "--num-seeds", "0", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr.strip() == "error: --num-seeds is 0; it must be 1 or more, at most 10,000"
    assert not (tmp_path / "out").exists()


def test_settings_that_are_no_dataclass_are_refused(monkeypatch, capsys):
    """Without the word above the class, what it declares would be no setting, and nobody would be told."""
    undecorated = SimpleNamespace(**dict.fromkeys(__main__.EIGHT))
    undecorated.Settings = type("Settings", (experiment.Settings,), {})
    monkeypatch.setattr(cli, "import_module", lambda what, path: undecorated)
    with pytest.raises(SystemExit) as left:
        __main__.main(["my.own"])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: my.own.Settings is no dataclass; write @dataclasses.dataclass")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "steepestt",
            "there is no experiment 'steepestt' (did you mean steepest?); `python -m experiments` lists those",
        ),
        ("no.such", "the experiment is no.such, but there is no module no"),
        ("../x", "the experiment is ../x, which names no module; write it with dots"),
        (
            "research.costs",
            "research.costs has no Settings, QUICK, FULL, Result, measure, claims, finding, figures; an",
        ),
    ],
)
def test_what_is_no_experiment_is_refused(name, sentence, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as left:
        __main__.main([name])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--stale", "--quick"], "--quick goes with --all"),
        (["--verify", "steepest", "--out", "x", "--quick"], "--quick goes with --all"),
        (["--all", "steepest"], "--all runs every experiment, and steepest is no setting"),
        (["--stale", "--out"], "argument --out: expected one argument"),
        (["--all", "--stale"], "argument --stale: not allowed with argument --all"),
        (["--list"], "--list comes after one of --all, --stale"),
        (["steepest", "--resume", "--dry-run"], "--dry-run and --resume were both given"),
    ],
)
def test_words_that_do_not_go_together_are_refused(words, sentence, capsys):
    with pytest.raises(SystemExit) as left:
        __main__.main(words)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (["--all", "--full"], [["run_all", Path("here"), ["--full"]]]),
        (["--stale"], [["print_stale", Path("here")]]),
        (["--rejudge"], [["rejudge_all", Path("here")]]),
        (["--page"], [["there_are", Path("here")], ["write_ledger", Path("here")]]),
        (["--check"], [["check", Path("here"), []]]),
        (["--verify"], [["verify", [], Path("here")]]),
        (["--verify", "hebb"], [["verify", ["hebb"], Path("here")]]),
    ],
)
def test_each_word_for_all_results_calls_what_it_says_and_nothing_else(words, calls, monkeypatch):
    called = []
    for name in ("run_all", "print_stale", "rejudge_all", "there_are", "write_ledger", "check", "verify"):
        monkeypatch.setattr(gather, name, lambda *given, name=name: called.append([name, *given]))
    __main__.together([*words, "--out", "here"])
    assert called == calls


def test_the_list_is_in_the_films_order_and_imports_no_jax():
    done = run()
    names = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert names.index("nudges") < names.index("average_of_nudges") < names.index("full_batch_vs_sgd")
    code = "import sys; from experiments.common import chapters; chapters.listing(); assert 'jax' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_setting_of_another_type_is_read_back_as_it_was():
    settings = Settings(out=Path("x"), batch_sizes=(3,), learning_rates=(1.0,), num_examples=None)
    saved = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    saved |= {"out": "x", "batch_sizes": [3], "learning_rates": [1]}
    assert experiment.settings_from(Settings, saved) == settings
    assert {field.name for field in bounds.fields_of(Settings)} == saved.keys()
