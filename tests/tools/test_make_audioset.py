import pytest
import soundfile

from tools import make_audioset
from zoo.datasets.audioset import AudiosetBalanced


def test_mixtures_are_listed_as_audioset_lists_its_clips(real_recordings, tmp_path):
    make_audioset.write(tmp_path, real_recordings / "esc10", num_clips=24, seed=1)
    rows, missing = AudiosetBalanced._found(tmp_path)
    assert len(rows) == 22 and missing == {"train": 2}  # of 24 the first and the twenty-first are not there
    assert sum(row.fold == AudiosetBalanced.FOLDS["test"] for row in rows) == 6
    assert {len(row.label) for row in rows} == {1, 2, 3}
    assert AudiosetBalanced.labels(tmp_path) == tuple(name for _, name in make_audioset.LABELS.values())
    broken = []
    for row in rows:
        try:
            sound, rate_hz = soundfile.read(row.path)
            assert rate_hz == 44_100 and len(sound) > 3 * rate_hz
            assert abs(sound).max() == pytest.approx(make_audioset.PEAK, abs=1 / 32_768)  # 16 bits
        except soundfile.LibsndfileError:
            broken.append(row.file)
    assert len(broken) == 1


def test_another_seed_makes_other_mixtures(real_recordings, tmp_path):
    for seed in (1, 2):
        make_audioset.write(tmp_path / str(seed), real_recordings / "esc10", num_clips=4, seed=seed)
    tables = [(tmp_path / str(seed) / "balanced_train_segments.csv").read_text() for seed in (1, 2)]
    assert tables[0] != tables[1]
