"""Sizes that are reckoned, against those that an export measures: TFLM's arena, and the bytes of the files."""

import importlib

import numpy as np
import pytest

from recipes import settings
from zoo import labelling
from zoo.export.folder import Quantisation, write_models
from zoo.export.metadata import About
from zoo.measure import analytic, microcontroller

LABELS = tuple("abcdefghij")


# Both kinds of front end in C and the learned one, whose body is computed in strips.
@pytest.mark.parametrize(
    "recipe, front_end, chosen, in_strips",
    [
        ("ds_cnn", "mel_20", {}, False),
        ("ds_cnn", "mfcc", {"width": 24, "depth": 6}, False),
        ("micro_acdnet", "raw", {"width3": 14}, True),
    ],
)
def test_reckoned_sizes_are_within_a_twentieth_of_the_measured_ones(recipe, front_end, chosen, in_strips, tmp_path):
    recipe = settings.applied(importlib.import_module(f"recipes.{recipe}").RECIPE, front_end, chosen)
    spec = recipe.front_ends[front_end]
    backbone = recipe.backbone(spec.build().output_shape[1:], len(LABELS))
    crops = np.random.default_rng(0).normal(0, 0.1, (8, spec.num_samples)).astype(np.float32)
    write_models(
        tmp_path, spec, backbone, recipe.seam, crops, None, labelling.Multiclass(LABELS), Quantisation(),
        About("a", "", "", "", ""),
    )  # fmt: skip
    reckoned = analytic.sizes(spec, backbone, recipe.seam, in_strips)
    measured = microcontroller.report(tmp_path)
    assert reckoned.flash_bytes == pytest.approx(measured["flash_bytes"], rel=0.05)
    assert reckoned.arena_bytes == pytest.approx(measured["stream"]["arena_bytes"], rel=0.05)
    assert reckoned.ram_bytes == pytest.approx(measured["ram_bytes"], rel=0.05)
