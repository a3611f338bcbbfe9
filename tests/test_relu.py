"""A sigmoid "or a ReLU" (T2): what is true by algebra in sigmoids, as experiments claim, is true with ReLU as well."""

import dataclasses
import importlib

import pytest
from helpers import smallest

from experiments.common import chapters, posing

SUITE = {"nudges": {"epochs": 0}, "equations": {}, "wiggle": {}, "steepest": {}, "average_of_nudges": {}}


@pytest.mark.parametrize(("name", "changed"), SUITE.items())
def test_every_identity_holds_with_relu(name, changed, small_mnist):
    module = importlib.import_module(chapters.all_questions()[name].module)
    settings = dataclasses.replace(smallest(name), dataset=str(small_mnist), activation="relu", **changed)
    claims = module.claims(module.measure(posing.pose(settings), settings), settings)
    identities = [claim for claim in claims if claim.kind == "identity"]
    assert identities
    assert [claim.says for claim in identities if not claim.holds] == []
