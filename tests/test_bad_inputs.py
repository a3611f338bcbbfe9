"""Bad inputs, 300 and more, from every experiment's declared bounds and by hand: each is refused in one sentence."""

import contextlib
import dataclasses
import functools
import importlib
import io
import re
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from experiments.common import bad_inputs, bounds, chapters, cli, experiment
from experiments.common.bounds import Field, SettingsError

QUESTIONS = chapters.all_questions()


def module_of(name: str) -> ModuleType:
    return importlib.import_module(QUESTIONS[name].module)


@functools.cache
def declared() -> list[tuple[str, list[str]]]:
    return list(bad_inputs.declared())


def refused(name: str, words: list[str]) -> str:
    """What is said of these words: one sentence of at most 500 letters, with exit code 2."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as left:
        experiment.main(module_of(name), [*words, "--dry-run"])
    assert left.value.code == 2
    sentence = said.getvalue().removesuffix("\n")
    assert sentence.startswith("error: "), sentence
    assert len(sentence) <= cli.LONGEST + 5, sentence
    assert "\n" not in sentence
    return sentence


def test_there_are_300_and_each_is_another():
    inputs = bad_inputs.all_of_them()
    assert len({(name, *words) for name, words in inputs}) == len(inputs) >= 300


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_a_declaration_forbids_is_refused_by_its_flag(name):
    for words in (words for of, words in declared() if of == name):
        flag = words[0].partition("=")[0]
        assert refused(name, words).removeprefix("error: ").startswith(flag)


# (experiment, words, why they make no sense): a bound that goes from the declarations is seen to be gone.
NONSENSE = [
    ("steepest", "--num-directions 750", "500 random directions are held at once"),
    ("steepest", "--num-directions 0", "there is no best of none"),
    ("second_guess", "--softness 0.5", "the second digit would have as large a share as the right one"),
    ("second_guess", "--softness 0", "nothing would be softer"),
    ("every_order", "--num-batches 6", "720 orders would each be walked"),
    ("every_order", "--num-batches 1", "there is one order of one batch"),
    ("only_a_two", "--num-decades 7", "ten million steps"),
    ("how_many_annotators", "--bearable 1", "a share of wrong labels is below 1"),
    ("wrong_labels", "--shares 0.1", "two shares make a slope"),
    ("wrong_labels", "--shares 0 1", "no label would be right"),
    ("wrong_labels", "--shares 0.2 0.1", "the curve goes from left to right"),
    ("data_need", "--num-steps 15", "the looks are at equal distances"),
    ("data_need", "--films-steps 15", "the looks are at equal distances"),
    ("data_need", "--sizes 100", "one size shows no need"),
    ("data_need", "--sizes 5 100", "a batch has ten images"),
    ("data_need", "--sizes 1000 100", "the curve goes from left to right"),
    ("more_and_more", "--num-steps 15", "the looks are at equal distances"),
    ("new_cost", "--num-steps 30", "the cost is looked at at equal distances"),
    ("new_cost", "--resolution 1", "one point is no surface"),
    ("full_batch_vs_sgd", "--num-steps 30", "legs have twenty steps"),
    ("full_batch_vs_sgd", "--batch-sizes 10 10", "one method would be there twice"),
    ("edge_of_stability", "--num-steps 2001", "looks are at equal distances"),
    ("edge_of_stability", "--num-edge-steps 8001", "looks are at equal distances"),
    ("edge_of_stability", "--learning-rates 0.1 0.2", "two are compared before the edge, others reach it"),
    ("edge_of_stability", "--learning-rates 0.4 0.2 0.1", "the slowest comes first"),
    ("edge_of_stability", "--batch-sizes 10 50", "the smallest comes last"),
    ("edge_of_stability", "--num-looks 4", "a last third needs more"),
    ("drunk_man", "--resolution 1", "one point is no map"),
    ("drunk_man", "--microscope-steps 3", "three steps wind too little"),
    ("drunk_man", "--gif-frames 1001", "nobody looks so long"),
    ("drunk_man", "--num-points 9", "a path is a curve"),
    ("drunk_man", "--batch-sizes 10 10 100", "one man would walk twice"),
    ("how_drunk", "--full-batch-learning-rates 4 4", "one man would walk twice"),
    ("random_plane", "--resolution 1", "one point is no map"),
    ("minimum_or_saddle", "--lanczos-iterations 1", "both ends of the spectrum are asked for"),
    ("minimum_or_saddle", "--num-examples 1", "one image has no scatter"),
    ("minimum_or_saddle", "--start-batch-size 1000", "all of them are no mini-batch"),
    ("noise_floor", "--lanczos-iterations 1001", "a vector of 13,002 numbers is kept for each"),
    ("noise_floor", "--learning-rates 1", "two rates make a slope"),
    ("noise_floor", "--num-looks 1", "one look is no average over time"),
    ("falling_rate", "--num-epochs 1", "a rate falls from one epoch to another"),
    ("shuffle_or_not", "--num-epochs 1", "the second half of the passes is compared"),
    ("sampling_theory", "--num-epochs 1", "one epoch has no variance"),
    ("sampling_theory", "--num-images 7", "every permutation of eight is gone through"),
    ("one_noisy_step", "--num-batches 1", "one batch has no scatter"),
    ("one_noisy_step", "--checkpoints 1 0.5", "time goes forward"),
    ("one_noisy_step", "--num-looked-at 511", "a batch of 256 would be more than half of them"),
    ("minibatch_quality", "--checkpoints 1 1", "time goes forward"),
    ("minibatch_quality", "--checkpoints 0 1", "the start is looked at anyway"),
    ("conflicts", "--num-images 1", "one image agrees with itself"),
    ("conflicts", "--checkpoints 5 1", "time goes forward"),
    ("batch_frontier", "--batch-sizes 4 8", "two sizes fit every hyperbola"),
    ("batch_frontier", "--batch-sizes 8 4 2", "sizes rise along the curve"),
    ("batch_frontier", "--learning-rates 1 2", "the best of two lies at an edge"),
    ("batch_frontier", "--max-steps 255", "batches of one are looked at after 256 images"),
    ("critical_batch", "--targets 0.5", "how the critical batch grows needs two"),
    ("critical_batch", "--targets 0.3 0.5", "the cost comes down"),
    ("critical_batch", "--batch-sizes 2 8", "two sizes fit every hyperbola"),
    ("critical_batch", "--learning-rates 4 2 1", "rates rise along the grid"),
    ("critical_batch", "--max-steps 255", "batches of one are looked at after 256 images"),
    ("past_the_plateau", "--past 0.1", "the race would begin below its target"),
    ("larger_batches", "--batch-sizes 10", "nothing would be larger"),
    ("larger_batches", "--batch-sizes 40 10", "sizes rise along the curve"),
    ("larger_batches", "--learning-rates 1", "nothing would be chosen"),
    ("linear_scaling", "--num-batches 1", "k = 1 is no larger batch"),
    ("linear_scaling", "--num-batches 2 2", "one batch size would be there twice"),
    ("hebb", "--learning-rates 2 1", "rates rise along the grid"),
    ("nudges", "--epochs -1", "time goes forward"),
    ("nudges", "--index -1", "images are counted from 0"),
    ("nudges", "--layer 0", "layers are counted from 1"),
    ("equations", "--index -1", "images are counted from 0"),
    ("pen_and_paper", "--step-size 1001", "no pencil writes so far"),
    ("wiggle", "--num-weights 1", "one weight correlates with nothing"),
    ("conv_net", "--learning-rates 1 1", "one rate would be tried twice"),
    ("conv_suite", "--resolution 1", "one point is no surface"),
    ("conv_suite", "--statistics-examples 1", "one image has no scatter"),
    ("hidden_neurons", "--widths -1", "no layer has fewer than no neurons"),
    ("hidden_neurons", "--depths -1", "there are no fewer than no layers"),
    ("hidden_neurons", "--learning-rates", "with no rate nothing moves"),
    ("nielsens_recipe", "--recipes", "there would be nothing to compare"),
    ("nielsens_recipe", "--recipes mine", "his book holds no such recipe"),
    ("other_optimizers", "--num-evaluations 9", "so short a race says nothing"),
    ("other_optimizers", "--num-examples 1", "one image has no batches"),
    ("other_optimizers", "--head-start -1", "no race has fewer than no steps"),
    ("complexity", "--halvings 2", "the slope is between all images and an eighth of them"),
    ("complexity", "--widths 32 16", "the curve goes from left to right"),
    ("complexity", "--depths 2 1", "the curve goes from left to right"),
    ("complexity", "--batch-sizes 10 1", "the curve goes from left to right"),
    ("complexity", "--batch-sizes 1 50 --num-images 20", "no step would have 50 images"),
    ("exact_optimizers", "--dimensions 1", "in one dimension all are exact at once"),
    ("play", "--resolution 1002", "a page of a million points"),
    ("play", "--num-steps 9", "so few steps move nothing that one sees"),
    ("play", "--num-shown 9", "there are ten digits"),
    ("play", "--batch-sizes 10 10", "one method would be there twice"),
    ("benchmark", "--num-examples 99 --surface-examples 99", "no batch of 100 can be filled"),
    ("benchmark", "--pause -1", "no pause is shorter than none"),
    ("benchmark", "--resolution 1", "one point is no surface"),
    ("scaling", "--processes 2 1", "the curve goes from left to right"),
    ("scaling", "--processes 65", "no single machine is worth so many"),
    ("scaling", "--num-gpus 1", "one GPU exchanges nothing"),
    ("scaling", "--num-hosts 1", "one host exchanges nothing"),
    ("scaling", "--large 2000000000000000", "no such network fits anywhere"),
    ("scaling", "--flops 999", "a human computes as fast"),
    ("scaling", "--gpu-bandwidth 2e21", "no wire carries so much"),
    ("scaling", "--host-bandwidth 999", "a telephone carries more"),
    ("scaling", "--gpu-latency 1.1", "a letter to the next GPU takes no second"),
    ("scaling", "--host-latency 1.1", "nor does one to the next host"),
    ("same_numbers", "--num-steps 10001", "each of its processes would run for hours"),
    ("conv_net", "--plain-learning-rates 0.5 0.1 1", "the grid goes from left to right"),
    ("edge_of_stability", "--num-examples 1", "one image makes no two batches"),
    ("edge_of_stability", "--edge-learning-rates 0.8 0.6", "the first is the smaller"),
    ("play", "--full-batch-learning-rates 4 4", "one way would be there twice"),
    ("drunk_man", "--num-steps 9", "so short a path has no shape"),
    ("reliability", "--num-kills 0", "nothing would be tried"),
    ("reliability", "--num-inputs 701", "there are no more"),
    ("reliability", "--num-runs 0", "nothing would be tried"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words", "why"), NONSENSE)
def test_what_makes_no_sense_is_refused_by_its_flag(name, words, why):
    assert refused(name, words.split(" ")).startswith(f"error: {words.partition(' ')[0]}"), why


@pytest.mark.parametrize(
    ("labels", "said"),
    [([3], "1 training image, of 1 class;"), ([0, 1] * 4 + [0], "9 training images, of 2 classes;"),
     ([3] * 50, "50 training images, of 1 class;")],
)  # fmt: skip
def test_too_few_images_or_one_class_are_nothing_to_learn_from(labels, said):
    with pytest.raises(SettingsError, match=f"^mine, .*{said} give 10 or more, of two classes or more$"):
        bounds.check_enough("mine", np.eye(10)[labels])
    bounds.check_enough("mine", np.eye(10)[[0] * 9 + [1]])


@pytest.mark.parametrize("name", ["only_a_two", "wrong_labels", "second_guess", "data_need", "average_of_nudges"])
def test_two_images_are_refused_before_any_work(name):
    refused(name, ["--quick", "--num-examples", "2"])


OF_IMAGES = re.compile("(examples|images|looked_at|shown|batch_sizes?|index)$")
ALL_TOGETHER = {  # what must fit is a sum or another setting, which the experiments themselves check
    ("complexity", "batch_sizes"), ("every_order", "batch_size"), ("linear_scaling", "batch_size"),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_counts_images_is_at_most_as_many_as_there_are(name):
    settings = module_of(name).Settings()
    for field in bounds.fields_of(type(settings)):
        if OF_IMAGES.search(field.name) and field.kind is int and (name, field.name) not in ALL_TOGETHER:
            more = dataclasses.replace(settings, **{field.name: (60_001,) if field.is_tuple else 60_001})
            with pytest.raises(SettingsError, match=f"{field.flag} is 60001"):
                bounds.check_with_data(more, "x", {"train": 60_000, "test": 60_000})


MAY_BE_0 = {"seed", "index", "epochs", "widths", "depths", "gif_frames", "head_start", "fewer_examples", "pause",
            "gpu_latency", "host_latency"}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_nothing_is_less_than_none_and_what_is_done_is_done_once_or_more(name):
    settings = module_of(name).Settings()
    for field in bounds.fields_of(type(settings)):
        for number in (0, -1)[field.name in MAY_BE_0 :] if field.kind in (int, float) else ():
            none = dataclasses.replace(settings, **{field.name: (number,) if field.is_tuple else number})
            with pytest.raises(SettingsError, match=f"^{field.flag} "):
                bounds.check(none)
        if field.name in MAY_BE_0 and not field.is_tuple:
            bounds.check(dataclasses.replace(settings, **{field.name: 0}))


@pytest.mark.parametrize("words", bad_inputs.WORDS)
def test_words_that_are_none_of_any_experiment_are_refused(words):
    refused("steepest", words.split(" "))


@pytest.mark.parametrize("words", bad_inputs.WITH_FILES)
def test_a_folder_data_or_a_function_that_cannot_serve_is_refused_and_nothing_is_written(words, small_mnist, tmp_path,
                                                                                         monkeypatch):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    refused("steepest", ["--dataset", str(small_mnist), "--cpu-devices", "2", *words.split(" ")])
    assert list(tmp_path.iterdir()) == []


@functools.cache
def numbers() -> list[tuple[type, Field]]:
    kinds = [module_of(name).Settings for name in QUESTIONS]
    return [(kind, field) for kind in kinds for field in bounds.fields_of(kind)
            if field.kind in (int, float) and field.single]  # fmt: skip


def forbidden(field: Field) -> st.SearchStrategy[float]:
    """Numbers that break one of the field's rules."""
    numbers = st.integers(-(10**6), 10**12) if field.kind is int else st.floats(width=32)
    return numbers.filter(lambda number: not all(rule.holds(number) for rule in field.single))


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_number_out_of_its_bounds_is_refused_by_its_flag(data):
    kind, field = data.draw(st.sampled_from(numbers()))
    number = data.draw(forbidden(field))
    settings = dataclasses.replace(kind(), **{field.name: (number,) if field.is_tuple else number})
    with pytest.raises(SettingsError) as error:
        bounds.check(settings)
    assert str(error.value).startswith(field.flag)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1e-320, 1e-39, 1e-30, 1.0, 1e38, 1e39, np.inf, np.nan])
def test_a_number_of_either_sign_is_one_that_float32_holds_with_all_its_digits(size, sign):
    holds = float(np.finfo(np.float32).tiny) <= size <= float(np.finfo(np.float32).max)
    assert bounds.IN_FLOAT32.holds(sign * size) == holds
