"""An XNOR-Net, exported: over a log-mel a stream that is C alone, over a waveform one whose front end TFLM runs; both
with the bytes of the Python run on every machine.
"""

import re
import subprocess

from zoo.backend import keras

import numpy as np
import pytest

from tests.export.board.programs import compiled, require, run, stand_in
from tools.cortex_m import WITH_FLOAT_UNIT
from zoo import assembly
from zoo.compress import binary
from zoo.errors import ZooError
from zoo.export import keras_files, tflite
from zoo.export.folder import DECISION_S, Quantisation, golden_sound, write_models
from zoo.export.metadata import About
from zoo.export.stream import open_stream
from zoo.frontends import LogMel, Raw
from zoo.labelling import Multiclass
from zoo.measure import files, microcontroller
from zoo.models import acdnet, xnor_acdnet
from zoo.runtime.interpreter import LiteRT

FRONT_END = LogMel(num_samples=8_000, num_mels=16, n_fft=256, window_samples=256, hop_samples=160)
LABELS = ["low", "middle", "high"]


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(0)
    columns = FRONT_END.build().output_shape[1:]
    net = xnor_acdnet.build(columns, 3, widths=(1, 1, 5, 9, 12, 14, 17, 20, 22, 25, 31, 13))
    rng = np.random.default_rng(0)
    hears = assembly.join(FRONT_END.build(), net)
    for _ in range(40):
        hears(sounds(rng), training=True)
    return binary.folded(net)


def sounds(rng, count=8):
    """Noise of many levels, whose pitch differs."""
    at = np.arange(8_000) / 16_000
    tones = np.sin(2 * np.pi * rng.uniform(100, 4_000, (count, 1)) * at)
    noise = rng.normal(0, 0.3, (count, 8_000))
    return ((tones + noise) * 10 ** rng.uniform(-2, -0.5, (count, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def exported(net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    written = write(folder, net)
    return folder, written


def write(folder, net, front_end=FRONT_END, seam_layer="", **asked):
    crops = sounds(np.random.default_rng(1), 16)
    about, quantisation = About("signs", "", "", "", "CC BY 4.0"), Quantisation(**asked)
    return write_models(folder, front_end, net, seam_layer, crops, None, Multiclass(LABELS), quantisation, about)


def test_micro_is_c_alone_and_the_apps_files_are_there(exported):
    folder, written = exported
    assert not [path.name for path in (folder / "micro").iterdir() if path.suffix == ".tflite"]
    assert not (folder / "micro/operators.h").exists() and not (folder / "micro/interpreter.h").exists()
    includes = {
        line
        for path in (folder / "micro").iterdir()
        for line in re.findall(r'^#include [<"](.+)[>"]$', path.read_text(), re.MULTILINE)
        if not (folder / "micro" / line).exists()
    }
    assert includes <= {"cstddef", "cstdint", "cstdio", "cstring", "math.h", "stdint.h", "string.h"}
    assert LiteRT(folder / "model_int8.tflite").input_shape == (8_000,)
    assert written.binary_products > 0 and written.sensitivity == ()


def self_test(folder, target, build, *flags):
    """What the exported self-test says, its C compiled as C; flags: of its C++."""
    compiler, *core = ["gcc"] if target == "host" else ["arm-none-eabi-gcc", *WITH_FLOAT_UNIT]
    require(compiler)
    objects = []
    for source in folder.glob("*.c"):
        objects.append(build / f"{source.stem}.o")
        strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([compiler, *strict, *core, "-c", source, "-o", objects[-1]], check=True)
    ran = run(target, compiled(target, build / "self_test", [*folder.glob("*.cc"), *objects], f"-I{folder}", *flags))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.splitlines()[-1]


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_the_self_test_passes_on_the_bytes_of_the_python_run(exported, target, tmp_path):
    assert self_test(exported[0] / "micro", target, tmp_path).startswith("passed: 3 of 3 decisions as expected")


@pytest.fixture(scope="module")
def over_a_waveform(tmp_path_factory):
    """micro/ with a learned front end, and what it is compiled with where recorded columns stand for that."""
    keras.utils.set_random_seed(0)
    net = xnor_acdnet.build((8_000, 1, 1), 3, 16_000, (4, 6, 5, 9, 12, 14, 17, 20, 22, 25, 31, 13))
    folder = tmp_path_factory.mktemp("waveform")
    written = write(folder, binary.folded(net), front_end=Raw(16_000, 8_000), seam_layer=acdnet.SEAM)
    stride = written.column_stride_samples
    stream = open_stream(folder / "micro")
    pcm = golden_sound(16_000, stream.window_samples + 2 * stride * round(DECISION_S * 16_000 / stride))
    heard = np.lib.stride_tricks.sliding_window_view(pcm, stream.frontend.input_shape[0])[::stride]
    return folder / "micro", *stand_in(folder / "micro", folder / "include", stream.frontend.run_raw(heard))


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_behind_a_front_end_in_tflm_the_self_test_passes_as_well(over_a_waveform, target, tmp_path):
    folder, flags, columns = over_a_waveform
    assert (folder / "xnor.c").exists() and not (folder / "body.h").exists()
    assert self_test(folder, target, tmp_path, *flags, columns).startswith("passed: 3 of 3 decisions as expected")


def test_the_stream_decides_as_the_keras_model_on_the_columns_that_it_hears(exported, net):
    stream, heard = open_stream(exported[0] / "micro"), sounds(np.random.default_rng(2), 60)
    columns = stream.body.input.from_raw(stream.windows_of(heard))
    scores, expected = stream.run(heard), net.predict(columns, verbose=0)
    assert len(np.unique(expected.argmax(axis=1))) > 1
    np.testing.assert_array_equal(scores.argmax(axis=1), expected.argmax(axis=1))
    np.testing.assert_allclose(scores, expected, atol=3e-5)


def test_what_it_takes_is_told_from_its_headers(exported, net):
    folder, written = exported
    report = microcontroller.report(folder)
    rows = {row["file"]: row for row in report["files"]}
    assert list(rows) == ["micro/frontend.c", "micro/xnor.c"]
    stream = open_stream(folder / "micro")
    assert rows["micro/xnor.c"]["arena"]["total_bytes"] == stream.body.arena_bytes
    assert report["stream"]["total_bytes"] == written.memory.total_bytes
    keras_files.save_h5(assembly.join(FRONT_END.build(), net), folder / "model.h5")
    (pair,) = (one for one in files.open_folder(folder) if "micro/xnor.c" in one.arenas)
    assert pair.arenas == {"micro/frontend.c": stream.frontend.arena_bytes, "micro/xnor.c": stream.body.arena_bytes}


def test_what_signs_cannot_have_is_refused(net, tmp_path):
    with pytest.raises(ZooError, match="signs are no tensor that 16 bits would help"):
        write(tmp_path, net, max_drop=0.01)
    with pytest.raises(ZooError, match="float16"):
        tflite.to_float16(net)
