"""The models: one paper, one file, and the table that names them at their published settings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from zoo.models import acdnet


@dataclass(frozen=True)
class Published:
    """A model as its source describes it."""

    build: Callable  # (input_shape, num_classes, sample_rate_hz) -> Keras model
    input_shape: tuple
    num_classes: int
    sample_rate_hz: int
    source: str


MODELS = {
    "acdnet": Published(
        acdnet.build, (30_225, 1, 1), 50, 20_000, "Mohaimenuzzaman et al. 2023, table 2"
    ),
    "micro_acdnet": Published(
        partial(acdnet.build, widths=acdnet.MICRO_WIDTHS), (30_225, 1, 1), 50, 20_000,
        "Mohaimenuzzaman et al. 2023, table 11",
    ),
}  # fmt: skip
