"""A journal: one JSON line an entry, appended when it is finished, read after an interruption.

The first line holds the settings that the entries were made with. A line that a kill left torn is
dropped, so that its entry is made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from minireason.errors import RunFolderError
from minireason.runfolder import write_text

Entry = dict[str, Any]


class Journal:
    """The journal at `path` for work with these settings; the file appears with the first entry."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry: it is there even if the process is killed right after."""
        with self.path.open("ab") as file:
            header = b"" if file.tell() else _line({"settings": self.settings})
            file.write(header + _line(entry))

    def entries(self) -> list[Entry]:
        """What is finished; none where there is no file.

        Raises RunFolderError where the journal was made with other settings or is damaged.
        """
        if not self.path.is_file():
            return []
        lines = self._whole_lines()
        if not lines:
            return []
        self._check(lines[0])
        return lines[1:]

    def rewrite(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Put these entries in place of what is there, all at once."""
        lines = [_line({"settings": self.settings}), *map(_line, entries)]
        write_text(self.path, b"".join(lines).decode())

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _whole_lines(self) -> list[Entry]:
        """The lines; what a kill left of the last one is cut off."""
        data = self.path.read_bytes()
        size = data.rfind(b"\n") + 1
        raw = data[:size].splitlines()
        lines = []
        for number, text in enumerate(raw, 1):
            line = _parsed(text)
            if line is None and number < len(raw):
                raise RunFolderError(
                    f"{self.path}, line {number} is no JSON object: the file is damaged; put it "
                    f"back, or remove it to redo what it holds"
                )
            if line is None:
                size -= len(text) + 1
            else:
                lines.append(line)
        if size < len(data):
            with self.path.open("r+b") as file:
                file.truncate(size)
        return lines

    def _check(self, header: Entry) -> None:
        made = header.get("settings")
        if made == self.settings:
            return
        made = made if isinstance(made, dict) else {}
        names = sorted(made.keys() | self.settings.keys())
        changes = [
            f"{name} was {made.get(name)!r:.60}, is now {self.settings.get(name)!r:.60}"
            for name in names
            if made.get(name) != self.settings.get(name)
        ]
        raise RunFolderError(
            f"{self.path} was begun with other settings: {'; '.join(changes[:5])}. Use another "
            f"--out, put the old value back, or remove the file to redo what it holds"
        )


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _parsed(text: bytes) -> Entry | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
