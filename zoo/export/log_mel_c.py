"""The log-mel or its cepstrum as C99: 16-bit PCM in, the columns that enter body.tflite byte for byte out, one a call.

The float twin's own arithmetic in float32, with nothing of which two C libraries could differ: the bytes are the same
on a PC, on a Cortex-M with a float unit and on one without. Needs numpy; running the C here needs a C compiler.
"""

import math
import re
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.export import c99
from zoo.export.micro import fill_template, filled
from zoo.runtime.interpreter import Tensor


def write_log_mel(front_end, columns, folder):
    """Writes frontend.h and frontend.c: `frontend_column`, which makes one column of a `LogMel` or of an `MFCC`.

    columns: the `Tensor` that takes them, int8 or int16, as a body has it for its input. Tables and code stay in flash;
    the scratch is given by whoever calls, and may be memory that the body's arena leaves free meanwhile.

    Raises: ZooError for what `check` refuses.
    """
    check(front_end)
    spec = log_mel_of(front_end)
    limits = np.iinfo(columns.dtype)
    bands, weights = _sparse(spec.filterbank().astype(np.float64))
    # tf.signal's Hann window, with which the model was trained, is periodic only where it is even.
    hann_period = spec.window_samples - spec.window_samples % 2
    hann = (0.5 - 0.5 * math.cos(2 * math.pi * i / hann_period) for i in range(spec.window_samples))
    power = "re * re + im * im"
    levels_per_octave = 10 * math.log10(2) if spec.log == "decibel" else math.log(2)
    values = {
        "field_samples": spec.window_samples,
        "stride_samples": spec.hop_samples,
        "scale": c99.literal(columns.scale),
        "zero_point": columns.zero_point,
        "bits": limits.bits,
        "n_fft": spec.n_fft,
        "spectrum": spec.spectrum,
        "magnitude_or_power": power if spec.spectrum == "power" else f"sqrtf({power})",
        "steps_per_octave": c99.literal(levels_per_octave / columns.scale),
        "sine": c99.rows(c99.literal(math.sin(2 * math.pi * i / spec.n_fft)) for i in range(3 * spec.n_fft // 4)),
        "window": c99.rows(c99.literal(weight / 65_536) for weight in hann),
        "bands": c99.rows(f"{{{first}, {count}}}" for first, count in bands),
    }
    values |= (_log_mel_column if front_end is spec else _mfcc_column)(front_end, columns, weights)
    values["column"] = filled(values.pop("template"), **values)
    for name in ("frontend.h", "frontend.c"):
        fill_template(name, folder, **values)


def _log_mel_column(spec, columns, weights):
    """What frontend.c needs to write levels. Its floor is that of the spec or, with an offset, the lowest column."""
    floor, lowest, lowest_name, lowest_value = spec.floor, columns.zero_point, "silence", "FRONTEND_ZERO_POINT"
    if spec.offset:
        steps = np.log(spec.offset) * (10 / np.log(10) if spec.log == "decibel" else 1) / columns.scale
        lowest = max(np.iinfo(columns.dtype).min, columns.zero_point + math.floor(steps))  # nothing lies under it
        level = columns.scale * (lowest - columns.zero_point)
        floor = 10 ** (level / 10) if spec.log == "decibel" else math.exp(level)
        lowest_name, lowest_value = "the lowest", f"({lowest})"
    return {
        "template": "log_mel_column.c",
        "kind": "log-mel",
        "mels": "FRONTEND_MELS",
        "values": spec.num_mels,
        "scratch_floats": spec.n_fft + 1,
        "constants": "",
        "most_steps": c99.literal(np.iinfo(columns.dtype).max - lowest),
        "weights": c99.rows(c99.literal(weight / floor) for weight in weights),
        "offset": c99.literal(spec.offset / floor),
        "lowest": lowest_value,
        "lowest_name": lowest_name,
    }


def _mfcc_column(mfcc, columns, weights):
    """What frontend.c needs to write coefficients."""
    spec, limits = mfcc.log_mel, np.iinfo(columns.dtype)
    rows = (f"    {{{', '.join(map(c99.literal, row))}}}," for row in mfcc.dct().T)
    constants = [
        f"#define LEAST_STEPS {c99.literal(limits.min - columns.zero_point)} /* at the smallest */",
        f"#define MELS {spec.num_mels}",
        f"#define SILENCE {c99.literal(spec.offset or 1)} /* what a band holds at least */",
        "",
        "/* What each band adds to each coefficient. */",
        "static const float dct[FRONTEND_MELS][MELS] = {",
        *rows,
        "};",
    ]
    return {
        "template": "mfcc_column.c",
        "kind": "MFCC",
        "mels": "MELS",
        "values": f"{mfcc.num_coefficients} /* of the column: here coefficients of the mel cepstrum */",
        "scratch_floats": spec.n_fft + 1 + spec.num_mels,
        "constants": "\n".join([*constants, ""]),
        "most_steps": c99.literal(limits.max - columns.zero_point),
        "weights": c99.rows(c99.literal(weight / spec.zero_level) for weight in weights),
        "offset": c99.literal(spec.offset),
    }


def log_mel_of(front_end):
    """The `LogMel` that a front end is, or that it holds."""
    return getattr(front_end, "log_mel", front_end)


def check(front_end):
    """Raises ZooError for a `LogMel` or an `MFCC` that cannot run as a stream in C, by setting."""
    spec = log_mel_of(front_end)
    n_fft, window_samples, hop_samples = spec.n_fft, spec.window_samples, spec.hop_samples
    if n_fft < 4 or n_fft & (n_fft - 1) or window_samples > n_fft:
        raise ZooError(
            f"the log-mel in C needs an n_fft that is a power of two and holds the window; got n_fft {n_fft} for a "
            f"window of {window_samples} samples"
        )
    if not 0 < hop_samples <= window_samples:
        raise ZooError(f"a stream needs hop_samples from 1 to the window's {window_samples}; got {hop_samples}")
    lowest = spec.offset or spec.floor
    if not 0 < lowest < math.inf:
        raise ZooError(f"levels need a floor above 0, or an offset; got {lowest}")
    if front_end is not spec and not 0 < front_end.num_coefficients <= spec.num_mels:
        raise ZooError(f"a cepstrum of {spec.num_mels} bands has no {front_end.num_coefficients} coefficients")


def _sparse(filterbank):
    """[(first bin, bins)] of each band, and the weights of all of them, end to end.

    Shape: filterbank is (bins, bands)
    """
    bands, weights = [], []
    for band in filterbank.T:
        held = np.flatnonzero(band)
        first, end = (held[0], held[-1] + 1) if len(held) else (0, 0)
        bands.append((first, end - first))
        weights.extend(band[first:end])
    return bands, weights or [0.0]  # C has no empty tables


class LogMelC(c99.Program):
    """The frontend.c of a folder. Nobody needs the column that it gives while the body runs."""

    def __init__(self, folder):
        header = Path(folder, "frontend.h").read_text()
        defined = c99.defined(header, "FRONTEND_")
        dtype = {"int8_t": np.int8, "int16_t": np.int16}[re.search(r"typedef (\w+) frontend_value", header).group(1)]
        pcm = Tensor((int(defined["FIELD_SAMPLES"]),), np.int16, 1 / 32768, 0)
        column = Tensor((1, int(defined["MELS"]), 1), dtype, *c99.quantisation(defined))
        scratch = np.empty(int(defined["SCRATCH_FLOATS"]), np.float32)
        super().__init__([Path(folder, "frontend.c")], "frontend_column", pcm, column, scratch, held=column)
