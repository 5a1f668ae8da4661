"""The log-mel in C against numpy in float64, the float twin, and itself on emulated Cortex-M4 and Cortex-M0."""

import ctypes
import re
import shutil
import subprocess
from dataclasses import replace

from zoo.backend import keras

import librosa
import numpy as np
import pytest
import soundfile

from tools import cortex_m
from zoo.errors import ZooError
from zoo.export import seam
from zoo.export.log_mel_c import LogMelC, write_log_mel
from zoo.export.stream import Stream
from zoo.export.tflm import TFLM
from zoo.frontends import MFCC, LogMel
from zoo.runtime.interpreter import Tensor

SAMPLES = 4_000
SPECS = {
    "power, decibel": LogMel(SAMPLES),
    "power, natural": LogMel(SAMPLES, log="natural"),
    "magnitude, decibel": LogMel(SAMPLES, spectrum="magnitude", floor=1e-4),
    "magnitude, natural": LogMel(SAMPLES, spectrum="magnitude", floor=1e-4, log="natural"),
    "n_fft 256": LogMel(SAMPLES, 8_000, 40, 256, 256, 80, 20.0, 4_000.0),
    "n_fft 1024": LogMel(SAMPLES, 20_000, 64, 1_024, 999, 333, 50.0, 9_000.0),
}
# YAMNet's, and those of MLPerf Tiny's keyword spotting: TensorFlow's bands, an offset in place of the floor.
YAMNET = LogMel(
    SAMPLES, 16_000, 64, 512, 400, 160, 125.0, 7_500.0, spectrum="magnitude", log="natural", mel="htk", offset=1e-3
)
KEYWORDS = MFCC(
    replace(YAMNET, num_mels=40, window_samples=480, hop_samples=320, low_hz=20.0, high_hz=4_000.0, offset=1e-6)
)
OFFSET_SPECS = {
    "yamnet": YAMNET,
    "offset, decibel": LogMel(SAMPLES, log="decibel", offset=1e-8),
    "mfcc": KEYWORDS,
    "mfcc over a floor": MFCC(LogMel(SAMPLES, num_mels=32), 32),
}
RANGES = {"decibel": 130.0, "natural": 30.0}  # full scale, over these floors, lies under them
INT8 = Tensor((), np.int8, 0.3, -128)
STRICT = ("-Wall", "-Wextra", "-Werror")
CORES = {
    "cortex-m4": cortex_m.WITH_FLOAT_UNIT,
    "cortex-m0": ["-mthumb", "-mcpu=cortex-m0", "-mfloat-abi=soft"],
}
DEVICE_MAIN = """
#include <stdio.h>
#include "clock.h"
#include "frontend.h"

extern void _start(void);

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xF << 20; /* CPACR: the float unit is on */
    _start();
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {(void (*)(void))0x20400000, reset};

static int16_t pcm[FRONTEND_FIELD_SAMPLES];
static frontend_value column[FRONTEND_MELS];
static float scratch[FRONTEND_SCRATCH_FLOATS];

int main(void)
{
    FILE *in = fopen("pcm", "rb"), *out = fopen("columns", "wb");
    while (fread(pcm, sizeof pcm, 1, in) == 1) {
        board_start_clock();
        frontend_column(pcm, column, scratch);
        printf("%llu\\n", board_instructions());
        fwrite(column, sizeof column, 1, out);
    }
    return fclose(out);
}
"""


@pytest.fixture(params=SPECS)
def spec(request):
    return SPECS[request.param]


@pytest.fixture(scope="module", params=["power, decibel", "magnitude, natural", "n_fft 1024", "yamnet", "mfcc"])
def sources(request, tmp_path_factory):
    """A spec, and the folder of its C: each form that the code takes, and the largest tables."""
    spec, folder = {**SPECS, **OFFSET_SPECS}[request.param], tmp_path_factory.mktemp("sources")
    write_log_mel(spec, INT8, folder)
    return spec, folder


