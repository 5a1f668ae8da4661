"""How long the bodies of exported folders take on this machine, one window of columns each: XNOR-Net's C beside int8.

    python -m tools.xnor_latency exported/xnor_acdnet_third_mel_20-esc10 exported/acdnet_third_mel_20_micro-esc10

The first folder's body is what the others are held against. A .tflite body is told twice: by XNNPACK's kernels, and by
the reference kernels, which multiply one number after the other as plain C does. All run on one thread, called in turn.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from zoo.export.stream import parts_of
from zoo.export.xnor_c import XnorC
from zoo.measure import latency
from zoo.progress import bar
from zoo.runtime.interpreter import LiteRT

CALLS = 10  # a round


def bodies_of(folder):
    """{what is told of it: a runner} of a folder's body."""
    micro = Path(folder) / "micro"
    _, body = parts_of(micro)
    if body.suffix == ".c":
        return {f"{folder.name}, C that counts bits": XnorC(micro)}
    return {f"{folder.name}, int8, {kernels}": LiteRT(body, kernels) for kernels in ("xnnpack", "reference")}


def timed(bodies, rounds):
    """Milliseconds of a call. Shape: (rounds, bodies)"""
    rng = np.random.default_rng(0)
    windows = [rng.integers(-128, 128, (CALLS, *body.input_shape)).astype(body.input.dtype) for body in bodies]
    spent_ms = np.empty((rounds, len(bodies)))
    for row in bar(spent_ms, desc="rounds", unit="round"):
        for column, (body, given) in enumerate(zip(bodies, windows)):
            start = time.perf_counter()
            body.run_raw(given)
            row[column] = 1e3 * (time.perf_counter() - start) / CALLS
    return spent_ms


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="exported folders that hold micro/")
    parser.add_argument("--rounds", type=int, default=100, help=f"of {CALLS} calls (default %(default)s)")
    args = parser.parse_args(argv)
    bodies = {name: body for folder in args.folders for name, body in bodies_of(folder).items()}
    spent_ms = timed(list(bodies.values()), args.rounds)
    print("| body | ms | against the first | 95 % interval |\n|---|---:|---:|---:|")
    for name, own_ms in zip(bodies, spent_ms.T):
        times, low, high = latency.ratio(own_ms, spent_ms[:, 0])
        print(f"| {name} | {np.median(own_ms):.3f} | {times:.2f} | {low:.2f} to {high:.2f} |")


if __name__ == "__main__":
    main()
