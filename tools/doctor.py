"""Makes the doctor's table of what training data sound like, and judges the doctor on recordings that it never saw.

    python -m tools.doctor table DIR            writes zoo/runtime/training_spectrum.py (ESC-10 folds 1 to 4, Speech
                                                Commands' training split: both CC BY); a few minutes, the same each time
    python -m tools.doctor judge DIR [--every N] prints, for each corpus, how many clips are blamed and how many seeded
                                                faults are named; --train judges what the limits were chosen on

DIR holds esc10/ and speech_commands/ for the table; urbansound8k_part/ and esc50_part/ are judged too, if they are
there. Needs soundfile, soxr, scipy and scikit-learn.
"""

import argparse
import csv
import zlib
from collections import defaultdict
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import soxr
from sklearn.linear_model import LogisticRegression

from zoo.atomic import whole_file
from zoo.runtime import spectrum
from zoo.runtime.faults import LSB, faults

ROOT = Path(__file__).parents[1]

# Corpus -> (csv, folder of audio, name of a row's file, whether a row was learned from: None for one that is not used).
CORPORA = {
    "esc10": ("esc10/meta/esc10.csv", "esc10/audio", lambda row: row["filename"], lambda row: row["fold"] != "5"),
    "speech_commands": (
        "speech_commands/meta.csv",
        "speech_commands",
        lambda row: row["filename"],
        lambda row: {"train": True, "test": False}.get(row["split"]),
    ),
    "urbansound8k_part": (
        "urbansound8k_part/metadata/UrbanSound8K.csv",
        "urbansound8k_part/audio",
        lambda row: f"fold{row['fold']}/{row['slice_file_name']}",
        lambda row: False,
    ),
    "esc50_part": ("esc50_part/meta/esc50.csv", "esc50_part/audio", lambda row: row["filename"], lambda row: False),
}


def clips(folder, corpus, train):
    """(name, samples, rate in Hz) of each clip that was learned from, or of each that is held out."""
    table, audio, name, learned = CORPORA[corpus]
    if not (folder / table).exists():
        return
    with open(folder / table, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if learned(row) == train]
    for row in rows:
        path = folder / audio / name(row)
        if path.exists():
            samples, sample_rate_hz = soundfile.read(path, dtype="float32")
            yield path.name, samples, sample_rate_hz


# --- The table -----------------------------------------------------------------------------------------------------

LEARNED_FROM = {"esc10": 2.0, "speech_commands": 1.0}  # corpus: its weight, shared by its clips
HISS_SNR_DB = (30, 60)
# What is told -> (bands, speeds at which the same recordings are played too, C of the regression, whether each is heard
# under hiss as well). Hiss reaches up, as what is played too fast does, and must not be taken for it; it only hides
# what is played too slow. C was chosen on clips left out.
ASKED = {
    "TOO_SLOW": (spectrum.NARROW, (16 / 48, 16 / 44.1), 0.3, False),
    "TOO_FAST": (spectrum.WIDE, (48 / 16, 44.1 / 16), 0.1, True),
}
BLAMED = 0.01  # of sounds at the right rate, in either corpus
FOLDS = 4

HEADER = """\"\"\"How training data sound: weights for what `spectrum.describe` gives, as log odds of a wrong rate.

Made by `python -m tools.doctor table DIR` from ESC-10, folds 1 to 4 (CC BY 3.0), and the training split of Speech
Commands (CC BY 4.0): {clips:,} clips at their rate and played three times too slow or too fast (these with and
without white noise too); logistic regression. limit: what {blamed:.0%} of either corpus reach, left out.
\"\"\"

# fmt: off
"""


def described(folder, bands, speeds, hissing):
    """(features, whether played wrongly, weight, fold, corpus) of all clips at their own rate and at `speeds`."""
    rows = []
    for corpus, weight in LEARNED_FROM.items():
        ours = []
        for number, (name, samples, rate) in enumerate(clips(folder, corpus, train=True)):
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            fold = int(name[0]) % FOLDS if corpus == "esc10" else number % FOLDS
            for speed in (1, *speeds):
                # What is played slower holds less of the band: a resampler fills the rest with nothing.
                up = int(np.ceil(bands.lowest_rate_hz / (rate * speed))) if speed < 1 else 1
                played = soxr.resample(samples, 1, up) if up > 1 else samples
                hiss = rng.normal(0, played.std() * 10 ** (-rng.uniform(*HISS_SNR_DB) / 20) + LSB / 4, len(played))
                for heard in (played, played + hiss) if hissing else (played,):
                    description = spectrum.describe(heard, rate * speed * up, bands)
                    if description is not None:
                        ours.append((np.concatenate(description), speed != 1, fold, corpus))
        right = sum(not wrong for _, wrong, _, _ in ours)
        for features, wrong, fold, corpus in ours:
            share = 1 / (len(ours) - right) if wrong else 1 / max(right, 1)
            rows.append((features, wrong, weight * share, fold, corpus))
    return [np.array(column) for column in zip(*rows)]