@pytest.fixture(scope="module")
def made_pcm():
    """Noise, a quiet noise, a tone that slides upwards, a click, silence, a square between both ends: (n, samples)."""
    rng, time = np.random.default_rng(0), np.arange(SAMPLES)
    noise, click = rng.uniform(-1, 1, SAMPLES), np.eye(1, SAMPLES, 2_000)[0]
    slide = 0.8 * np.sin(2 * np.pi * (0.003 * time + 0.24 * time**2 / 2 / SAMPLES))
    square = np.where(time // 20 % 2, -32_768, 32_767) / 32_767
    sounds = np.stack([noise, 1e-3 * noise, slide, click, 0 * time, square])
    return np.round(sounds * 32_767).astype(np.int16)


@pytest.fixture(scope="module")
def real_pcm(real_recordings):
    """A quarter of a second of spoken words and of surroundings: (n, samples)."""
    paths = [*sorted((real_recordings / "speech_commands").glob("*/*.flac"))[::40]]
    clips = [soundfile.read(path, dtype="int16")[0][6_000 : 6_000 + SAMPLES] for path in paths]
    return np.stack([clip for clip in clips if len(clip) == SAMPLES])


def frames_of(spec, pcm):
    """What each column hears: (n, frames, window_samples)."""
    starts = np.arange(0, pcm.shape[1] - spec.window_samples + 1, spec.hop_samples)
    return pcm[:, starts[:, None] + np.arange(spec.window_samples)]


def runner_of(spec, folder, dtype=np.int8):
    """The C of a spec, compiled here."""
    zero_point = {np.int8: -128, np.int16: 0}[dtype]
    scale = RANGES[spec.log] / (np.iinfo(dtype).max - zero_point)
    write_log_mel(spec, Tensor((), dtype, scale, zero_point), folder)
    return LogMelC(folder)


def columns_of(runner, frames):
    """Shape: (n, frames, window_samples) -> (n, frames, mels, 1)."""
    return np.stack([runner.run_raw(sound)[:, 0] for sound in frames])


def by_numpy(spec, pcm):
    """The levels in float64: (n, frames, mels, 1)."""
    frames = frames_of(spec, pcm) / 32_768
    # TensorFlow's "periodic" window is symmetric where it is odd.
    window = np.hanning(spec.window_samples + 1 - spec.window_samples % 2)[: spec.window_samples]
    spectrum = np.abs(np.fft.rfft(frames * window, spec.n_fft))
    filterbank = librosa.filters.mel(
        sr=spec.sample_rate_hz,
        n_fft=spec.n_fft,
        n_mels=spec.num_mels,
        fmin=spec.low_hz,
        fmax=spec.high_hz,
        dtype=np.float64,
    )
    mel = spectrum ** {"power": 2, "magnitude": 1}[spec.spectrum] @ filterbank.T
    level = np.log(np.maximum(mel, spec.floor) / spec.floor)[..., None]
    return level * (10 / np.log(10) if spec.log == "decibel" else 1)


def assert_levels(spec, runner, pcm):
    """Float32's FFT is off by about 1e-7 of the loudest bin of its frame, whichever bin it is.

    In a band 40 dB under the loudest one that is 1e-5 of the magnitude, 1e-4 dB, and some roundings more: 1e-3 dB. In a
    band 80 dB under it it is a hundred times as much, 0.1 dB. Half a step of the 16 bits comes on top.
    """
    as_db = (2 if spec.spectrum == "magnitude" else 1) * (10 / np.log(10) if spec.log == "natural" else 1)
    wanted = by_numpy(spec, pcm) * as_db
    found = runner.output.from_raw(columns_of(runner, frames_of(spec, pcm))) * as_db
    near = wanted > wanted.max(axis=2, keepdims=True) - 40
    difference = np.abs(found - wanted) - runner.output.scale * as_db / 2
    assert near.mean() > 0.1 and difference[near].max() < 1e-3
    assert difference.max() < 0.1


def test_levels_are_those_of_float64(spec, made_pcm, tmp_path):
    assert_levels(spec, runner_of(spec, tmp_path, dtype=np.int16), made_pcm)


def test_levels_of_real_clips_are_those_of_float64(spec, real_pcm, tmp_path):
    assert_levels(spec, runner_of(spec, tmp_path, dtype=np.int16), real_pcm)


def test_values_of_real_clips_are_the_float_twins(spec, real_pcm, tmp_path):
    runner = runner_of(spec, tmp_path)
    levels = spec.build_tflite_twin().predict(real_pcm / np.float32(32_768), verbose=0)
    columns = columns_of(runner, frames_of(spec, real_pcm))
    apart = columns - runner.output.to_raw(levels).astype(int)
    # Two floats differ by 1e-3 dB where it matters, a 500th of a step: so many lie on either side of a rounding.
    assert (np.abs(apart) <= 1).all() and (apart != 0).mean() < 1e-3
    assert len(np.unique(columns)) > 50


@pytest.mark.parametrize("name", OFFSET_SPECS)
def test_columns_over_an_offset_and_cepstra_are_the_float_twins(name, made_pcm, real_pcm, tmp_path):
    spec = OFFSET_SPECS[name]
    levels = spec.build_tflite_twin().predict(np.concatenate([made_pcm, real_pcm]) / np.float32(32_768), verbose=0)
    for dtype, steps in ((np.int8, 1), (np.int16, 2)):
        limits = np.iinfo(dtype)
        scale = (levels.max() - levels.min()) / (limits.max - limits.min)
        zero_point = round(limits.min - levels.min() / scale)
        write_log_mel(spec, Tensor((), dtype, float(np.float32(scale)), zero_point), tmp_path)
        runner = LogMelC(tmp_path)
        (window, hop) = runner.input.shape[0], spec.hop_samples
        starts = np.arange(0, SAMPLES - window + 1, hop)[:, None] + np.arange(window)
        columns = columns_of(runner, np.concatenate([made_pcm, real_pcm])[:, starts])
        apart = np.abs(columns - runner.output.to_raw(levels).astype(int))
        # Noises and words; of the slide and the click the quiet bands say how either FFT rounds.
        noise, words = apart[:2], apart[len(made_pcm) :]
        if dtype == np.int8:
            assert max(noise.max(), words.max()) <= steps and (apart[len(made_pcm) :] != 0).mean() < 0.01
            assert len(np.unique(columns)) > 100
        else:  # 1e-3 of a level, as float32's FFT leaves it, in steps
            assert np.median(words) <= 1e-3 / scale


def test_columns_over_an_offset_saturate_at_both_ends(made_pcm, tmp_path):
    for spec in (YAMNET, KEYWORDS):
        write_log_mel(spec, Tensor((), np.int8, 0.02, 10), tmp_path)  # -2.76 to 2.34
        log_mel = getattr(spec, "log_mel", spec)
        columns = columns_of(LogMelC(tmp_path), frames_of(log_mel, made_pcm))
        assert columns.min() == -128 and columns.max() == 127
        levels = spec.build_tflite_twin().predict(made_pcm / np.float32(32_768), verbose=0)
        beyond = (levels < -2.8) | (levels > 2.4)
        wanted = np.where(levels < 0, -128, 127)
        np.testing.assert_array_equal(columns[beyond], wanted[beyond])


def test_a_column_wider_than_what_an_offset_leaves_begins_at_the_offset(made_pcm, tmp_path):
    """Of int16 over 30 times ln the lowest column is far below ln(0.001): floats would not reach down to it."""
    write_log_mel(YAMNET, Tensor((), np.int16, 400 / 32_767, 0), tmp_path)
    runner = LogMelC(tmp_path)
    silence = columns_of(runner, frames_of(YAMNET, made_pcm[4:5]))
    np.testing.assert_allclose(runner.output.from_raw(silence), np.log(1e-3), atol=0.51 * 400 / 32_767)


@pytest.mark.parametrize("coefficients", [0, 41])
def test_more_coefficients_than_bands_are_refused(coefficients, tmp_path):
    with pytest.raises(ZooError, match=f"a cepstrum of 40 bands has no {coefficients} coefficients"):
        write_log_mel(replace(KEYWORDS, num_coefficients=coefficients), INT8, tmp_path)


def test_silence_is_the_zero_point_and_what_lies_beyond_the_range_saturates(made_pcm, tmp_path):
    spec = SPECS["power, decibel"]
    write_log_mel(spec, Tensor((), np.int8, 0.25, -100), tmp_path)
    *_, silence, square = columns_of(LogMelC(tmp_path), frames_of(spec, made_pcm))  # 127 stands for 56.75 dB
    assert (silence == -100).all() and square.max() == 127 and square.min() >= -100


def test_a_column_is_the_same_bytes_whatever_was_made_before_it(made_pcm, tmp_path):
    frames, runner = frames_of(SPECS["n_fft 256"], made_pcm), runner_of(SPECS["n_fft 256"], tmp_path)
    columns = columns_of(runner, frames)
    runner._scratch.fill(np.nan)
    np.testing.assert_array_equal(columns_of(runner, frames[:, ::-1]), columns[:, ::-1])


def test_the_c_streams_into_an_int8_body_as_a_tflite_would(made_pcm, tmp_path):
    spec, layers = SPECS["n_fft 256"], keras.layers
    keras.utils.set_random_seed(0)
    levels = by_numpy(spec, made_pcm)
    log_mel = keras.Input(levels.shape[1:], name="log_mel")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(log_mel))
    body = TFLM(seam.int8_body(keras.Model(log_mel, layers.Dense(3, activation="softmax")(x)), levels))
    write_log_mel(spec, body.input, tmp_path)
    frontend, waveforms = LogMelC(tmp_path), made_pcm / np.float32(32_768)
    windows = Stream(frontend, body, spec.hop_samples).windows_of(waveforms)
    twin = spec.build_tflite_twin().predict(waveforms, verbose=0)
    # A level right between two values may fall to either side.
    assert np.mean(windows != body.input.to_raw(twin)) < 1e-3
    assert (frontend.kernels, frontend.arena_bytes) == ("c99", 4 * (spec.n_fft + 1) + spec.num_mels)


