"""Folds made by hash: a fifth that tests, and groups that are never divided, as even as scikit-learn deals them."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from zoo.datasets.folds import a_fifth, dealt


def test_a_fifth_does_not_depend_on_the_order_of_the_names():
    names = [f"clip{number}" for number in range(103)]
    assert a_fifth(names) == a_fifth(reversed(names)) < set(names)
    assert len(a_fifth(names)) == 21  # a fifth of 103 is 20.6
    assert a_fifth(names[:2]) == set()


def test_a_fifth_is_that_of_the_lowest_sha256():
    # printf a | sha256sum, and so on: ca97, 3e23, 2e7d, 18ac, 3f79 are how they begin
    assert a_fifth("abcde") == {"d"}


def uneven_groups(rng):
    """{group: Counter of classes}: one to seven clips a group, of one class each."""
    groups = {}
    for number in range(60):
        label = "abcd"[rng.integers(4)]
        groups[f"group{number}"] = Counter({label: int(rng.integers(1, 8))})
    return groups


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_dealt_as_evenly_as_scikit_learn_deals_them(seed):
    groups = uneven_groups(np.random.default_rng(seed))
    clips = [(label, group) for group, classes in groups.items() for label in classes.elements()]
    labels, of_group = map(np.array, zip(*clips))
    fold_of = dealt(groups, 5)
    ours, theirs = np.array([fold_of[group] for group in of_group]), np.zeros(len(labels), int)
    for fold, (_, test) in enumerate(StratifiedGroupKFold(5).split(labels, labels, of_group)):
        theirs[test] = fold + 1

    def unevenness(folds):
        return sum(np.std([np.sum(labels[folds == fold] == label) for fold in range(1, 6)]) for label in "abcd")

    assert unevenness(ours) <= unevenness(theirs) + 1e-9  # sums in another order


def test_a_class_is_in_as_many_folds_as_it_has_groups():
    groups = {f"many{number}": Counter(a=1) for number in range(20)} | {
        f"few{number}": Counter(b=9 - number) for number in range(3)
    }
    folds = defaultdict(set)
    for group, fold in dealt(groups, 5).items():
        folds[min(groups[group])].add(fold)
    assert (len(folds["a"]), len(folds["b"])) == (5, 3)


def test_folds_do_not_depend_on_the_order_of_the_groups():
    groups = uneven_groups(np.random.default_rng(7))
    assert dealt(dict(reversed(groups.items())), 5) == dealt(groups, 5)
