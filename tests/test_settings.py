"""Wrong settings get one clear sentence, exit code 2, and nothing written."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from experiments import full_batch_vs_sgd
from experiments.common import settings as common
from experiments.full_batch_vs_sgd import FULL, QUICK, Settings
from research import costs, models
from research.data import Examples

MODEL = models.mlp((12, 5, 4))


def parse(*words):
    return common.parse(Settings(), QUICK, FULL, "about", list(words))


def examples_of(num_examples=20):
    inputs = jnp.arange(num_examples * 12, dtype=jnp.uint8).reshape(num_examples, 12)
    return Examples(inputs, jnp.eye(4)[jnp.arange(num_examples) % 4])


def test_quick_and_full_choose_the_values_that_other_words_change():
    assert parse() == Settings()
    assert parse("--full") == FULL
    assert parse("--quick", "--num-seeds", "7") == dataclasses.replace(QUICK, num_seeds=7)
    with pytest.raises(common.SettingsError, match="choose one"):
        parse("--quick", "--full")


def test_every_setting_says_what_it_means(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Settings):
        assert f"--{field.name.replace('_', '-')}" in text
    assert "--quick" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": -1}, "--seed is -1; it must be 0 or more"),
        ({"seed": 2**32}, "--seed is 4294967296; it must be 0 or more and below 2^32"),
        ({"batch_sizes": (), "learning_rates": ()}, "--batch-sizes, with no value: give one or more, all different"),
        ({"batch_sizes": (10, 10, 100)}, "--batch-sizes 10 10 100: give one or more, all different"),
        ({"num_seeds": 0}, "--num-seeds is 0; it must be 1 or more"),
        ({"cpu_devices": 0}, "--cpu-devices is 0"),
        ({"layer_sizes": (784,)}, "--layer-sizes 784: it needs two or more numbers"),
        ({"layer_sizes": (784, 0, 10)}, "--layer-sizes 784 0 10: it needs"),
        ({"learning_rates": (0.5, -4.0, 4.0)}, "--learning-rates is -4.0; it must be a finite number above 0"),
        ({"learning_rates": (0.5, float("nan"), 4.0)}, "--learning-rates is nan"),
        ({"full_batch_learning_rate": float("inf")}, "--full-batch-learning-rate is inf"),
        ({"learning_rates": (0.5,)}, "--learning-rates has 1 values for 3 --batch-sizes"),
        ({"num_steps": 30}, "--num-steps is 30; it must be a multiple of 20"),
        ({"num_epochs": 0}, "--num-epochs is 0"),
        ({"nielsen_epochs": -1}, "--nielsen-epochs is -1"),
    ],
)
def test_a_setting_out_of_range_is_named(changes, sentence):
    with pytest.raises(common.SettingsError) as error:
        dataclasses.replace(Settings(), **changes).check()
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_an_output_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(common.SettingsError, match="not a folder that can be written to"):
        dataclasses.replace(Settings(), out=tmp_path / "file" / "results").check()


@pytest.mark.parametrize("size", [0, -5, 600, 601])
def test_a_batch_size_that_does_not_fit_the_data_is_refused_before_any_work(size, small_mnist, tmp_path):
    wrong = Settings(dataset=str(small_mnist), batch_sizes=(size,), learning_rates=(1.0,), out=tmp_path / "out")
    with pytest.raises(common.SettingsError, match=f"--batch-sizes has {size}"):
        full_batch_vs_sgd.run(wrong)
    assert not (tmp_path / "out").exists()


def test_layer_sizes_come_from_the_data_and_must_fit_them():
    assert Settings().sizes_for(examples_of()) == (12, 16, 16, 4)
    assert Settings(layer_sizes=(12, 3, 4)).sizes_for(examples_of()) == (12, 3, 4)
    with pytest.raises(
        common.SettingsError, match=r"^--layer-sizes 784 10: .* begin with 12 pixels and end with 4 classes"
    ):
        Settings(layer_sizes=(784, 10)).sizes_for(examples_of())


def a_vector(output, target):
    return output - target


def an_integer(output, target):
    return jnp.argmax(output)


def not_a_number(output, target):
    return jnp.log(-jnp.sum(output))


def of_a_batch(output, target):
    return jnp.mean(jnp.sum((output - target) ** 2, axis=1))


def a_pair(output, target):
    return jnp.sum(output), jnp.sum(target)


def of_a_concrete_number(output, target):
    return jnp.sum(output) * float(jnp.sum(target))  # jax explains over several lines why it cannot


def of_a_loop(output, target):
    return jax.lax.while_loop(lambda cost: cost > 1, lambda cost: cost / 2, jnp.sum(output))


@pytest.mark.parametrize(
    ("cost_fn", "sentence"),
    [
        (a_vector, "the cost a_vector returned shape (4,)"),
        (an_integer, "the cost an_integer returned int32"),
        (not_a_number, "the cost not_a_number or its gradient is not a finite number"),
        (of_a_batch, "the cost of_a_batch failed on one example (shapes (4,) and (4,))"),
        (a_pair, "the cost a_pair returned a tuple"),
        (of_a_concrete_number, "failed on one example (shapes (4,) and (4,)): ConcretizationTypeError: "),
        (of_a_loop, "the gradient of the cost of_a_loop cannot be taken"),
        (lambda output: output.sum(), "failed on one example"),
    ],
)
def test_a_cost_that_is_none_is_refused(cost_fn, sentence):
    with pytest.raises(common.SettingsError) as error:
        common.check_cost(cost_fn, MODEL, examples_of())
    assert sentence in str(error.value)
    assert "pure function of ONE output and ONE target" in str(error.value)
    assert "\n" not in str(error.value).replace("\\n", "\n")


def test_a_cost_that_depends_on_nothing_is_refused():
    with pytest.raises(common.SettingsError, match="is 0 for every parameter of a random network, so there is no way"):
        common.check_cost(lambda output, target: jnp.sum(target), MODEL, examples_of())


@pytest.mark.parametrize("path", ["glu", "jax.numpy:sum", "math:sin", "one_hot"])
@pytest.mark.parametrize("field", ["activation", "output_activation"])
def test_an_activation_that_keeps_no_shape_is_refused(field, path):
    settings = dataclasses.replace(Settings(), **{field: path})
    with pytest.raises(common.SettingsError, match="keep"):
        common.check_cost(costs.sum_of_squares, common.make_model(settings, examples_of()), examples_of())


def test_weights_are_drawn_by_the_function_that_is_named():
    settings = Settings(layer_sizes=(12, 4), init_weights="unit_normal")
    found = common.make_model(settings, examples_of()).init(jax.random.key(3))
    expected = models.mlp((12, 4), init_weights=models.unit_normal).init(jax.random.key(3))
    assert (found[0].weights == expected[0].weights).all()
    assert not common.is_the_films(Settings(init_weights="research.models:unit_normal"))


@pytest.mark.parametrize("path", ["jax.nn:relu", "jax.nn.initializers:he_normal"])  # the latter makes such a function
def test_what_draws_no_weights_is_refused(path):
    with pytest.raises(common.SettingsError, match=r"--init-weights is .* which draws no weights"):
        common.make_model(Settings(layer_sizes=(12, 4), init_weights=path), examples_of())


def test_a_cost_that_is_one_is_accepted():
    common.check_cost(costs.sum_of_squares, MODEL, examples_of())
    common.check_cost(lambda output, target: jnp.max(jnp.abs(output - target)), MODEL, examples_of())


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("no_such_module:cost", "there is no module no_such_module"),
        ("research.costs:no_such_cost", "research.costs has no no_such_cost"),
        ("no_such_cost", "research.costs has no no_such_cost"),
        ("my_costs", "or, if my_costs is a module of your own, my_costs:FUNCTION"),
        ("long_story:cost", "importing long_story failed: ValueError: once upon a time; mend it first"),
        ("research.data:MNIST_FOLDER", "that is not a function"),
        ("broken_costs:cost", "importing broken_costs failed: ZeroDivisionError"),
        ("research.costs:", "--cost is research.costs:, which names no function; give package.module:function"),
        ("../my_costs:cost", "--cost is ../my_costs:cost, which names no function"),
        (":", "--cost is :, which names no function"),
    ],
)
def test_a_cost_that_cannot_be_imported_is_named(path, sentence, tmp_path, monkeypatch):
    (tmp_path / "broken_costs.py").write_text("1 / 0\n")
    (tmp_path / "long_story.py").write_text("raise ValueError('once upon a time\\n' * 9)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(common.SettingsError) as error:
        common.import_function("--cost", path, "research.costs")
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("changes", "films"),
    [
        ({"layer_sizes": (784, 16, 16, 10)}, True),
        ({"activation": "sigmoid", "output_activation": "jax.nn:sigmoid"}, True),
        ({"cost": "sum_of_squares"}, True),
        ({"layer_sizes": (784, 16, 10)}, False),
        ({"activation": "tanh"}, False),
        ({"output_activation": "relu"}, False),
        ({"cost": "optax:l2_loss"}, False),
        ({"dataset": "fashion_mnist"}, False),
    ],
)
def test_what_is_the_films_does_not_hang_on_its_spelling(changes, films):
    assert common.is_the_films(dataclasses.replace(Settings(), **changes)) is films


@pytest.mark.parametrize("error", [MemoryError("1 TiB"), OverflowError("too large"),
                                   jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 1 TiB")])  # fmt: skip
def test_settings_too_large_for_the_machine_get_one_sentence(error, tmp_path, capsys):
    def run(settings):
        raise error

    with pytest.raises(SystemExit) as exit_code:
        common.command(run, print, Settings(), QUICK, FULL, "about", ["--out", str(tmp_path), "--cpu-devices", "2"])
    assert exit_code.value.code == 2
    assert "error: these settings ask for more than this machine can hold" in capsys.readouterr().err


def test_a_fault_of_the_program_is_not_taken_for_a_large_setting(tmp_path):
    def run(settings):
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")

    with pytest.raises(jax.errors.JaxRuntimeError, match="broken"):
        common.command(run, print, Settings(), QUICK, FULL, "about", ["--out", str(tmp_path), "--cpu-devices", "2"])


@pytest.mark.parametrize("folder", ["/proc/nope", "/dev/null", "/dev/null/below"])
def test_a_folder_in_which_no_file_can_be_made_is_refused_to_root_too(folder):
    with pytest.raises(common.SettingsError, match=f"--out is {folder}, but /.* is not a folder that can be written"):
        common.check_writable(Path(folder))


def test_a_wrong_setting_on_the_command_line_exits_with_2_and_one_sentence_and_writes_nothing(tmp_path):
    command = [
        sys.executable,
        "-m",
        "experiments.full_batch_vs_sgd",
        "--num-seeds",
        "0",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: --num-seeds is 0; it must be 1 or more"
    assert not (tmp_path / "out").exists()
