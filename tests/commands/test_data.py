"""`python -m zoo data` on a folder of one's own with a silent, a broken and a clipped clip, and on real recordings."""

import json

import numpy as np
import pytest
import soundfile

from zoo.__main__ import main

RATE_HZ = 16_000


@pytest.fixture
def sounds(tmp_path):
    """Two classes of four recordings: one is silent, one broken, one clipped."""
    rng, folder = np.random.default_rng(0), tmp_path / "sounds"
    for label in ("dog", "horn"):
        (folder / label).mkdir(parents=True)
        for name in ("hall", "kitchen", "street", "yard"):
            sound = np.convolve(rng.normal(0, 0.05, RATE_HZ), np.ones(4) / 2, "same")
            if (label, name) == ("horn", "yard"):
                sound = np.clip(8 * sound, -0.3, 0.3)
            if (label, name) == ("dog", "hall"):
                sound[:] = 0
            soundfile.write(folder / label / f"{name}.wav", sound, RATE_HZ)
    (folder / "dog" / "street.wav").write_bytes(b"RIFF, he said, and left")
    return folder


def told(arguments, capsys):
    """(what `zoo data` prints as JSON, its exit code)."""
    code = 0
    try:
        main(["data", *map(str, arguments), "--json"])
    except SystemExit as ended:
        code = ended.code
    return json.loads(capsys.readouterr().out), code


def test_what_is_wrong_with_a_clip_is_told_by_its_name(sounds, capsys):
    found, code = told(["folder", "--data-dir", sounds], capsys)
    assert code == 1 and not found["healthy"]
    assert list(found["broken"]) == ["dog/street.wav"] and "does not decode" in found["broken"]["dog/street.wav"]
    clips = {clip["file"]: clip for clip in found["clips"]}
    assert len(clips) == 7 and found["classes"] == ["dog", "horn"]
    assert [file for file, clip in clips.items() if clip["is_silent"]] == ["dog/hall.wav"]
    assert [file for file, clip in clips.items() if "clipping" in clip["faults"]] == ["horn/yard.wav"]
    assert found["pairs"] == [] and found["sources_across"] == {}
    samples, _ = soundfile.read(sounds / "horn" / "hall.wav")
    row = clips["horn/hall.wav"]
    assert row["rms_dbfs"] == pytest.approx(20 * np.log10(samples.std()), abs=0.01)
    assert row["peak_dbfs"] == pytest.approx(20 * np.log10(np.abs(samples).max()), abs=0.01)
    assert row["zero_crossing_rate"] == pytest.approx(np.mean(np.diff(samples >= 0)), abs=1e-3)
    assert (row["seconds"], row["sample_rate_hz"], row["channels"], row["encoding"]) == (1, RATE_HZ, 1, "WAV PCM_16")
    assert row["dead_share"] == 0 and clips["dog/hall.wav"]["dead_share"] == 1


def test_a_copy_in_another_fold_is_told_with_both_names(sounds, capsys):
    copied, copy = "horn/hall.wav", "dog/copy.ogg"
    samples, _ = soundfile.read(sounds / copied)
    soundfile.write(sounds / copy, 0.5 * samples[3_333:], RATE_HZ)
    files = [copy, *sorted(path.relative_to(sounds).as_posix() for path in sounds.rglob("*.wav"))]
    rows = [f"{file},{file.split('/')[0]},{file},{1 + (file in (copied, 'dog/yard.wav'))}" for file in files]
    (sounds / "sounds.csv").write_text("\n".join(["filename,category,group,fold", *rows]))
    found, code = told(["folder", "--data-dir", sounds], capsys)
    (pair,) = found["pairs"]
    assert {pair["first"], pair["second"]} == {copied, copy} and code == 1
    assert abs(pair["offset_s"]) == pytest.approx(3_333 / RATE_HZ, abs=1 / 8_000)
    with pytest.raises(SystemExit):
        main(["data", "folder", "--data-dir", str(sounds)])
    table = capsys.readouterr().out
    assert "pairs in two folds: 1;" in table and copied in table and "1: dog/street.wav" in table


def test_real_clips_are_counted_and_drawn(esc10_folder, tmp_path, capsys):
    picture = tmp_path / "esc10.png"
    found, code = told(["esc10", "--data-dir", esc10_folder, "--picture", picture], capsys)
    assert len(found["clips"]) == 50 and not found["broken"]
    for label in found["classes"]:
        assert sorted(clip["fold"] for clip in found["clips"] if clip["labels"] == [label]) == [1, 2, 3, 4, 5]
    (pair,) = found["pairs"]
    assert {pair["first"], pair["second"]} == {"3-151080-A-20.ogg", "5-151085-A-20.ogg"}
    assert code == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit) as ended:
        main(["data", "esc10", "--data-dir", str(esc10_folder), "--picture", str(picture)])
    assert ended.value.code == 2 and "exists; pass --overwrite" in capsys.readouterr().err


def test_without_a_name_all_data_sets_are_listed(capsys):
    from zoo.datasets import DATASETS

    rows, code = told([], capsys)
    assert [row["name"] for row in rows] == [*DATASETS] and code == 0
    assert all(row["task"] and row["layout"] and row["licence"] for row in rows)
    main(["data"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [*DATASETS]


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["nothing"], "no such data set; choose one of"),
        (["esc10", "--data-dir", "nowhere"], "no folder nowhere"),
        (["esc10", "--picture", "esc10.jpg"], "pictures are PNG"),
        (["--data-dir", "nowhere"], "name it"),
    ],
)
def test_a_mistyped_argument_is_one_line(arguments, reason, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["data", *arguments])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
