"""Speech Commands: the archive becomes the twelve classes of the official task, and no speaker is on two sides."""

import csv
import hashlib
import io
from collections import Counter

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from zoo import datasets
from zoo.datasets.recordings import Row
from zoo.datasets.speech_commands import KEYWORDS, SpeechCommands, which_set
from zoo.errors import ZooError

RATE_HZ = 16_000
OTHER_WORDS = ("bed", "zero")
# Twenty speakers who say every word once: 200 keywords, and 40 other words.
SPEAKERS = tuple(f"{number * 2_654_435_761 % 2**32:08x}" for number in range(1, 21))
VALIDATION, TEST = SPEAKERS[:3], SPEAKERS[3:8]


def clip(word, speaker):
    return f"{word}/{speaker}_nohash_0.wav"


def write_lists(folder, validation=VALIDATION, test=TEST):
    words = (*KEYWORDS, *OTHER_WORDS)
    for name, speakers in (("validation_list.txt", validation), ("testing_list.txt", test)):
        (folder / name).write_text("".join(clip(word, speaker) + "\n" for word in words for speaker in speakers))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A small archive: clips of 10 ms, all unlike, and two recordings of noise of 20 and 30 s that count upwards."""
    folder = tmp_path_factory.mktemp("archive")
    rng = np.random.default_rng(0)
    for word in (*KEYWORDS, *OTHER_WORDS):
        (folder / word).mkdir()
        for speaker in SPEAKERS:
            soundfile.write(folder / clip(word, speaker), rng.uniform(-0.5, 0.5, RATE_HZ // 100), RATE_HZ)
    (folder / "_background_noise_").mkdir()
    for name, duration_s, step in (("pink_noise", 20, 1), ("running_tap", 30, 3)):
        ramp = (np.arange(duration_s * RATE_HZ) * step % 65_536 - 32_768).astype(np.int16)
        soundfile.write(folder / "_background_noise_" / f"{name}.wav", ramp, RATE_HZ)
    (folder / "README.md").write_text("what lies beside the words\n")
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """That archive, with lists, as links: a test may take files away and put others there."""
    folder = tmp_path / "archive"
    for path in written.rglob("*.wav"):
        link = folder / path.relative_to(written)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    write_lists(folder)
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def replace(path, text=b"this is no sound"):
    path.unlink()
    path.write_bytes(text)


def examples(builder):
    return {example["file"].decode(): example for example in tfds.as_numpy(builder.as_dataset(split="all"))}


def refusal(folder):
    with pytest.raises(ZooError) as refused:
        SpeechCommands.rows(folder)
    assert "\n" not in str(refused.value) and "speech_commands" in str(refused.value)
    return str(refused.value)


# The archive


def test_the_lists_choose_the_split_of_each_clip(folder):
    for row in SpeechCommands.rows(folder):
        if row.label != "silence":
            expected = 1 if row.source in VALIDATION else 2 if row.source in TEST else 0
            assert (row.fold, row.file) == (expected, clip(row.path.parent.name, row.source))


def test_without_lists_the_official_hash_chooses_by_the_speaker(folder):
    for name in ("validation_list.txt", "testing_list.txt"):
        (folder / name).unlink()
    spoken = [row for row in SpeechCommands.rows(folder) if row.label != "silence"]
    assert len(spoken) > 200
    for row in spoken:
        assert row.fold == SpeechCommands.FOLDS[which_set(row.source)]
    assert {row.fold for row in spoken} == {0, 1, 2}  # among twenty speakers some are in each


def test_the_hash_is_the_published_formula():
    # From the data set's README: sha1 of what stands before _nohash_, modulo 2**27, as percent of 2**27 - 1;
    # the first ten validate, the next ten test.
    for speaker in (*SPEAKERS, "0c540988", "bobby"):
        place = int.from_bytes(hashlib.sha1(speaker.encode()).digest(), "big") & (2**27 - 1)
        tenth = int(10 * place / (2**27 - 1))
        assert which_set(speaker) == {0: "validation", 1: "test"}.get(tenth, "train")


@pytest.mark.parametrize("split, num_speakers", [("train", 12), ("validation", 3), ("test", 5)])
def test_unknown_and_silence_are_a_tenth_of_the_keywords_each(folder, split, num_speakers):
    counts = Counter(row.label for row in SpeechCommands.rows(folder) if row.fold == SpeechCommands.FOLDS[split])
    # Ten keywords a speaker, so a tenth of them are as many clips as speakers.
    assert counts == dict.fromkeys((*KEYWORDS, "unknown", "silence"), num_speakers)


def test_a_tenth_is_rounded_up(folder):
    (folder / clip("yes", TEST[0])).unlink()
    names = (folder / "testing_list.txt").read_text().splitlines()
    (folder / "testing_list.txt").write_text("\n".join(n for n in names if n != clip("yes", TEST[0])))
    counts = Counter(row.label for row in SpeechCommands.rows(folder) if row.fold == 2)
    assert (counts["yes"], counts["unknown"], counts["silence"]) == (4, 5, 5)  # a tenth of 49 is 4.9


def test_the_rule_gives_the_4890_clips_of_the_official_test_set(written):
    # TFDS's catalogue gives 4,890 for the official 12-class test set, which no number of keywords but 4,074 leads to.
    noises = sorted((written / "_background_noise_").iterdir())
    rows = [Row(str(n), written, 2, "yes" if n < 4_074 else "unknown", "") for n in range(10_000)]
    counts = Counter(row.label for row in SpeechCommands._twelve_classes("test", rows, noises))
    assert counts == {"yes": 4_074, "unknown": 408, "silence": 408}


def test_the_same_unknown_words_are_chosen_again_and_of_every_word(folder):
    chosen = [row.file for row in SpeechCommands.rows(folder) if row.label == "unknown"]
    assert [row.file for row in SpeechCommands.rows(folder) if row.label == "unknown"] == chosen
    assert {file.split("/")[0] for file in chosen} == set(OTHER_WORDS)


def test_a_further_file_changes_the_choice_of_no_other_split(folder, written):
    before = {row.file for row in SpeechCommands.rows(folder) if row.fold}
    for word in OTHER_WORDS:
        (folder / word / "abcdef01_nohash_0.wav").symlink_to(written / clip(word, SPEAKERS[0]))
    assert {row.file for row in SpeechCommands.rows(folder) if row.fold} == before


def test_silence_of_two_splits_shares_no_sample(folder):
    for name, num_samples in (("pink_noise.wav", 20 * RATE_HZ), ("running_tap.wav", 30 * RATE_HZ)):
        taken = np.zeros((3, num_samples), bool)  # by each split
        for row in SpeechCommands.rows(folder):
            if row.path.name == name:
                assert 0 <= row.start_samples <= num_samples - RATE_HZ
                taken[row.fold, row.start_samples : row.start_samples + RATE_HZ] = True
        assert taken.any(axis=1).all() and taken.sum(axis=0).max() == 1
        assert np.flatnonzero(taken[0])[-1] + 1 == 0.8 * num_samples  # spaced evenly, to the end of its part


def test_a_clip_of_silence_is_that_second_of_its_recording(folder):
    silence = [row for row in SpeechCommands.rows(folder) if row.label == "silence"]
    assert len(silence) == 12 + 3 + 5
    for row in silence:
        found = SpeechCommands.read(row)
        recording, start = row.file.split("#")
        samples, rate_hz = soundfile.read(folder / recording, dtype="int16")
        kept, kept_rate_hz = soundfile.read(io.BytesIO(found.encoded), dtype="int16")
        np.testing.assert_array_equal(kept, samples[int(start) : int(start) + RATE_HZ])
        assert kept_rate_hz == rate_hz == found.sample_rate_hz and found.encoding == "FLAC/PCM_16"
        assert row.source == f"{row.path.stem}-{('train', 'validation', 'test')[row.fold]}"


def test_what_tfds_keeps_is_what_the_rows_say(folder, cache):
    builder = datasets.load("speech_commands", cache, folder)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "train": 12 * 12, "validation": 3 * 12, "test": 5 * 12,
    }  # fmt: skip
    found = examples(builder)
    for row in SpeechCommands.rows(folder):
        example = found.pop(row.file)
        kept = (builder.info.features["label"].int2str(example["label"]), example["fold"], example["source"].decode())
        assert kept == (row.label, row.fold, row.source)
        if row.start_samples is None:
            kept, _ = soundfile.read(io.BytesIO(example["encoded"]))
            np.testing.assert_array_equal(kept, soundfile.read(row.path)[0])
    assert not found


def test_labels_stand_in_the_order_of_tfds():
    tfds_order = "down go left no off on right stop up yes _silence_ _unknown_"
    assert [label.strip("_") for label in tfds_order.split()] == list(SpeechCommands.LABELS)


def test_the_fingerprint_changes_with_any_clip_any_noise_and_the_lists(folder):
    seen = {SpeechCommands.fingerprint(folder)}
    assert SpeechCommands.fingerprint(folder) in seen
    for change in (
        lambda: replace(folder / clip("yes", SPEAKERS[0])),
        lambda: soundfile.write(folder / "_background_noise_" / "white_noise.wav", np.zeros(20 * RATE_HZ), RATE_HZ),
        lambda: write_lists(folder, VALIDATION[1:], TEST),
    ):
        change()
        assert SpeechCommands.fingerprint(folder) not in seen
        seen.add(SpeechCommands.fingerprint(folder))


def test_the_fingerprint_does_not_change_with_a_word_that_is_not_chosen(folder):
    before = SpeechCommands.fingerprint(folder)
    chosen = {row.file for row in SpeechCommands.rows(folder)}
    left_out = next(path for path in folder.glob("zero/*.wav") if path.relative_to(folder).as_posix() not in chosen)
    replace(left_out)
    assert SpeechCommands.fingerprint(folder) == before


# The download


class Manager:
    """TFDS's, with nothing at the other end."""

    def __init__(self, **kwargs):
        self.url_infos = kwargs["url_infos"]

    def download_and_extract(self, url):
        known = self.url_infos[url]
        raise OSError(f"{known.size} {known.checksum}")


