"""The doctor's faults, against recordings broken here and by nothing of the zoo: a sigma-delta modulator, soxr, scipy.

The claims are held on recordings that no limit was chosen on: ESC-10's fold 5 and the test split of Speech Commands.
"""

import csv

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr

from zoo.errors import ZooError
from zoo.runtime.faults import NAMES, faults, true_rate

LSB = 2.0**-15
ESC10, SPEECH = 12, 36  # clips of each; all of them are judged by tools/doctor.py


def read(paths):
    return [soundfile.read(path, dtype="float32") for path in paths]


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def spread(names, count):
    """`count` of them, evenly over their order."""
    return [names[i] for i in np.linspace(0, len(names) - 1, count).astype(int)]


@pytest.fixture(scope="module")
def held_out(real_recordings):
    """{corpus: (samples, rate) of clips that nothing was chosen on}."""
    esc10 = [row["filename"] for row in rows(real_recordings / "esc10" / "meta" / "esc10.csv") if row["fold"] == "5"]
    table = rows(real_recordings / "speech_commands" / "meta.csv")
    speech = [row["filename"] for row in table if row["split"] == "test"]
    return {
        "esc10": read(real_recordings / "esc10" / "audio" / name for name in spread(esc10, ESC10)),
        "speech_commands": read(real_recordings / "speech_commands" / name for name in spread(speech, SPEECH)),
    }


