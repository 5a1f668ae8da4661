"""What the doctor says of a recording, or of a microphone's signal. Needs numpy.

    for line in look_at(samples, sample_rate_hz).lines():
        print(line)

Samples are float, (time,) or (time, channels).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from zoo.runtime.faults import LONGEST_S, Fault, as_channels, faults, window_powers
from zoo.runtime.windows import dbfs


class Statistics(NamedTuple):
    """What a recording measures. Levels are those of the loudest channel, against a full scale of 1."""

    sample_rate_hz: float
    channels: int
    seconds: float
    peak_dbfs: float | None
    rms_dbfs: float | None
    noise_floor_dbfs: float | None  # the level that a tenth of all windows of 50 ms stay under
    dc: float | None  # the mean that is furthest from 0


@dataclass(frozen=True)
class Report:
    """What `look_at` found. lines() is for a terminal, as_dict() for JSON; `healthy` is what an exit code may say."""

    statistics: Statistics
    faults: tuple[Fault, ...]

    @property
    def healthy(self):
        return all(fault.harmless for fault in self.faults)

    def lines(self):
        measured = self.statistics
        kind = {1: "mono", 2: "stereo"}.get(measured.channels, f"{measured.channels} channels")
        first = f"{measured.seconds:.2f} s, {measured.sample_rate_hz:,.0f} Hz, {kind}"
        if measured.peak_dbfs is not None:
            first += (
                f"; peak {measured.peak_dbfs:.1f} dBFS, rms {measured.rms_dbfs:.1f} dBFS, "
                f"noise floor {measured.noise_floor_dbfs:.1f} dBFS, DC {measured.dc:+.4f}"
            )
        lines = [first]
        if measured.seconds > LONGEST_S:
            lines.append(f"looked at the first {LONGEST_S:.0f} s")
        if measured.seconds == 0:
            return [*lines, "no sound: nothing can be told of it"]
        for fault in self.faults:
            lines += [f"{fault.name}{' (harmless)' if fault.harmless else ''}: {fault.evidence}", f"    {fault.remedy}"]
        return lines if self.faults else [*lines, "nothing wrong was found"]

    def as_dict(self):
        return {
            "healthy": self.healthy,
            "statistics": self.statistics._asdict(),
            "faults": [fault._asdict() for fault in self.faults],
        }


def look_at(samples, sample_rate_hz, thorough=True):
    """The `Report` of a recording.

    samples: float, (time,) or (time, channels), as a file or a driver gave them. thorough: as `faults` has it.

    Raises: ZooError if they are no such array or the rate is no positive number.
    """
    channels = as_channels(samples, sample_rate_hz)
    return Report(
        statistics=_statistics(channels, len(samples), sample_rate_hz),
        faults=tuple(faults(channels, sample_rate_hz, thorough)),
    )


def _statistics(channels, num_samples, sample_rate_hz):
    known = dict(
        sample_rate_hz=float(sample_rate_hz), channels=channels.shape[1], seconds=num_samples / float(sample_rate_hz)
    )
    if not len(channels) or not np.isfinite(channels).all():
        return Statistics(**known, peak_dbfs=None, rms_dbfs=None, noise_floor_dbfs=None, dc=None)
    dc = channels.mean(axis=0)
    rms = np.sqrt(np.mean(np.square(channels - dc), axis=0))
    sound = (channels - dc)[:, np.argmax(rms)]
    return Statistics(
        **known,
        peak_dbfs=dbfs(np.abs(channels).max()),
        rms_dbfs=dbfs(rms.max()),
        noise_floor_dbfs=dbfs(np.sqrt(np.percentile(window_powers(sound, sample_rate_hz), 10))),
        dc=float(dc[np.argmax(np.abs(dc))]),
    )
