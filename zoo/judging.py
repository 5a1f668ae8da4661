"""How clips judge a model: each by crops of it, whose scores are averaged. One code for Keras, TFLite and TFLM."""

from dataclasses import dataclass
from typing import Any

from zoo import corpus, evaluation


@dataclass(frozen=True)
class Judging:
    """What is the same for every file of a model.

    labelling: of `zoo.labelling`. num_samples: of a crop. crops_per_clip, padding: as of `corpus.judging_crops`.
    seed: of the bootstrap.
    """

    labelling: Any
    num_samples: int
    crops_per_clip: int
    padding: float
    seed: int

    def crops(self, clips):
        """What each of `clips` (`zoo.corpus`) is judged by: a sequence of arrays (crops, samples)."""
        return corpus.JudgingCrops(clips, self.num_samples, self.crops_per_clip, self.padding)

    def crops_of(self, waveform):
        """What judges one waveform. Shape: (time,) -> (crops, samples)"""
        return corpus.judging_crops(waveform, self.num_samples, self.crops_per_clip, self.padding)

    def figures(self, scores, reference, clips):
        """What is told of scores (clips, classes) beside those of `reference`."""
        return self.labelling.figures(scores, reference, clips.targets, clips.sources, self.seed)

    def quality(self, scores, clips):
        """{the metric, "low", "high"} of scores (clips, classes)."""
        figures = self.figures(scores, scores, clips)
        return {name: figures[name] for name in (self.labelling.metric, "low", "high")}

    def scored(self, run, clips, name):
        """(scores of the clips, their `quality`). run: function crops -> scores. name: of the progress bar."""
        scores = evaluation.clip_scores(run, self.crops(clips), name)
        return scores, self.quality(scores, clips)
