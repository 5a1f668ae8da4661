"""Search for settings under a budget: keras-tuner proposes them, and what does not fit is refused before it trains.

On several machines, or in several processes of one, keras-tuner's own chief proposes and its workers train: the same
program runs in each, with KERASTUNER_TUNER_ID=chief, worker1, ..., KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT.
"""

import json
import os
import time
import warnings
from dataclasses import dataclass, fields

import keras_tuner
from keras_tuner.engine import base_tuner, trial

from zoo.errors import Diverged, ZooError
from zoo.progress import bar

TUNERS = {
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
}
OWN = "tuner/"  # what Hyperband adds to the values of a trial, and we
TOLD = f"{OWN}told"  # what a trial gave, in JSON: values reach the chief as they are, metrics as float32
REFUSED = 0.0  # what the tuner takes for the accuracy of a candidate that does not fit
MOST_REFUSED = 50  # for each trial that is asked for: then the budget holds nothing of the space
WAIT_S = 0.2  # before a trial is asked for


@dataclass(frozen=True)
class Span:
    """From low upwards in twentieths of a power of ten, to high at most: a number as fine as it can matter."""

    low: float
    high: float


@dataclass(frozen=True)
class Budget:
    """What a model may take at most; None: no matter."""

    flash_bytes: int | None = None
    ram_bytes: int | None = None
    macs: int | None = None

    def excess(self, sizes):
        """What `sizes`, with fields of these names, has too much of: one phrase, "" where it fits."""
        limits = {field.name: getattr(self, field.name) for field in fields(self)}
        return ", ".join(
            f"{name} {getattr(sizes, name):,} of {limit:,}"
            for name, limit in limits.items()
            if limit is not None and getattr(sizes, name) > limit
        )


@dataclass(frozen=True)
class Trial:
    """One candidate."""

    settings: dict
    epochs: int
    excess: str  # why it was refused, or how its training diverged; "" where there are figures
    figures: dict  # what `assess` gave; of a refused one nothing


def process():
    """The name of this process where several search; "" where it is the only one."""
    return os.environ["KERASTUNER_TUNER_ID"] if "KERASTUNER_ORACLE_IP" in os.environ else ""


def is_worker():
    """Whether another process proposes, and this one trains what it is given."""
    return bool(process()) and "chief" not in process()  # as keras-tuner has it