def test_log2_is_as_exact_as_it_says(tmp_path):
    write_log_mel(SPECS["power, decibel"], INT8, tmp_path)
    (tmp_path / "probe.c").write_text('#include "frontend.c"\nfloat probe(float x) { return log2_of(x); }\n')
    library = tmp_path / "probe.so"
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "probe.c", "-o", library], check=True)
    probe = ctypes.CDLL(str(library)).probe
    probe.argtypes, probe.restype = [ctypes.c_float], ctypes.c_float
    x = np.concatenate([np.linspace(1, 4, 5_000), np.geomspace(1, 2.0**63, 5_000)]).astype(np.float32)
    np.testing.assert_allclose([probe(v) for v in x], np.log2(x.astype(np.float64)), rtol=0, atol=2e-6)


def test_the_same_spec_gives_the_same_bytes_again(sources, tmp_path):
    spec, folder = sources
    write_log_mel(spec, INT8, tmp_path)
    for name in ("frontend.h", "frontend.c"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("core", CORES)
def test_a_microcontroller_gives_the_bytes_of_the_host(made_pcm, real_pcm, tmp_path, core):
    needs("arm-none-eabi-gcc", "qemu-system-arm")
    spec = SPECS["power, decibel"]
    runner = runner_of(spec, tmp_path)
    frames = frames_of(spec, np.concatenate([made_pcm, real_pcm[:6]])[:, -spec.window_samples - 4 * spec.hop_samples :])
    np.ascontiguousarray(frames).tofile(tmp_path / "pcm")
    (tmp_path / "main.c").write_text(DEVICE_MAIN)
    # rdimon: files are the host's. Without flags for it: the source itself keeps multiply and add apart.
    where = "-Wl,--section-start=.vectors=0,-Tdata=0x20000000,-e,reset"
    sources = ("frontend.c", "main.c")
    command = ["arm-none-eabi-gcc", "-std=c99", "-Os", *STRICT, *CORES[core], f"-I{cortex_m.BOARD}", *sources]
    run_in(tmp_path, *command, "--specs=rdimon.specs", where, "-lm", "-o", "main.elf")
    told = run_in(tmp_path, *cortex_m.QEMU, *cortex_m.COUNTING, "-kernel", "main.elf")
    print(f"{np.mean([int(line) for line in told.splitlines()]):,.0f} instructions a column")
    columns = np.fromfile(tmp_path / "columns", np.int8)
    np.testing.assert_array_equal(columns, columns_of(runner, frames).ravel())
    assert len(np.unique(columns)) > 150


@pytest.mark.parametrize("core", CORES)
def test_the_front_end_takes_at_most_32_kb_of_flash_and_no_memory_but_its_scratch(sources, tmp_path, core):
    needs("arm-none-eabi-gcc")
    _, folder = sources
    object_file, linked = tmp_path / "frontend.o", tmp_path / "frontend.elf"
    command = ("arm-none-eabi-gcc", "-std=c99", "-Os", *STRICT, *CORES[core], "frontend.c")
    run_in(folder, *command, "-c", "-o", object_file)
    # With what it takes of libgcc and libm, which is all arithmetic where the core has no float unit.
    run_in(folder, *command, "-nostartfiles", "-Wl,-e,frontend_column", "--specs=nano.specs", "-lm", "-o", linked)
    lines = run_in(folder, "arm-none-eabi-size", object_file, linked).splitlines()[1:]
    (_, *memory_bytes), (*flash_bytes, _) = (map(int, line.split()[:3]) for line in lines)  # text, data, bss
    print(f"{core}: {sum(flash_bytes):,} bytes of flash, with what it takes of libraries")
    assert memory_bytes == [0, 0]
    assert 2_000 < sum(flash_bytes) < 32 * 1024


@pytest.mark.parametrize("compiler", ["g++", "arm-none-eabi-g++"])
def test_header_and_source_are_cpp_as_well(sources, tmp_path, compiler):
    needs(compiler)
    _, folder = sources
    run_in(folder, compiler, "-std=c++17", *STRICT, "-x", "c++", "-c", "frontend.c", "-o", tmp_path / "frontend.o")


def test_the_source_is_strict_c99(sources, tmp_path):
    _, folder = sources
    run_in(folder, "cc", "-std=c99", "-pedantic", *STRICT, "-Wconversion", "-c", "frontend.c", "-o", tmp_path / "x.o")


@pytest.mark.parametrize("wrong", [{"n_fft": 600}, {"n_fft": 256}], ids=["no power of two", "shorter than the window"])
def test_an_n_fft_that_c_cannot_transform_is_refused(tmp_path, wrong):
    with pytest.raises(ZooError, match=f"a power of two and holds the window; got n_fft {wrong['n_fft']} for a window"):
        write_log_mel(replace(SPECS["power, decibel"], **wrong), INT8, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_compiler_is_told_in_one_line(tmp_path, monkeypatch):
    write_log_mel(SPECS["power, decibel"], INT8, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ZooError, match=r"frontend.c: running it here needs a C compiler.*install gcc or clang$"):
        LogMelC(tmp_path)


def test_a_source_that_was_spoilt_is_told_in_one_line(tmp_path):
    write_log_mel(SPECS["power, decibel"], INT8, tmp_path)
    (tmp_path / "frontend.c").write_text("#error spoilt\n")
    with pytest.raises(ZooError, match=r"frontend.c does not compile: .*spoilt$"):
        LogMelC(tmp_path)


def needs(*tools):
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} here")


def run_in(folder, *command):
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and not re.search("warning", run.stderr), run.stderr
    return run.stdout
