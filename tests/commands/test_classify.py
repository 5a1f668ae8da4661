import csv
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.__main__ import main
from zoo.export.metadata import About, with_metadata

ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000


@pytest.fixture
def recordings(tmp_path, sound):
    """A tone in FLAC, the sound of the other tests in stereo and at another rate, and a file that is none."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 500 * np.arange(RATE_HZ) / RATE_HZ)
    soundfile.write(folder / "tone.flac", tone, RATE_HZ)
    soundfile.write(folder / "stereo.wav", np.stack([sound, sound], axis=1), 44_100)
    return folder


def test_a_table_tells_the_best_labels_of_each_recording(bands, recordings, classifier, capsys):
    main(["classify", "--model", str(bands.folder), "--top", "2", str(recordings)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [str(recordings / name) for name in ("stereo.wav", "tone.flac")]
    samples, rate_hz = soundfile.read(recordings / "tone.flac", dtype="float32")
    best, second, _ = classifier.classify(samples, rate_hz).items()
    assert lines[1].split()[1:] == ["1.0", "s", best[0], f"{best[1]:.2f}", second[0], f"{second[1]:.2f}"]


def test_json_and_csv_hold_every_score(bands, recordings, classifier, capsys):
    main(["classify", "--model", str(bands.folder), "--json", str(recordings)])
    rows = json.loads(capsys.readouterr().out)
    samples, rate_hz = soundfile.read(recordings / "stereo.wav", dtype="float32")
    expected = classifier.classify(samples, rate_hz)
    assert rows[0]["scores"] == pytest.approx(expected, abs=1e-6) and list(rows[0]["scores"]) == list(expected)
    assert (rows[0]["seconds"], rows[0]["sample_rate_hz"]) == (round(64_000 / 44_100, 3), 44_100)
    main(["classify", "--model", str(bands.folder), "--csv", str(recordings)])
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert float(table[0]["middle"]) == rows[0]["scores"]["middle"] and table[0]["label"] == next(iter(expected))


def test_all_labels_that_reach_their_thresholds_are_told(bands, recordings, classifier, capsys, tmp_path):
    about = About("bands", "three bands", "1", "the zoo", "Apache-2.0")
    samples, rate_hz = soundfile.read(recordings / "tone.flac", dtype="float32")
    scores = classifier.classify(samples, rate_hz)
    (first, _), (second, lowest), _ = scores.items()

    def told(thresholds, *flags):
        model = with_metadata(bands.file.read_bytes(), about, RATE_HZ, classifier.labels, thresholds=thresholds)
        (tmp_path / "any.tflite").write_bytes(model)
        main(["classify", "--model", str(tmp_path / "any.tflite"), str(recordings / "tone.flac"), *flags])
        return capsys.readouterr().out

    both = tuple(min(lowest, 0.99) / 2 if label in (first, second) else 1.0 for label in classifier.labels)
    (row,) = json.loads(told(both, "--json"))
    assert row["labels"] == [first, second]
    assert told(both).split()[3::2] == [first, second]
    assert "no label reaches its threshold" in told((1.0,) * 3)


def test_one_bad_recording_is_told_and_the_others_are_heard(bands, recordings, capsys):
    (recordings / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(SystemExit) as ended:
        main(["classify", "--model", str(bands.folder), str(recordings)])
    told = capsys.readouterr()
    assert ended.value.code == 2 and len(told.out.splitlines()) == 2
    assert "broken.wav: does not decode" in told.err and "1 of 3 recordings" in told.err


def test_events_and_a_picture_of_one_recording(bands, recordings, tmp_path, capsys):
    events, picture = tmp_path / "events.txt", tmp_path / "picture.png"
    stereo = str(recordings / "stereo.wav")
    command = ["classify", "--model", str(bands.folder), stereo, "--events", str(events), "--picture", str(picture)]
    main([*command, "--on", "0.35", "--off", "0.3", "--json"])
    heard = json.loads(capsys.readouterr().out)[0]["events"]
    assert heard and len(events.read_text().splitlines()) == len(heard)
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        main(command)
    assert "exists; pass --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, told",
    [
        (["--hop", "0"], "hop"),
        (["--on", "0.2", "--off", "0.4"], "on 0.2, off 0.4"),
        (["--top", "0"], "--top"),
        (["--threads", "0"], "--threads"),
        (["--events", "a.xml"], ".jsonl"),
        (["--picture", "a.jpg"], "PNG"),
    ],
)
def test_flags_that_cannot_be_are_one_line(bands, recordings, flags, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["classify", "--model", str(bands.folder), str(recordings / "tone.flac"), *flags])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and told in err and "Traceback" not in err


def test_integers_in_a_float_file_are_warned_of_by_name(bands, tmp_path, capsys):
    soundfile.write(tmp_path / "loud.wav", np.full(RATE_HZ, 8_000.0), RATE_HZ, "FLOAT")
    main(["classify", "--model", str(bands.folder), str(tmp_path / "loud.wav")])
    assert "loud.wav: floats up to 8000" in capsys.readouterr().err


def peak_bytes(argv):
    """The largest resident set of `python -m zoo` with these arguments, which must go well."""
    child = subprocess.Popen(
        [sys.executable, "-m", "zoo", *map(str, argv)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0 and output
    return usage.ru_maxrss * 1024


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_CHILDREN"), reason="Unix alone tells a process's peak")
def test_half_a_gigabyte_takes_no_more_memory_than_a_second(bands, recordings, tmp_path):
    """A sparse file: 22 seconds of 64 channels at 192 kHz, read block by block."""
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 192_000, 64, "PCM_16") as file:
        file.write(np.zeros((192_000, 64)))
    size = 2**29 - 4096
    with open(path, "r+b") as file:
        start = file.read(200).index(b"data") + 8
        for at, value in ((4, size - 8), (start - 4, size - start)):
            file.seek(at)
            file.write(value.to_bytes(4, "little"))
        file.truncate(size)
    flags = ["classify", "--model", bands.folder, "--hop", "10"]
    short, long = (peak_bytes([*flags, file]) for file in (recordings / "stereo.wav", path))
    # The blocks themselves, and what soxr keeps of 12 times the rate.
    assert long < short + 20 * 2**20
