"""A small AudioSet of ESC-10's clips: mixtures of one to three classes, in the official files' form.

Labels and their mids are AudioSet's own, ten of the 527; videos are invented. ESC-10's fold 5 is mixed into the
evaluation clips, the other folds into the balanced ones. Every twentieth listed clip is not there, as those of videos
that have disappeared, and one does not decode.

Run     python -m tools.make_audioset --data-dir esc10 --clips 600 --out audioset
"""

import argparse
import base64
import hashlib
from pathlib import Path

import numpy as np
import soundfile

from zoo.datasets.esc import Esc10
from zoo.progress import bar

# ESC-10's category -> (mid, display name) of class_labels_indices.csv.
LABELS = {
    "dog": ("/m/0bt9lr", "Dog"),
    "rooster": ("/m/07qn5dc", "Crowing, cock-a-doodle-doo"),
    "rain": ("/m/06mb1", "Rain"),
    "sea_waves": ("/m/034srq", "Waves, surf"),
    "crackling_fire": ("/m/02_41", "Fire"),
    "crying_baby": ("/t/dd00002", "Baby cry, infant cry"),
    "sneezing": ("/m/01hsr_", "Sneeze"),
    "clock_tick": ("/m/07qjznl", "Tick-tock"),
    "helicopter": ("/m/09ct_", "Helicopter"),
    "chainsaw": ("/m/01j4z9", "Chainsaw"),
}
EVALUATION_FOLD = 5
MOST_LABELS = 3
LEVEL_DB = 6.0  # by which a sound of a mixture is louder or softer than another, at most
PEAK = 0.7
TABLES = ("balanced_train_segments", "eval_segments")  # of four clips one is to evaluate
NAMES = ("{video}.flac", "Y{video}.wav", "{video}_{start_ms}.flac")  # as collectors name them, in turn
ABSENT = 20  # of so many clips one is not there
BROKEN = 9  # the clip of this number does not decode


def write(folder, data_dir, num_clips, seed=0):
    """Fills `folder` with csv files of `num_clips` segments and the clips of most of them, mixed from `data_dir`."""
    folder, rng, clips = Path(folder), np.random.default_rng(seed), Esc10.rows(data_dir)
    for name in TABLES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    segments = {name: [] for name in TABLES}
    for number in bar(range(num_clips), desc="mix", unit="clip"):
        table = TABLES[number % 4 == 3]
        is_evaluation = table == "eval_segments"
        of_split = [row for row in clips if (row.fold == EVALUATION_FOLD) == is_evaluation]
        labels = rng.choice(list(LABELS), rng.integers(1, MOST_LABELS + 1), replace=False).tolist()
        chosen = [rng.choice([row.path for row in of_split if row.label == label]) for label in labels]
        mixture, rate_hz = _mixture(chosen, rng)
        video, start_s = _video(seed, number), 10 * int(rng.integers(60))
        segments[table].append(
            (video, start_s, start_s + len(mixture) / rate_hz, [LABELS[label][0] for label in labels])
        )
        path = folder / table / NAMES[number % len(NAMES)].format(video=video, start_ms=1_000 * start_s)
        if number % ABSENT:
            soundfile.write(path, mixture, rate_hz, subtype="PCM_16")
        if number == BROKEN:
            path.write_bytes(path.read_bytes()[:1_000])
    for name, rows in segments.items():
        _write_segments(folder / f"{name}.csv", rows)
    with open(folder / "class_labels_indices.csv", "w", newline="", encoding="utf-8") as file:
        file.write("index,mid,display_name\n")
        file.writelines(f'{index},{mid},"{name}"\n' for index, (mid, name) in enumerate(LABELS.values()))


def _mixture(paths, rng):
    """(waveform, its rate) of the sounds together, as long as the shortest."""
    sounds = [soundfile.read(path) for path in paths]
    length = min(len(sound) for sound, _ in sounds)
    mixture = sum(
        sound[:length] / max(np.std(sound[:length]), 1e-4) * 10 ** (rng.uniform(-LEVEL_DB / 2, LEVEL_DB / 2) / 20)
        for sound, _ in sounds
    )
    return PEAK * mixture / np.abs(mixture).max(), sounds[0][1]


def _video(seed, number):
    """An invented YTID: eleven of the letters, digits, - and _ that they are made of."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{seed} {number}".encode()).digest())[:11].decode()


def _write_segments(path, rows):
    """The csv as it is published: three lines of comment, spaces behind the commas, mids in quotes."""
    mids = [mid for *_, of_row in rows for mid in of_row]
    counts = f"num_ytids={len(rows)}, num_segs={len(rows)}, num_unique_labels={len(set(mids))}"
    lines = [
        "# Segments csv created by tools/make_audioset.py",
        f"# {counts}, num_positive_labels={len(mids)}",
        "# YTID, start_seconds, end_seconds, positive_labels",
        *(f'{video}, {start:.3f}, {end:.3f}, "{",".join(of_row)}"' for video, start, end, of_row in rows),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="a folder of ESC-10 or ESC-50")
    parser.add_argument("--clips", type=int, default=600, help="how many are listed (default %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write(args.out, args.data_dir, args.clips, args.seed)


if __name__ == "__main__":
    main()
