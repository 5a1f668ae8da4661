"""How often zoo.leakage finds a leak that was planted, and how often one where there is none.

Each clip (or every N-th) is compared with copies of itself that were cut or encoded anew; then all clips with all
others. What is found between two sources is listed with its measures: a person says which of it is true.

Run     python -m tools.leakage --dataset esc10 --data-dir DIR
"""

import argparse
import io
from math import gcd

import numpy as np
import soundfile
from scipy import signal

from zoo import leakage
from zoo.errors import ZooError
from zoo.progress import bar


def encoded(waveform, sample_rate_hz, container, subtype, to_hz=None, **quality):
    """(waveform, sample rate in Hz) after it was written as a file, at another rate if asked, and read again."""
    to_hz = to_hz or sample_rate_hz
    common = gcd(to_hz, sample_rate_hz)
    resampled = signal.resample_poly(waveform, to_hz // common, sample_rate_hz // common)
    file = io.BytesIO()
    soundfile.write(file, np.clip(resampled, -1, 1), to_hz, format=container, subtype=subtype, **quality)
    file.seek(0)
    return soundfile.read(file, dtype="float32")


def second(waveform, sample_rate_hz):
    """A second from the middle, at no multiple of a frame."""
    start = max(0, len(waveform) // 2 - sample_rate_hz // 2 + 37)
    return waveform[start : start + sample_rate_hz], sample_rate_hz


def two_cuts(waveform, sample_rate_hz):
    """The first three fifths against the last three: a fifth of the clip is in both."""
    first, last = round(0.6 * len(waveform)), round(0.4 * len(waveform))
    return (waveform[:first], sample_rate_hz), (waveform[last:], sample_rate_hz)


# A leak's name -> function (waveform, sample rate) -> its two clips, each (waveform, sample rate).
PLANTED = {
    "two cuts, a fifth in common": two_cuts,
    "a second of it": lambda x, hz: ((x, hz), second(x, hz)),
    "Ogg Vorbis, lowest quality": lambda x, hz: ((x, hz), encoded(x, hz, "OGG", "VORBIS", compression_level=1.0)),
    "MP3, lowest rate, 22.05 kHz": lambda x, hz: (
        (x, hz),
        encoded(x, hz, "MP3", "MPEG_LAYER_III", 22_050, compression_level=0.99, bitrate_mode="CONSTANT"),
    ),
    "8 bits at a quarter of its level": lambda x, hz: ((x, hz), encoded(x / 4, hz, "WAV", "PCM_U8")),
    "16 kHz at a tenth of its level": lambda x, hz: ((x, hz), encoded(x / 10, hz, "WAV", "PCM_16", 16_000)),
}


def found(clips):
    """The `leakage.Pair`s among clips, each (waveform, sample rate), of as many groups."""
    waveforms = [leakage.at_rate(*clip) for clip in clips]
    return leakage.pairs([leakage.fingerprint(x) for x in waveforms], range(len(clips)), waveforms.__getitem__)


def main():
    from zoo import datasets  # TensorFlow, which nothing else here needs

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, choices=datasets.DATASETS)
    parser.add_argument("--data-dir", required=True, metavar="DIR")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="plant in every N-th clip (default 1)")
    args = parser.parse_args()

    builder_class, folder = datasets.find(args.dataset, None, args.data_dir)
    rows, waveforms, hits = builder_class.rows(folder), [], {name: [] for name in PLANTED}
    for number, row in enumerate(bar(rows, desc="plant leaks", unit="clip")):
        recording = builder_class.read(row)
        samples, rate_hz = soundfile.read(io.BytesIO(recording.encoded), dtype="float32", always_2d=True)
        waveforms.append(leakage.at_rate(samples, rate_hz))
        if number % args.every == 0:
            for name, plant in PLANTED.items():
                hits[name].append(bool(found(plant(samples.mean(axis=1), rate_hz))))
    for name, each in hits.items():
        print(f"{name:<34} {sum(each):>5} of {len(each):,} found")

    prints, sources = [leakage.fingerprint(x) for x in waveforms], [row.source for row in rows]
    candidates = leakage.candidates(prints, sources)
    pairs = leakage.pairs(prints, sources, waveforms.__getitem__)
    same = sum(n * (n - 1) // 2 for n in np.unique(sources, return_counts=True)[1].tolist())
    print(f"\n{len(rows) * (len(rows) - 1) // 2 - same:,} pairs of different sources: {len(candidates)} share "
          f"hashes at one offset, {len(pairs)} of them are confirmed")  # fmt: skip
    for pair in pairs:
        print(f"  {rows[pair.first].file} {rows[pair.second].file}: {pair.overlap_s:.2f} s in common, {pair.hashes} "
              f"hashes, correlation {pair.correlation:.3f}")  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except ZooError as error:
        raise SystemExit(f"python -m tools.leakage: {error}") from error