def test_a_download_is_checked_and_its_failure_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.download, "DownloadManager", Manager)
    with pytest.raises(ZooError, match="speech_commands_v0.02.tar.gz could not be downloaded.*--data-dir") as told:
        SpeechCommands.obtain(tmp_path)
    # tensorflow_datasets/datasets/speech_commands/checksums.tsv
    registered = "2428923189 af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
    assert str(told.value.__cause__) == registered


# Which folds test and train


def test_the_splits_are_fixed():
    split = SpeechCommands.split([0, 1, 2], 2)
    assert (split.train, split.validation, split.test) == ((0,), (1,), (2,))
    assert SpeechCommands.test_folds([2, 1, 0]) == (2,)


def test_only_the_test_split_tests():
    with pytest.raises(ZooError, match="fold 0 is its train split; what may test is fold 2"):
        SpeechCommands.split([0, 1, 2], 0)
    with pytest.raises(ZooError, match="no fold 5; what may test is fold 2"):
        SpeechCommands.split([0, 1, 2], 5)
    with pytest.raises(ZooError, match="nothing to train on"):
        SpeechCommands.split([1, 2], 2)
    with pytest.raises(ZooError, match="no clip to test on"):
        SpeechCommands.test_folds([0, 1])


def test_cross_validation_trains_on_all_other_folds():
    assert datasets.Esc10.split([1, 2, 3, 4, 5], 4) == ((1, 2, 3, 5), (), (4,))
    assert datasets.Esc10.test_folds([3, 1, 3]) == (1, 3)
    with pytest.raises(ZooError, match="esc10: no fold 7; what may test is fold 1, 3"):
        datasets.Esc10.split([1, 3], 7)
    with pytest.raises(ZooError, match="esc10: .*nothing to train on"):
        datasets.Esc10.split([4, 4], 4)