def regression(features, wrong, weights, penalty):
    """The weights of the features and the bias, the features as they come."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    model = LogisticRegression(C=penalty, max_iter=1000)
    model.fit((features - mean) / scale, wrong, sample_weight=weights / weights.mean())
    coefficients = model.coef_[0] / scale
    return coefficients, float(model.intercept_[0] - coefficients @ mean)


def table(folder):
    clips_used = sum(1 for corpus in LEARNED_FROM for _ in clips(folder, corpus, train=True))
    text = HEADER.format(clips=clips_used, blamed=BLAMED)
    for name, (bands, speeds, penalty, hissing) in ASKED.items():
        features, wrong, weights, folds, corpora = described(folder, bands, speeds, hissing)
        log_odds = np.empty(len(features))
        for fold in range(FOLDS):
            out = folds == fold
            coefficients, bias = regression(features[~out], wrong[~out], weights[~out], penalty)
            log_odds[out] = features[out] @ coefficients + bias
        limit = max(np.quantile(log_odds[~wrong & (corpora == c)], 1 - BLAMED) for c in set(corpora[~wrong]))
        for corpus in LEARNED_FROM:
            there = corpora == corpus
            named = np.mean(log_odds[wrong & there] > limit)
            print(f"{name} {corpus}: {named:.1%} named of those left out, {np.sum(there)} examples")
        coefficients, bias = regression(features, wrong, weights, penalty)
        text += f'\n{name} = {{\n    "limit": {limit:.3f},\n    "bias": {bias:.4f},\n'
        sizes = [len(bands.centres_hz)] * 3 + [len(spectrum.LAGS), len(bands.centres_hz) - spectrum.LOWEST_TONAL]
        for part, numbers in zip(spectrum.Description._fields, np.split(coefficients, np.cumsum(sizes)[:-1])):
            text += f'    "{part}": [\n'
            for start in range(0, len(numbers), 11):
                text += "        " + ", ".join(f"{number:+.4f}" for number in numbers[start : start + 11]) + ",\n"
            text += "    ],\n"
        text += "}\n"
    with whole_file(ROOT / "zoo" / "runtime" / "training_spectrum.py") as path:
        path.write_text(text.replace("+", ""), encoding="utf-8")


# --- Seeded faults ------------------------------------------------------------------------------------------------
# Each takes (samples, rate, random generator) and gives (samples, rate), or None where the clip holds nothing to break.


def pcm16(samples):
    return np.clip(np.round(samples / LSB), -(2**15), 2**15 - 1) * LSB


def pdm(samples, rate, rng):
    """A second-order modulator at 64 times the rate, its bits packed and read as words: a quarter of a second
    around the peak."""
    start = max(0, np.argmax(np.abs(samples)) - rate // 8)
    slow = samples[start : start + rate // 4] * 0.5
    first = second = 0.0
    bits = np.empty(64 * len(slow), np.uint8)
    for i, value in enumerate(np.repeat(slow, 64).tolist()):
        out = 1.0 if second >= 0 else -1.0
        bits[i] = out > 0
        first += value - out
        second += first - 2 * out
    return np.packbits(bits).view("<i2") * LSB, rate


def swapped_bytes(samples, rate, rng):
    return np.round(pcm16(samples) / LSB).astype("<i2").view(">i2") * LSB, rate


def clipped(samples, rate, rng):
    """Amplified until 1 to 10 % of the sound reach the ceiling, which is full scale or half of it."""
    heard = np.abs(samples)[np.abs(samples) > np.abs(samples).max() / 100]
    gain = 1 / np.quantile(heard, 1 - rng.uniform(0.01, 0.1))
    return pcm16(np.clip(samples * gain, -1, 1) * rng.choice([1, 0.5])), rate


def offset(samples, rate, rng):
    return pcm16(samples * 0.8 + rng.choice([-1, 1]) * rng.uniform(0.05, 0.2)), rate


def stereo(samples, rng, snr_db=30):
    """What a second microphone hears a little later, with a noise of its own."""
    other = np.roll(samples, 3) * rng.uniform(0.7, 1) + rng.normal(
        0, samples.std() * 10 ** (-snr_db / 20), len(samples)
    )
    return pcm16(np.stack([samples, other], axis=1))


def dead(samples, rate, rng):
    channels = stereo(samples, rng)
    channels[:, rng.integers(2)] = rng.choice([0, 1, -1]) * LSB
    return channels, rate


def duplicated(samples, rate, rng):
    return np.stack([samples, samples], axis=1), rate


def stuck(samples, rate, rng):
    return np.full(len(samples), rng.choice([0, -LSB, 0.25])), rate


def faint(samples, rate, rng):
    """Until the loudest 50 ms have 0.7 to 5 steps of 16 bits."""
    n = rate // 20
    loudest = np.sqrt(np.square(samples[: len(samples) // n * n]).reshape(-1, n).mean(axis=1).max())
    return pcm16(samples / loudest * LSB * 10 ** rng.uniform(-0.15, 0.7)), rate


def unscaled(samples, rate, rng):
    return pcm16(samples) / LSB, rate


def lost(samples, rng):
    """Which of its blocks a recording loses: a tenth and at least four, with sound on either side."""
    block = int(rng.choice([256, 512, 1024]))
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    loud = np.sqrt(np.square(blocks).mean(axis=1)) > 16 * LSB
    inside = 1 + np.flatnonzero(loud[:-2] & loud[2:])
    if len(inside) < 8:
        return blocks, None
    return blocks, rng.choice(inside, min(len(inside) // 2, max(4, len(blocks) // 10)), replace=False)


def zero_filled(samples, rate, rng):
    blocks, gone = lost(pcm16(samples), rng)
    if gone is None:
        return None
    blocks[gone] = 0
    return blocks.reshape(-1), rate


def joined(samples, rate, rng):
    blocks, gone = lost(pcm16(samples), rng)
    return None if gone is None else (np.delete(blocks, gone, axis=0).reshape(-1), rate)


def misread(true_hz, read_hz):
    def seed(samples, rate, rng):
        return pcm16(soxr.resample(samples, rate, true_hz, quality="VHQ")), read_hz

    return seed


def telephone(samples, rate, rng):
    """8 kHz and 300 to 3,400 Hz, in the steps of 8-bit mu-law, and back to its rate: a headset's telephone mode."""
    narrow = soxr.resample(samples, rate, 8000)
    narrow = scipy.signal.sosfilt(scipy.signal.butter(4, [300, 3400], "bandpass", fs=8000, output="sos"), narrow)
    steps = np.round(127 * np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)) / 127
    narrow = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255
    return pcm16(soxr.resample(narrow, 8000, rate)), rate


