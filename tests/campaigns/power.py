"""A power cut, simulated: what may be on a disk after some calls, of which not all were synced.

A file is synced by its own `sync`, a name (of a file that was made, renamed or removed) by that
of its folder. Of what was not synced a cut may keep any part: writes may be missing, torn or out
of order, with zeros where an earlier one is missing; names may be the old ones or the new ones.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

KEEP = ("nothing", "everything", "names only", "data only", "any part")


@dataclass(frozen=True)
class Call:
    """A call of faults.c's record."""

    what: str
    inode: int
    path: str
    other: str
    offset: int
    data: bytes


def read_record(record: bytes) -> list[Call]:
    """The calls that faults.c has recorded."""
    calls, at = [], 0
    while at < len(record):
        end = record.index(b"\n", at)
        what, inode, path, other, offset, size = record[at:end].decode().split("\t")
        at = end + 1 + int(size)
        data = record[end + 1 : at]
        calls.append(Call(what, int(inode), path, other, int(offset), data))
    return calls


@dataclass
class Disk:
    """Names of files and folders, and what is in the files."""

    names: dict[str, int] = field(default_factory=dict)
    """From path to inode; that of a folder is 0."""
    content: dict[int, bytearray] = field(default_factory=dict)

    def name(self, call: Call) -> None:
        """Do what a call does to a name."""
        match call.what:
            case "create" | "mkdir":
                self.names[call.path] = call.inode
            case "unlink":
                self.names.pop(call.path, None)
            case "rename":
                inode = self.names.pop(call.path, None)
                if inode is not None:
                    self.names[call.other] = inode

    def data(self, call: Call) -> None:
        """Do what a call does to the bytes of a file."""
        content = self.content.setdefault(call.inode, bytearray())
        if call.what == "cut":
            del content[call.offset :]
            content.extend(bytes(call.offset - len(content)))
        else:
            content.extend(bytes(max(call.offset - len(content), 0)))
            content[call.offset : call.offset + len(call.data)] = call.data

    def write(self, source: Path, target: Path) -> None:
        """Make the folder `target` as `source` is on this disk."""
        for path, inode in sorted(self.names.items()):
            place = target / Path(path).relative_to(source)
            if not all(
                str(parent) in self.names
                for parent in Path(path).parents
                if parent.is_relative_to(source)
            ):
                continue
            if inode == 0:
                place.mkdir()
            else:
                place.write_bytes(self.content.get(inode, b""))


def after_a_cut(calls: list[Call], keep: str, seed: int) -> Disk:
    """A disk after a power cut that came after some calls."""
    disk, names, data = Disk(), [], []
    for call in calls:
        if call.what in ("create", "mkdir", "unlink", "rename"):
            names.append(call)
        elif call.what != "sync":
            data.append(call)
        else:
            for one in [c for c in data if c.inode == call.inode]:
                disk.data(one)
            data = [c for c in data if c.inode != call.inode]
            for one in [c for c in names if str(Path(c.path).parent) == call.path]:
                disk.name(one)
            names = [c for c in names if str(Path(c.path).parent) != call.path]
    chance = random.Random(f"{seed} {len(calls)} {keep}")
    if keep in ("everything", "names only", "any part"):
        for one in names:
            if keep != "any part" or chance.random() < 0.5:
                disk.name(one)
    if keep in ("everything", "data only"):
        for one in data:
            disk.data(one)
    elif keep == "any part":
        kept = [c for c in data if chance.random() < 0.6]
        chance.shuffle(kept)
        for one in kept:
            torn = one.data[: chance.randrange(len(one.data) + 1)]
            whole = chance.random() < 0.7
            disk.data(one if whole else Call(one.what, one.inode, "", "", one.offset, torn))
    return disk
