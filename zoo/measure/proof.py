"""The figures of an exported folder: all that its files, and the clips that no training heard, tell of the model.

What is measured here comes of the folder alone, so that `python -m zoo verify` finds the same again.
"""

from zoo import assembly, decisions
from zoo.export import keras_files
from zoo.export.stream import has_stream
from zoo.measure import counts, files, microcontroller, open_world

COMPARED_CROPS = 20  # on which TFLM's bytes are held against those of LiteRT's reference kernels


def measure(folder, provenance, judging, test, validation, calibration, world=None, cache=None):
    """({file: scores of the test clips}, what metrics.json tells beside `provenance`).

    Writes decisions.csv and, with a world, open_set.csv.

    provenance: what provenance.json holds. judging: a `zoo.judging.Judging`, whose labelling has the folder's
    thresholds. test, validation: clips (`zoo.corpus`). calibration: unmixed training crops, (n, samples). world: of
    `open_world`, or None. cache: a folder in which a file's scores are kept; None: nowhere.
    """
    scores, of_files = files.score_files(folder, test, judging, cache)
    decisions.write(folder / decisions.FILE, test, judging.labelling, scores)
    model = keras_files.load_exported(folder / "model.h5")
    _, backbone = assembly.parts(model)
    measured = {
        "files": of_files,
        "parameters": counts.trainable_parameters(model),
        "macs": counts.macs(backbone),
        "paper_flops": counts.paper_flops(backbone),
        **_micro_figures(folder, model, provenance["seam"], calibration, judging, test),
    }
    if len(validation):
        _, figures = judging.scored(keras_files.runner(model), validation, "validation")
        measured["validation"] = {"clips": len(validation), **figures}
    if world:
        temperature = provenance.get("rejection", {}).get("temperature")
        measured |= open_world.measure(world, folder, model, test, scores, judging, temperature)
    return scores, measured


def _micro_figures(folder, model, seam, calibration, judging, test):
    """What is told of micro/'s stream; nothing, where there is none."""
    if not has_stream(folder / "micro"):
        return {"tflm_bytes_unlike_litert_reference": None, "front_end_decisions": None, "stream": None}
    front, _ = assembly.cut(*assembly.parts(model), seam)
    return {
        "tflm_bytes_unlike_litert_reference": files.differing_bytes(folder, calibration[:COMPARED_CROPS]),
        "front_end_decisions": files.front_end_decisions(folder, front, judging.crops(test), judging.labelling),
        "stream": microcontroller.report(folder)["stream"],
    }
