"""What the processor takes of energy, where Linux tells: RAPL's counters, in /sys/class/powercap."""

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Meter:
    """The counters of all processor packages together. They tell of all that runs there, idle cores included."""

    def __init__(self, packages):
        self._packages = packages
        self._ranges_uj = [_number(package / "max_energy_range_uj") for package in packages]
        self._before_uj = self._read_uj()

    @classmethod
    def open(cls, folder=POWERCAP):
        """The `Meter`, or None where there is none, or none that this user may read: most systems ask for root."""
        try:
            zones = [zone for zone in sorted(folder.glob("*-rapl:*")) if zone.name.count(":") == 1]
            packages = [zone for zone in zones if (zone / "name").read_text().startswith("package")]
            return cls(packages) if packages else None
        except (OSError, ValueError):
            return None

    def joules(self):
        """Joules since the last call, or since it was opened. The counters run over, at most once between two calls."""
        before_uj, self._before_uj = self._before_uj, self._read_uj()
        return (
            sum(
                (after - before) % (range_uj + 1)
                for after, before, range_uj in zip(self._before_uj, before_uj, self._ranges_uj)
            )
            / 1e6
        )

    def _read_uj(self):
        return [_number(package / "energy_uj") for package in self._packages]


def _number(path):
    return int(path.read_text())