# What cannot be used


def test_a_speaker_in_two_splits_is_refused(folder):
    names = (folder / "testing_list.txt").read_text().splitlines()
    (folder / "testing_list.txt").write_text("\n".join(names[1:]))
    line = refusal(folder)
    assert f"speaker {TEST[0]}" in line and clip("down", TEST[0]) in line


@pytest.mark.parametrize("part", ["yes", "_background_noise_"])
def test_an_archive_without_a_part_is_refused(folder, part):
    for path in (folder / part).iterdir():
        path.unlink()
    assert f"no {part}/" in refusal(folder)


def test_keywords_alone_are_refused(folder):
    for word in OTHER_WORDS:
        for path in (folder / word).iterdir():
            path.unlink()
    for name in ("validation_list.txt", "testing_list.txt"):
        (folder / name).unlink()
    assert "beside the keywords" in refusal(folder)


def test_an_empty_folder_is_refused_before_any_work(tmp_path, cache):
    with pytest.raises(ZooError, match="no down/ .*--data-dir"):
        datasets.load("speech_commands", cache, tmp_path)
    with pytest.raises(ZooError, match="no folder .*_background_noise_/, or meta.csv"):
        datasets.load("speech_commands", cache, tmp_path / "nowhere")
    assert not (cache / "tfds").exists()


