"""Events on disk, each as it ends: JSON lines, CSV, or a label track that Audacity imports."""

import csv
import json

from zoo.errors import ZooError
from zoo.runtime.events import Event

FORMATS = {".jsonl": "JSON lines", ".csv": "CSV", ".txt": "Audacity's label track"}


class EventFile:
    """A file of events; the ending of its name tells which kind: .jsonl, .csv or .txt.

    Every event is the system's as soon as it was written: whoever kills the process takes none of them.
    """

    def __init__(self, path):
        """Raises: ZooError for another ending."""
        if path.suffix not in FORMATS:
            raise ZooError(f"{path}: events are written as {', '.join(map(' '.join, FORMATS.items()))}")
        self._suffix = path.suffix
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "w", newline="", encoding="utf-8")
        if self._suffix == ".csv":
            csv.writer(self._file).writerow(Event._fields)
            self._file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, event):
        """Adds an `Event`."""
        if self._suffix == ".jsonl":
            self._file.write(json_line(event) + "\n")
        elif self._suffix == ".csv":
            csv.writer(self._file).writerow((f"{event.onset_s:.3f}", f"{event.offset_s:.3f}", event.label, event.score))
        else:
            self._file.write(f"{event.onset_s:.6f}\t{event.offset_s:.6f}\t{event.label}\n")
        self._file.flush()


def json_line(event):
    """An `Event` as JSON."""
    rounded = event._replace(onset_s=round(event.onset_s, 3), offset_s=round(event.offset_s, 3))
    return json.dumps(rounded._asdict(), ensure_ascii=False)
