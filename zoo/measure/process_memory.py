"""What a process takes of memory that runs a .tflite file, part by part: Python, numpy, LiteRT, the model, its work.

Source: the parts of table 3 of Hu, Shao and Johar (the GTZAN study): estimated there, measured here.
"""

import sys

# Nothing else up here: what this module imports would be counted as Python's own.

PARTS = ("interpreter", "numpy", "runtime", "model", "work")
CALLS = 10  # after which nothing grows any more


def split(path, kernels, num_threads):
    """{part: bytes} of a process that opens the file and runs it, with their sum as "total"; None where none can tell.

    Each part is what the peak of resident memory grows by, so that they sum up to the peak of the whole. Pages of
    libraries count, which other processes may share.

    Raises: ZooError as `zoo.measure.guarded.answer_of` does.
    """
    from zoo.measure import guarded

    answer = guarded.answer_of(__name__, {"path": str(path), "kernels": kernels, "num_threads": num_threads})
    peaks = answer["peak_bytes"]
    if None in peaks:
        return None
    parts = {part: after - before for part, before, after in zip(PARTS, [0, *peaks], peaks)}
    return {**parts, "total": peaks[-1]}


def peak_bytes():
    """The largest resident memory that this process has had so far; None where the system does not tell."""
    try:
        with open("/proc/self/status") as status:  # getrusage would tell the parent's peak where that was higher
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _peaks():
    """peak_bytes() after each of PARTS."""
    peaks = [peak_bytes()]
    import numpy as np

    peaks.append(peak_bytes())
    from zoo.runtime.interpreter import LiteRT

    peaks.append(peak_bytes())
    import json

    request = json.loads(sys.argv[1])
    model = LiteRT(request["path"], request["kernels"], request["num_threads"])
    peaks.append(peak_bytes())
    sound = model.input.to_raw(np.zeros((1, *model.input.shape), np.float32))
    try:
        for _ in range(CALLS):
            model.run_all([sound])
    except ValueError as error:  # as many arrays are to be given as there are inputs
        from zoo.errors import ZooError

        raise ZooError("it takes several inputs; bench a model that takes one") from error
    return [*peaks, peak_bytes()]


def _main():
    try:
        peaks, refusal = _peaks(), None
    except Exception as error:  # whatever Python raises over a file
        refusal = error
    from zoo.measure import guarded

    guarded.give(guarded.refused(refusal) if refusal else {"peak_bytes": peaks})


if __name__ == "__main__":
    _main()