def test_one_list_without_the_other_is_refused(folder):
    (folder / "testing_list.txt").unlink()
    line = refusal(folder)
    assert "validation_list.txt" in line and "testing_list.txt" in line


def test_a_clip_that_names_no_speaker_is_refused(folder):
    (folder / "yes" / "anna.wav").symlink_to(folder / clip("yes", SPEAKERS[0]))
    assert "anna.wav" in refusal(folder)


def test_noise_that_is_too_short_or_no_sound_is_refused(folder):
    tap, pink = (folder / "_background_noise_" / f"{name}.wav" for name in ("running_tap", "pink_noise"))
    for path in (tap, pink):
        path.unlink()
        soundfile.write(path, np.zeros(9 * RATE_HZ), RATE_HZ)  # a tenth of it is less than a second
    assert "long enough" in refusal(folder)
    tap.write_bytes(b"this is no sound")
    with pytest.raises(ZooError, match="running_tap.wav: does not decode"):
        SpeechCommands.rows(folder)


@pytest.mark.parametrize("make", [replace, lambda path: path.unlink()])
def test_a_broken_clip_is_refused_and_named(folder, make):
    broken = clip("go", TEST[1])
    make(folder / broken)
    (row,) = (row for row in SpeechCommands.rows(folder) if row.file == broken)  # where it is gone, the list names it
    with pytest.raises(ZooError, match=broken):
        SpeechCommands.read(row)


# A folder with meta.csv


TABLE = (
    ("yes/1a_nohash_0.wav", "yes", "1a", "train"),
    ("_unknown_/bed_1b_nohash_0.wav", "_unknown_", "1b", "validation"),
    ("_silence_/7.wav", "_silence_", "7", "test"),
)


def write_table(folder, rows):
    with open(folder / "meta.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("filename", "category", "speaker", "split"), *rows])


@pytest.fixture
def listed_folder(tmp_path):
    folder = tmp_path / "listed"
    for file, *_ in TABLE:
        (folder / file).parent.mkdir(parents=True)
        soundfile.write(folder / file, np.zeros(160), RATE_HZ)
    write_table(folder, TABLE)
    return folder


def test_a_table_is_read_as_it_is(listed_folder, cache):
    found = examples(datasets.load("speech_commands", cache, listed_folder))
    rows = {
        file: (SpeechCommands.LABELS[example["label"]], example["source"].decode(), example["fold"])
        for file, example in found.items()
    }
    assert rows == {
        "yes/1a_nohash_0.wav": ("yes", "1a", 0),
        "_unknown_/bed_1b_nohash_0.wav": ("unknown", "1b", 1),
        "_silence_/7.wav": ("silence", "7", 2),
    }


@pytest.mark.parametrize(
    "row, named",
    [
        (("yes/2a.wav", "yes", "1b", "train"), "speaker 1b is in two splits"),
        (("yes/2a.wav", "zero", "2a", "train"), "unknown class 'zero'"),
        (("yes/2a.wav", "yes", "2a", "testing"), "split 'testing'; use train, validation, test"),
        (TABLE[0], "twice"),
        (("yes/2a.wav", "yes", "2a"), "columns category, filename, speaker, split"),
    ],
    ids=["speaker", "class", "split", "twice", "short row"],
)
def test_a_table_that_cannot_be_used_is_refused(listed_folder, row, named):
    write_table(listed_folder, [*TABLE, row])
    assert named in refusal(listed_folder)


# Real recordings


@pytest.fixture(scope="module")
def real_rows(real_recordings):
    return SpeechCommands.rows(real_recordings / "speech_commands")


def test_the_real_part_has_110_clips_a_class_in_three_splits(real_rows):
    assert Counter(row.label for row in real_rows) == dict.fromkeys(SpeechCommands.LABELS, 110)
    assert Counter(row.fold for row in real_rows) == {0: 911, 1: 101, 2: 308}
    assert {soundfile.info(row.path).samplerate for row in real_rows} == {RATE_HZ}


def test_no_real_speaker_is_in_two_splits(real_rows):
    folds = {}
    for row in real_rows:
        assert folds.setdefault(row.source, row.fold) == row.fold
    spoken = Counter(folds[source] for source in {row.source for row in real_rows if row.label != "silence"})
    assert spoken == {0: 57, 1: 11, 2: 23}


def test_the_official_hash_puts_every_speaker_of_the_official_test_set_into_test(real_rows):
    spoken = {row.source for row in real_rows if row.label != "silence"}
    assert {which_set(speaker) for speaker in spoken} == {"test"}