def muffled(samples, rate, rng):
    low = scipy.signal.butter(8, rng.uniform(1000, 2500), fs=rate, output="sos")
    return pcm16(scipy.signal.sosfilt(low, samples)), rate


# What was done -> (the fault to be named, how).
SEEDS = {
    "pdm_as_pcm": ("pdm_as_pcm", pdm),
    "byte_order": ("byte_order", swapped_bytes),
    "clipping": ("clipping", clipped),
    "dc_offset": ("dc_offset", offset),
    "dead_channel": ("dead_channel", dead),
    "dead_channel, mono": ("dead_channel", stuck),
    "duplicated_channel": ("duplicated_channel", duplicated),
    "level, faint": ("level", faint),
    "level, integers": ("level", unscaled),
    "dropped_blocks, zeros": ("dropped_blocks", zero_filled),
    "dropped_blocks, joined": ("dropped_blocks", joined),
    "wrong_rate, 48 as 16 kHz": ("wrong_rate", misread(48_000, 16_000)),
    "wrong_rate, 44.1 as 16 kHz": ("wrong_rate", misread(44_100, 16_000)),
    "wrong_rate, 16 as 48 kHz": ("wrong_rate", misread(16_000, 48_000)),
    "spectrum, telephone": ("spectrum", telephone),
    "spectrum, muffled": ("spectrum", muffled),
}


def judge(folder, every, train):
    for corpus in CORPORA:
        clean, blamed, named = 0, defaultdict(list), {seed: [] for seed in SEEDS}
        beside = defaultdict(int)
        for name, samples, rate in list(clips(folder, corpus, train))[::every]:
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            clean += 1
            for fault in faults(samples, rate):
                blamed[name].append(fault.name)
            if np.ptp(samples) < 16 * LSB:  # nothing there that could be broken
                continue
            for seed, (fault, how) in SEEDS.items():
                broken = how(samples, rate, rng)
                if broken is not None:
                    found = [found.name for found in faults(*broken)]
                    named[seed].append(fault in found)
                    for other in set(found) - {fault}:
                        beside[f"{seed} -> {other}"] += 1
        if clean:
            print(f"\n{corpus}: {len(blamed)} of {clean} clean clips blamed, {len(blamed) / clean:.2%}", flush=True)
            for fault in sorted({fault for names in blamed.values() for fault in names}):
                those = [name for name in blamed if fault in blamed[name]]
                print(f"    {fault:30} {len(those):4}  {' '.join(those[:6])}")
            for seed, hits in named.items():
                print(f"  {seed:32} {np.mean(hits):7.2%} of {len(hits)}")
            by_fault = {fault: [] for fault, _ in SEEDS.values()}
            for seed, hits in named.items():
                by_fault[SEEDS[seed][0]].append(np.mean(hits))
            print(f"  {'each fault alike':32} {np.mean([np.mean(shares) for shares in by_fault.values()]):7.2%}")
            print(
                f"  {'each seed alike':32} {np.mean(sum(named.values(), [])):7.2%} of {sum(map(len, named.values()))}"
            )
            print("  also named:", dict(sorted(beside.items(), key=lambda item: -item[1])[:12]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("table", "judge"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="judge each Nth clip")
    parser.add_argument("--train", action="store_true", help="judge the clips that the limits were chosen on")
    args = parser.parse_args()
    if args.what == "table":
        table(args.folder)
    else:
        judge(args.folder, args.every, args.train)
