"""The models: one paper, one file, and the table that names them at their published settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from zoo.models import acdnet, aclnet, bc_resnet, bilstm, ds_cnn, envnet_v2, mobilenet_v3, resnet, yamnet


@dataclass(frozen=True)
class Published:
    """A model as its source describes it."""

    build: Callable  # (input_shape, num_classes) -> Keras model
    input_shape: tuple
    num_classes: int
    sample_rate_hz: int
    source: str
    parameters: int  # that training changes
    macs: int  # multiplies for one input
    reduced: dict = field(default_factory=dict)  # of a large model: widths and depths at which a test takes a moment

    def model(self):
        """The Keras model at its published size, untrained."""
        return self.build(self.input_shape, self.num_classes)


MODELS = {
    "acdnet": Published(
        acdnet.build, (30_225, 1, 1), 50, 20_000,
        "Mohaimenuzzaman et al. 2023, table 2", 4_735_378, 541_869_356,
        reduced={"widths": (4, 8, 8, 8, 8, 8, 8, 8, 16, 16, 16, 16)},
    ),
    "micro_acdnet": Published(
        partial(acdnet.build, widths=acdnet.MICRO_WIDTHS), (30_225, 1, 1), 50, 20_000,
        "Mohaimenuzzaman et al. 2023, table 11", 131_474, 14_286_134,
    ),
    "macro_acdnet": Published(
        partial(acdnet.build, widths=acdnet.MACRO_WIDTHS), (30_225, 1, 1), 50, 20_000,
        "Mohaimenuzzaman et al. 2023, section 4.4.2; the widths are ours", 70_136, 21_659_000,
    ),
    "aclnet": Published(
        aclnet.build, (30_225, 1, 1), 50, 20_000,
        "Huang and Alvarado Leanos 2018, width multiplier 1.5", 10_622_924, 1_191_429_992,
        reduced={"widths": (2, 16, 4, 8, 8, 8, 8, 16, 16, 16, 16)},
    ),
    "micro_aclnet": Published(
        partial(aclnet.build, widths=aclnet.MICRO_WIDTHS), (30_225, 1, 1), 50, 20_000,
        "Mohaimenuzzaman et al. 2023, section 4.4.3", 127_361, 20_822_149,
    ),
    "envnet_v2": Published(
        envnet_v2.build, (66_650, 1, 1), 50, 44_100,
        "Tokozume et al. 2018", 101_251_186, 1_618_835_456,
        reduced={"widths": (2, 24, 4, 4, 4, 4, 8, 8, 8, 8), "dense_units": 32},
    ),
    "melcnn": Published(
        acdnet.build, (149, 128, 1), 50, 16_000,
        "Mou and Milanova 2024, section 2.1", 4_732_602, 1_039_276_484,
        reduced={"widths": (4, 8, 8, 8, 8, 8, 8, 8, 16, 16, 16, 16)},
    ),
    "bilstm": Published(
        bilstm.build, (149, 128, 1), 50, 16_000,
        "Mou and Milanova 2024, section 2.1; the width is ours", 276_274, 39_072_256,
    ),
    "resnet18": Published(
        partial(resnet.build, **resnet.RESNET_18), (148, 64, 1), 10, 22_050,
        "He et al. 2016, table 1", 11_175_370, 342_189_056,
        reduced={"blocks": (1, 1, 1, 1), "widths": (8, 16, 32, 64)},
    ),
    "resnet152": Published(
        partial(resnet.build, **resnet.RESNET_152), (148, 64, 1), 10, 22_050,
        "Hu, Shao and Johar 2024", 58_233_738, 2_256_642_048,
        reduced={"blocks": (1, 1, 1, 1), "widths": (8, 16, 32, 64)},
    ),
    "ds_cnn": Published(
        ds_cnn.build, (49, 10, 1), 12, 16_000,
        "Banbury et al. 2021, github.com/mlcommons/tiny", 23_756, 2_656_768,
    ),
    "bc_resnet": Published(
        bc_resnet.build, (101, 40, 1), 12, 16_000,
        "Kim et al. 2021, tau 1", 9_232, 2_542_756,
        reduced={"blocks": (1, 2, 1, 1)},
    ),
    "bc_resnet_3": Published(
        partial(bc_resnet.build, tau=3), (101, 40, 1), 12, 16_000,
        "Kim et al. 2021, tau 3", 54_168, 14_706_348,
        reduced={"tau": 2, "blocks": (1, 2, 1, 1)},
    ),
    "mobilenet_v3": Published(
        partial(mobilenet_v3.build, width=0.4), (200, 128, 1), 527, 32_000,
        "Schmid et al. 2023, mn04", 983_599, 23_351_872,
        reduced={"width": 0.25, "blocks": mobilenet_v3.BLOCKS[3:12:3]},
    ),
    "mobilenet_v3_full": Published(
        mobilenet_v3.build, (200, 128, 1), 527, 32_000,
        "Schmid et al. 2023, mn10", 4_876_831, 114_627_008,
        reduced={"width": 0.5, "blocks": mobilenet_v3.BLOCKS[3:12:3]},
    ),
    "yamnet": Published(
        yamnet.build, (96, 64, 1), 521, 16_000,
        "tensorflow/models, research/audioset/yamnet", 3_729_481, 69_165_056,
        reduced={"widths": (8, 8, 16, 16)},
    ),
    "yamnet_256": Published(
        partial(yamnet.build, widths=yamnet.CUT_WIDTHS), (96, 64, 1), 10, 16_000,
        "STMicroelectronics/stm32ai-modelzoo, audio_event_detection/yamnet", 134_730, 23_902_720,
        reduced={"widths": (8, 8, 16)},
    ),
}  # fmt: skip