@pytest.fixture(scope="module")
def voice(held_out):
    """One second of speech at 16 kHz of middling loudness, and its rate."""
    return sorted(held_out["speech_commands"], key=lambda clip: np.std(clip[0]))[SPEECH // 2]


# --- The corruptions ----------------------------------------------------------------------------------------------


def pcm16(samples):
    """As a converter of 16 bits gives it."""
    return np.clip(np.rint(np.asarray(samples, np.float64) * 2**15), -(2**15), 2**15 - 1) / 2**15


def as_pdm_bytes(samples, oversampling=64):
    """The words that a second-order modulator's bits are, once packed, highest bit first."""
    bits, inner, outer, fed_back = [], 0.0, 0.0, 1.0
    for value in np.repeat(0.5 * samples, oversampling).tolist():
        inner += value - fed_back
        outer += inner - fed_back
        fed_back = 1.0 if outer > 0 else -1.0
        bits.append(outer > 0)
    return np.frombuffer(np.packbits(bits).tobytes(), ">i2") / 2**15


def around_peak(samples, count):
    start = max(0, int(np.abs(samples).argmax()) - count // 2)
    return samples[start : start + count]


def without_blocks(samples, block, gone, how):
    """`gone` are numbers of blocks; how: "zeros" in their place, or "joined" without them."""
    kept = np.ones(len(samples), bool)
    for number in gone:
        kept[number * block : (number + 1) * block] = False
    return np.where(kept, samples, 0) if how == "zeros" else samples[kept]


def loses_blocks(how):
    def seed(samples, rate, rng):
        block = int(rng.choice([256, 512, 1024]))
        level = [samples[i : i + block].std() for i in range(0, len(samples) - block, block)]
        heard = [i for i in range(1, len(level) - 1) if min(level[i - 1], level[i + 1]) > 16 * LSB]
        if len(heard) < 8:
            return None
        gone = rng.permutation(heard)[: min(len(heard) // 2, max(4, len(level) // 10))]
        return without_blocks(pcm16(samples), block, gone, how), rate

    return seed


def read_at(true_hz, read_hz):
    return lambda samples, rate, rng: (pcm16(soxr.resample(samples, rate, true_hz)), read_hz)


def by_telephone(samples, rate, rng):
    narrow = soxr.resample(samples, rate, 8000)
    narrow = scipy.signal.sosfilt(scipy.signal.butter(4, [300, 3400], "bandpass", fs=8000, output="sos"), narrow)
    return pcm16(soxr.resample(pcm16(narrow), 8000, rate)), rate


def driven(samples, rate, rng):
    """Until 3 % of the sound lie over full scale."""
    heard = np.abs(samples)[np.abs(samples) > np.abs(samples).max() / 100]
    return pcm16(samples / np.quantile(heard, 0.97)), rate


def faint(samples, rate, rng):
    """Until the loudest 50 ms have 3 steps of 16 bits."""
    loudest = max(np.std(samples[i : i + rate // 20]) for i in range(0, len(samples) - rate // 20, rate // 20))
    return pcm16(samples * 3 * LSB / loudest), rate


def in_stereo(samples, rng):
    """Two microphones some centimetres apart, each with a noise of its own."""
    other = 0.8 * np.roll(samples, 4) + rng.normal(0, 0.02 * samples.std() + LSB, len(samples))
    return pcm16(np.stack([samples, other], axis=1))


def with_one_channel_at(value):
    def seed(samples, rate, rng):
        channels = in_stereo(samples, rng)
        channels[:, rng.integers(2)] = value
        return channels, rate

    return seed


SEEDS = {
    ("pdm_as_pcm", ""): lambda samples, rate, rng: (as_pdm_bytes(around_peak(samples, rate // 20)), rate),
    ("byte_order", ""): lambda samples, rate, rng: (
        np.rint(pcm16(samples) * 2**15).astype(">i2").view("<i2") * LSB,
        rate,
    ),
    ("dead_channel", "silent"): with_one_channel_at(0.0),
    ("dead_channel", "stuck"): with_one_channel_at(-LSB),
    ("duplicated_channel", ""): lambda samples, rate, rng: (np.stack([samples] * 2, axis=1), rate),
    ("level", "faint"): faint,
    ("level", "integers"): lambda samples, rate, rng: (np.rint(samples * 2**15), rate),
    ("dc_offset", ""): lambda samples, rate, rng: (pcm16(0.8 * samples + rng.uniform(0.05, 0.2)), rate),
    ("clipping", ""): driven,
    ("dropped_blocks", "zeros"): loses_blocks("zeros"),
    ("dropped_blocks", "joined"): loses_blocks("joined"),
    ("wrong_rate", "48 as 16 kHz"): read_at(48_000, 16_000),
    ("wrong_rate", "16 as 48 kHz"): read_at(16_000, 48_000),
    ("spectrum", "telephone"): by_telephone,
}


@pytest.fixture(scope="module")
def named(held_out):
    """{corpus: {seed: whether each clip's seeded fault is among what is named}}."""
    rng, hits = np.random.default_rng(6), {}
    for corpus, clips in held_out.items():
        hits[corpus] = {seed: [] for seed in SEEDS}
        for samples, rate in clips:
            for seed, broken in SEEDS.items():
                broken = broken(samples.astype(np.float64), rate, rng) if np.ptp(samples) > 16 * LSB else None
                if broken is not None:  # what holds nothing cannot be broken
                    hits[corpus][seed].append(seed[0] in [fault.name for fault in faults(*broken)])
    return hits


# Where a fault cannot be told, stated rather than hidden: (corpus, seed) -> the share that must be named all the same.
# White noise does not tell where two stretches of it were joined, and a second of speech at 16 kHz is short of little
# else between its words; rain at three times its speed is another rain.
HARD = {
    ("speech_commands", ("dropped_blocks", "joined")): 0.15,
    ("esc10", ("wrong_rate", "48 as 16 kHz")): 0.6,
    ("esc10", ("wrong_rate", "16 as 48 kHz")): 0.3,
    ("speech_commands", ("wrong_rate", "16 as 48 kHz")): 0.7,
}


def test_95_percent_of_seeded_faults_are_named_each_fault_alike(named):
    """The mean over faults of the share of clips in which the seeded one is among those named, over both corpora."""
    shares = {}
    for seeds in named.values():
        for (fault, _), hits in seeds.items():
            shares.setdefault(fault, []).append(np.mean(hits))
    assert set(shares) == set(NAMES) - {"not_finite"}
    assert np.mean([np.mean(values) for values in shares.values()]) >= 0.95


@pytest.mark.parametrize("corpus", ["esc10", "speech_commands"])
@pytest.mark.parametrize("seed", SEEDS)
def test_each_seeded_fault_is_named_in_nearly_all_recordings(named, corpus, seed):
    hits = named[corpus][seed]
    assert len(hits) > 5
    assert np.mean(hits) >= HARD.get((corpus, seed), 0.85)  # of ten clips, one may be a case apart


def test_few_clean_recordings_are_blamed(held_out):
    """Of all that is held out tools/doctor.py blamed 4 of 80 and 10 of 308. Those 10 have what they are blamed for: six
    stand off zero by 5 to 13 % of full scale, one clips, three lost blocks. Two of these 48 leave room for such."""
    blamed = [bool(faults(samples, rate)) for clips in held_out.values() for samples, rate in clips]
    assert sum(blamed) <= 2


def test_no_more_than_1_percent_of_training_recordings_are_taken_for_another_rate(real_recordings):
    """As the table's limits promise; of 40 clips that is none or one."""
    table = rows(real_recordings / "speech_commands" / "meta.csv")
    train = [row["filename"] for row in table if row["split"] == "train"]
    clips = read(real_recordings / "speech_commands" / name for name in spread(train, 40))
    assert sum("wrong_rate" in names(samples, rate) for samples, rate in clips) <= 1


# --- What looks like a fault and is none --------------------------------------------------------------------------


def names(samples, rate=16_000):
    return [fault.name for fault in faults(samples, rate)]


def test_silence_before_between_and_after_sounds_is_no_loss(voice):
    samples, rate = voice
    fade = np.minimum(1, np.arange(len(samples)) / 800)
    word = pcm16(samples * fade * fade[::-1])
    padded = np.concatenate([np.zeros(4096), word, np.zeros(8192), word, np.zeros(4096)])
    assert "dropped_blocks" not in names(padded, rate)


def test_a_hum_at_full_scale_is_not_clipping():
    """A slow sine stays near its peak for many samples."""
    hum = pcm16(np.sin(2 * np.pi * 50 * np.arange(48_000) / 48_000 + 0.1))
    assert "clipping" not in names(hum, 48_000)
    assert "clipping" in names(pcm16(1.5 * hum), 48_000)


def test_eight_bits_in_sixteen_are_not_swapped_bytes(voice):
    samples, rate = voice
    assert "byte_order" not in names(np.rint(samples * 127) / 128, rate)


@pytest.mark.parametrize("amplitude", [0.02, 0.5])
def test_white_noise_is_no_bit_stream_and_not_swapped(amplitude):
    noise = pcm16(np.random.default_rng(0).uniform(-amplitude, amplitude, 32_000))
    assert not {"pdm_as_pcm", "byte_order", "dropped_blocks", "clipping"} & set(names(noise))


def test_equal_channels_are_told_and_called_harmless(voice):
    samples, rate = voice
    (fault,) = faults(np.stack([samples, samples], axis=1), rate)
    assert fault.name == "duplicated_channel" and fault.harmless


def test_a_fault_that_explains_others_is_named_alone(voice):
    samples, rate = voice
    swapped = np.rint(pcm16(samples) * 2**15).astype(">i2").view("<i2") * LSB
    assert names(swapped, rate) == ["byte_order"]
    assert names(as_pdm_bytes(around_peak(samples, rate // 20)), rate) == ["pdm_as_pcm"]


# --- Odd cases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [None, 1, 2, 8])
@pytest.mark.parametrize("length", [0, 1, 2, 30, 799])
def test_what_is_shorter_than_50_ms_is_not_judged(length, channels):
    shape = (length,) if channels is None else (length, channels)
    assert faults(np.zeros(shape, np.float32), 16_000) == []


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 192_000])
@pytest.mark.parametrize("length", [0.05, 0.1, 0.31, 1.0])
def test_every_length_and_rate_gives_an_answer(rate, length):
    noise = np.random.default_rng(0).normal(0, 0.1, int(np.ceil(length * rate))).astype(np.float32)
    assert {fault.name for fault in faults(noise, rate)} <= set(NAMES)


@pytest.mark.parametrize("value", [0.0, -LSB, 0.25, 1.0])
def test_a_signal_that_never_moves_is_a_dead_channel(value):
    (fault, *others) = faults(np.full(16_000, value, np.float32), 16_000)
    assert fault.name == "dead_channel" and others == []


def test_numbers_that_are_none_are_told_alone(voice):
    samples = np.array(voice[0])
    samples[[5, 700]] = np.nan, np.inf
    (fault,) = faults(samples, voice[1])
    assert fault.name == "not_finite" and fault.measured["not_finite"] == pytest.approx(2 / len(samples))


def test_of_8_channels_the_dead_and_the_equal_ones_are_told_by_number(voice):
    samples, rate = voice
    rng = np.random.default_rng(0)
    channels = pcm16(np.stack([np.roll(samples, i) + rng.normal(0, 1e-3, len(samples)) for i in range(8)], axis=1))
    assert not {"dead_channel", "duplicated_channel"} & set(names(channels, rate))
    channels[:, 5] = 0
    assert next(f for f in faults(channels, rate) if f.name == "dead_channel").measured["channels"] == [6]
    channels[:, 5] = channels[:, 2]
    assert next(f for f in faults(channels, rate) if f.name == "duplicated_channel").measured["channels"] == [6]


def test_float32_float64_and_integers_are_taken_and_left_as_they_are(voice):
    samples, rate = voice
    before = samples.copy()
    assert names(samples, rate) == names(samples.astype(np.float64), rate)
    assert names(np.rint(samples * 2**15).astype(np.int16), rate) == ["level"]
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("samples", [np.zeros((3, 4, 5)), np.zeros((9, 0)), np.array(["a"]), np.zeros(9, complex), 0.5])
def test_what_is_no_sound_is_refused_in_one_line(samples):
    with pytest.raises(ZooError, match=r"^samples: .*\(time,\) or \(time, channels\)$"):
        faults(samples, 16_000)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused_in_one_line(rate):
    with pytest.raises(ZooError, match="^sample rate: "):
        faults(np.zeros(16_000), rate)


def test_every_fault_says_what_was_measured_and_what_to_do(voice):
    samples, rate = voice
    for broken in (as_pdm_bytes(around_peak(samples, 800)), 3 * samples, 0.5 + 0.1 * samples, 1e-5 * samples):
        for fault in faults(broken, rate):
            assert any(letter.isdigit() for letter in fault.evidence) and fault.remedy and fault.measured
            assert not any("\n" in text for text in (fault.evidence, fault.remedy))


# --- The rate by the clock ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated, delivered, said", [
    (16_000, 48_000, 48_000), (48_000, 16_000, 16_000), (16_000, 44_100, 44_100), (44_100, 48_000, 48_000),
    (16_000, 16_200, None), (48_000, 47_000, None), (16_000, 14_000, 14_000),
])  # fmt: skip
def test_the_rate_that_a_driver_keeps_is_told_by_the_clock(stated, delivered, said):
    """Within a buffer of 1,024 samples of three seconds of it."""
    for off in (-1024, 0, 1024):
        found = true_rate(3 * delivered + off, 3.0, stated)
        assert found == said if said != 14_000 else abs(found - said) < 400  # no common rate: as it was measured


@pytest.mark.parametrize("numbers", [(0, 1, 16_000), (10, 0, 16_000), (10, 1, 0), (10, -1, 16_000)])
def test_a_rate_that_cannot_be_measured_is_refused(numbers):
    with pytest.raises(ZooError, match="listen for a second"):
        true_rate(*numbers)
