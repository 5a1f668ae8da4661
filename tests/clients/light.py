"""The light install hears: numpy, LiteRT and the extra `audio` alone, as on a Raspberry Pi. Run by `make test-clients`.

FOLDER holds exported folders. The sound is a real clip where ZOO_TEST_DATA names some, else one of synth10.

    python tests/clients/light.py FOLDER...
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HEAVY = ("tensorflow", "tf_keras", "keras", "kapre", "matplotlib", "librosa", "scipy")
SYNTHESISED = Path("runs/clients/sounds")  # which `make test-clients` made before
LIMIT_BYTES = 120e6  # of the process that classifies, Python and all
TIMED = "import time; t = time.perf_counter(); import zoo.runtime; print(time.perf_counter() - t)"


def main(*folders):
    """Ends with an error where something heavy is there, or where a process takes more memory than the limit."""
    heavy = [name for name in HEAVY if find_spec(name)]
    assert not heavy, f"not a light install: {heavy}"
    seconds = [float(run("-c", TIMED)) for _ in range(3)]
    print(f"light install: import zoo.runtime takes {min(seconds):.2f} s; no TensorFlow on disk")
    real = os.environ.get("ZOO_TEST_DATA")
    recording = min((Path(real, "esc10") if real else SYNTHESISED).glob("audio/*")).resolve()
    models = [path.resolve() for folder in folders for path in sorted(Path(folder).glob("*/model_int8.tflite"))]
    assert models, f"no */model_int8.tflite in {folders}"
    for model in models:
        (row,) = json.loads(run("-m", "zoo", "classify", "--json", recording, "--model", model))
        label, score = next(iter(row["scores"].items()))
        peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of the largest process so far
        print(f"{model.parent.name}: {label} {score:.2f}; peak {peak_bytes / 1e6:.1f} MB")
        assert peak_bytes < LIMIT_BYTES, f"{model}: {peak_bytes:,} B"


def run(*arguments):
    """What Python prints, far from the checkout: the installed package is what is imported."""
    return subprocess.check_output([sys.executable, *arguments], cwd=tempfile.gettempdir())


if __name__ == "__main__":
    main(*sys.argv[1:])
