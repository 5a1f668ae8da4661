"""Leaks that are planted in real recordings are found, and nothing else is; the index against a count by hand."""

import csv
from collections import Counter

import numpy as np
import pytest
import soundfile
from scipy import signal

from tools.leakage import PLANTED, found
from zoo import leakage
from zoo.leakage import RATE_HZ


@pytest.fixture(scope="module")
def clips(esc10_folder):
    """[(waveform, sample rate in Hz)] of 50 clips of ESC-10, ten classes in five folds, each of its own source."""
    return [soundfile.read(path, dtype="float32") for path in sorted((esc10_folder / "audio").glob("*.ogg"))]


@pytest.fixture(scope="module")
def prints(clips):
    return [leakage.fingerprint(leakage.at_rate(*clip)) for clip in clips]


# Measured over 200 clips of ESC-10 with python -m tools.leakage; what is not found is silence, or close to it.
FEWEST_FOUND = {
    "two cuts, a fifth in common": 9,
    "a second of it": 8,
    "Ogg Vorbis, lowest quality": 10,
    "MP3, lowest rate, 22.05 kHz": 9,
    "8 bits at a quarter of its level": 10,
    "16 kHz at a tenth of its level": 10,
}


@pytest.mark.parametrize("leak", PLANTED)
def test_a_planted_leak_is_found(clips, leak):
    hits = [bool(found(PLANTED[leak](*clip))) for clip in clips[:10]]  # one of each class
    assert sum(hits) >= FEWEST_FOUND[leak]


def test_two_cuts_are_found_at_their_offset(real_recordings):
    waveform, rate_hz = soundfile.read(
        real_recordings / "esc10" / "audio" / "1-17367-A-10.ogg", dtype="float32"
    )  # rain
    first, second = waveform[:150_000], 0.1 * waveform[77_777:]
    (pair,) = found([(first, rate_hz), (second, rate_hz)])
    assert pair.offset_s == pytest.approx(77_777 / rate_hz, abs=1 / RATE_HZ)
    assert pair.overlap_s == pytest.approx((150_000 - 77_777) / rate_hz, abs=leakage.HOP_SAMPLES / RATE_HZ)
    (turned,) = found([(second, rate_hz), (first, rate_hz)])
    assert turned.offset_s == pytest.approx(-pair.offset_s, abs=1 / RATE_HZ)
    # Neighbours share no sound, and no fingerprint tells that they are of one recording.
    assert found([(waveform[:100_000], rate_hz), (waveform[100_000:], rate_hz)]) == []


def test_of_fifty_clips_one_recording_is_in_two_folds_and_no_other_pair_is_made(esc10_folder, clips, prints):
    """Two sources by ESC-10's csv, which are one: correlated as waveforms, without any of what found them."""
    (pair,) = leakage.pairs(prints, range(50), lambda i: leakage.at_rate(*clips[i]))
    with open(esc10_folder / "meta" / "esc10.csv", newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["filename"])
    first, second = rows[pair.first], rows[pair.second]
    assert (first["filename"], second["filename"]) == ("3-151080-A-20.ogg", "5-151085-A-20.ogg")
    assert (first["fold"], second["fold"]) == ("3", "5") and first["src_file"] != second["src_file"]
    (one, rate_hz), (other, _) = clips[pair.first], clips[pair.second]
    correlation = signal.correlate(one, other) / np.sqrt(np.sum(one**2) * np.sum(other**2))  # at all lags, at 44.1 kHz
    lags = signal.correlation_lags(len(one), len(other))
    assert lags[np.argmax(correlation)] / rate_hz == pytest.approx(pair.offset_s, abs=1 / RATE_HZ)
    assert correlation.max() > 0.4
    # Against another crying baby, of a source of its own, the best of all lags is far below that.
    third, _ = clips[next(i for i, row in enumerate(rows) if row["category"] == "crying_baby" and row["fold"] == "1")]
    unlike = signal.correlate(one, third) / np.sqrt(np.sum(one**2) * np.sum(third**2))
    assert unlike.max() < 0.2


def test_silence_noise_and_a_hum_in_common_make_no_pair():
    rng, at_s = np.random.default_rng(0), np.arange(5 * RATE_HZ) / RATE_HZ
    hum = sum(0.2 / n * np.sin(2 * np.pi * 50 * n * at_s) for n in (1, 2, 3, 5))
    silence = np.zeros(len(at_s), np.float32)
    assert len(leakage.fingerprint(silence).hashes) == 0
    rounding = rng.integers(-1, 2, (2, len(at_s))) / 32_768  # the last bit of 16
    noises = rng.normal(0, 0.01, (4, len(at_s)))
    clips = [silence, silence, *rounding, hum + noises[0], hum + noises[1], 5 * noises[2], 5 * noises[3]]
    assert found([(clip.astype(np.float32), RATE_HZ) for clip in clips]) == []


def test_the_index_counts_as_a_comparison_of_all_pairs_does(monkeypatch):
    monkeypatch.setattr(leakage, "BLOCK_CLIPS", 7)
    rng = np.random.default_rng(0)
    prints = [
        leakage.Fingerprint(rng.integers(0, 60, n).astype(np.uint32), rng.integers(0, 9, n).astype(np.int32))
        for n in rng.integers(0, 80, 20)
    ]
    groups = rng.integers(0, 8, 20).tolist()
    wanted = {}
    for i, first in enumerate(prints):
        for j in range(i + 1, len(prints)):
            offsets = Counter(
                int(t - u) for h, t in zip(*first) for g, u in zip(*prints[j]) if h == g and groups[i] != groups[j]
            )
            most = max((count + offsets[offset + 1] for offset, count in offsets.items()), default=0)
            if most >= 3:  # three per cent of so few hashes are less
                wanted[i, j] = most
    monkeypatch.setattr(leakage, "COMMONEST", 10**6)
    candidates = leakage.candidates(prints, groups)
    assert {(i, j): count for i, j, count, _ in candidates} == wanted and len(wanted) > 10
    monkeypatch.setattr(leakage, "COMMONEST", 0)
    assert leakage.candidates(prints, groups) == []


def test_phases_agree_at_the_true_lag_alone():
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE_HZ).astype(np.float32)
    found = leakage.confirm(noise, noise[1_234:], 1_200)
    assert found.offset_samples == 1_234 and found.correlation > 0.9
    assert leakage.confirm(noise, noise[5_000:], 1_200).sigmas < leakage.FEWEST_SIGMAS
    assert leakage.confirm(noise, noise, 3 * RATE_HZ - 10).sigmas == 0  # too little to tell


def test_a_source_in_two_folds_is_named():
    found = leakage.sources_across([1, 1, 2, 3, 3], ["a", "b", "a", "c", "a"])
    assert found == {"a": [1, 2, 3]}
