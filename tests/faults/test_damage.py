"""Damaged label files through every command that reads them: refused, or read as if nothing had happened."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from relabel.labelfile import LabelFile
from tests.conftest import FULL
from tests.faults.commands import READERS, Reader
from tests.faults.conftest import CommandServer, Ended, contents
from tests.labelfile.fuzz_child import KINDS, digest_of, numbered, originals

CASES = 300 if FULL else 6
"""Damaged files for each command; other ones than those of tests/labelfile/test_fuzz.py."""

Outcome = tuple[int, str, dict[str, object]]


def said(path: Path) -> object:
    """What a file says: of a label file the content, of others the bytes but for checksums and sizes of files.

    Bytes of a label file that mean nothing may be damaged without harm; what is made of it records checksum and size.
    """
    if path.suffix == ".h5":
        labels = LabelFile(path)
        return digest_of([(name, labels[name]) for name in labels], [])
    return re.sub(rb'\b[0-9a-f]{64}\b|"contentSize": "\d+ B"', b"", path.read_bytes())


def outcome(server: CommandServer, folder: Path, reader: Reader, data: bytes) -> tuple[Ended, Outcome]:
    """What a command makes of a label file of these bytes: exit code, stdout, and all files but this one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "bad.h5").write_bytes(data)
    ended = server.run(folder, reader.arguments, most_memory=2 << 30)
    assert (folder / "bad.h5").read_bytes() == data, "the input was changed"
    made = {name: said(folder / name) for name, data in contents(folder).items() if data and name != "bad.h5"}
    return ended, (ended.code, ended.stdout, made)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_no_damage_gets_through(reader: Reader, server: CommandServer, workplace: Path) -> None:
    """Exit code 0 only with the result of the undamaged file; else an error that names the file, and no output."""
    folder = workplace / "damaged"
    expected: dict[bytes, Outcome] = {}
    seen: Counter[int] = Counter()
    first = 1_000_000 + CASES * list(READERS.values()).index(reader)
    for number in range(first, first + CASES):
        _, original, kind, data = numbered(workplace, number)
        if original.data not in expected:
            expected[original.data] = outcome(server, folder, reader, original.data)[1]
        ended, found = outcome(server, folder, reader, data)
        case = f"case {number} ({kind}): {ended}"
        ended.check_words()
        seen[ended.code] += 1
        if found == expected[original.data]:
            continue
        if kind == "splice":  # a file may take the whole place of another
            results = [outcome(server, folder, reader, other.data)[1] for other in originals(workplace)]
            if found in results:
                continue
        if not reader.whole and original in originals(workplace)[len(KINDS) :]:
            assert ended.code in (0, 1), case  # no checksum protects the attributes of these layouts
            continue
        assert ended.code == 1, case
        assert found[2] == {}, f"{case} left {list(found[2])}"
        if not ended.stdout:  # validate gives its findings there
            assert "bad.h5" in ended.stderr, case
    assert seen[1] > 0, "no damage was noticed"