def search(space, start, excess, assess, tuner, trials, epochs, folder, seed):
    """All `Trial`s in the order in which they began; None in a worker, whose trials the chief has.

    space: {setting: tuple of choices, or a `Span`}. start: {setting: value}, tried first where the space has them;
    Hyperband begins at random. excess: settings -> phrase, "" where they fit the budget (`Budget.excess`).
    assess: (settings, epochs) -> {"accuracy": ..., further figures}, as JSON holds them. tuner: of TUNERS. trials: how
    many are trained; Hyperband may end before. epochs: of each; Hyperband's best get so many, the others fewer. folder:
    where the state is kept: the same call after a kill goes on from it.

    Raises: ZooError where nothing fits the budget. What `excess` or `assess` raises ends the search, but for
    `Diverged`.
    """
    settings = {
        "hyperparameters": _parameters(space, start),
        "allow_new_entries": False,
        "tune_new_entries": False,
        "objective": keras_tuner.Objective("accuracy", "max"),
        "seed": seed + 1,  # 0 would be any
    }
    if tuner == "hyperband":
        settings["max_epochs"] = epochs
    else:
        settings |= {"max_trials": None, "num_initial_points": max(3, trials // 3)}
    with bar(total=trials, desc="search", unit="trial", disable=is_worker()) as progress:
        oracle = _until_enough(TUNERS[tuner])(trials, progress, **settings)
        oracle.verbose = 0
        try:
            _Tuner(oracle, excess, assess, epochs, folder).search()
        except keras_tuner.errors.FatalError as error:
            raise error.__cause__ from None
    if is_worker():
        return None
    ran = [_told(oracle.trials[name], epochs) for name in oracle.start_order]
    if all(one.excess for one in ran):
        raise ZooError(f"nothing fits the budget: of {len(ran)} candidates the last has {ran[-1].excess}")
    return ran


def _parameters(space, start):
    parameters = keras_tuner.HyperParameters()
    for name, choices in space.items():
        is_span = isinstance(choices, Span)
        within = name in start and (choices.low <= start[name] <= choices.high if is_span else start[name] in choices)
        first = {"default": start[name]} if within else {}
        if is_span:
            parameters.Float(name, choices.low, choices.high, step=10**0.05, sampling="log", **first)
        else:
            parameters.Choice(name, list(choices), **first)
    return parameters


def _until_enough(kind):
    """The kind of oracle, which stops when enough trials are trained: those that were refused do not count."""

    class UntilEnough(kind):
        def __init__(self, wanted, progress, **settings):
            super().__init__(**settings)
            self.wanted, self.progress = wanted, progress

        def populate_space(self, trial_id):
            refused = sum(map(_is_refused, self.trials.values()))
            if len(self.trials) - refused >= self.wanted or refused >= MOST_REFUSED * self.wanted:
                # One of those that run may still be refused.
                status = trial.TrialStatus.IDLE if self.ongoing_trials else trial.TrialStatus.STOPPED
                return {"status": status, "values": None}
            if kind is TUNERS["bayesian"] and not self.trials:
                values = {one.name: one.default for one in self.hyperparameters.space}
                return {"status": trial.TrialStatus.RUNNING, "values": values}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the Gaussian process, at the ends of its lengths
                proposed = super().populate_space(trial_id)
            if kind is TUNERS["bayesian"] and self._duplicate(proposed["values"]):  # its best may be known already
                return self._random_populate_space()
            return proposed

        def _compute_values_hash(self, values):
            return super()._compute_values_hash({name: value for name, value in values.items() if name != TOLD})

        @keras_tuner.synchronized
        def end_trial(self, one):
            super().end_trial(one)
            ended = [self.trials[name] for name in self.end_order]
            refused = sum(map(_is_refused, ended))
            self.progress.n = len(ended) - refused
            self.progress.set_postfix(best=f"{max(other.score for other in ended):.2%}", refused=refused)

    return UntilEnough


class _Tuner(base_tuner.BaseTuner):
    """Runs one trial after the other."""

    def __init__(self, oracle, excess, assess, epochs, folder):
        self.excess, self.assess, self.epochs = excess, assess, epochs
        super().__init__(oracle, directory=str(folder), project_name="tuner")

    def run_trial(self, one):
        settings, epochs = _asked(one, self.epochs)
        try:
            excess = self.excess(settings)
            figures = {} if excess else self.assess(settings, epochs)
        except Diverged as error:
            excess, figures = str(error), {}
        except Exception as error:  # keras-tuner would note it and go on
            raise keras_tuner.errors.FatalError(str(error)) from error
        one.hyperparameters.values[TOLD] = json.dumps({"excess": excess, "figures": figures})
        return {"accuracy": figures.get("accuracy", REFUSED)}

    def pre_create_trial(self):
        time.sleep(WAIT_S)  # else a worker for whom there is nothing yet would ask without end


def _is_refused(one):
    told = one.hyperparameters.values.get(TOLD)
    return bool(told and json.loads(told)["excess"])


def _asked(one, epochs):
    """(settings, epochs) of keras-tuner's trial."""
    values = one.hyperparameters.values
    settings = {name: _rounded(value) for name, value in values.items() if not name.startswith(OWN)}
    return settings, values.get(f"{OWN}epochs", epochs)


def _told(one, epochs):
    return Trial(*_asked(one, epochs), **json.loads(one.hyperparameters.values[TOLD]))


def _rounded(value):
    """Of a number with a fraction as many digits as one would write."""
    return float(f"{value:.3g}") if isinstance(value, float) else value
