"""The commands that these tests kill, starve and feed with damage, and what they read."""

from __future__ import annotations

from dataclasses import dataclass

LABELS, PAIRS = "../inputs/labels.h5", "../inputs/pairs.csv"


@dataclass(frozen=True)
class Writer:
    """A command that writes `outputs`, names in the folder it runs in; the inputs lie in ``../inputs``."""

    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    adds_files: bool = False  # to a folder that may hold others, instead of replacing it
    is_slow: bool = False  # or writes as another one does: tried in full only


def _writer(line: str, *outputs: str, **kind: bool) -> Writer:
    return Writer(tuple(line.split()), outputs, **kind)


WRITERS = {
    "sample msls": _writer("sample msls city --cameras 20 --buildings", "city/train_val/sampletown"),
    "sample 7scenes": _writer("sample 7scenes room --frames 3", "room/room", is_slow=True),
    "msls": _writer("msls --root ../inputs/city -o new.h5", "new.h5"),
    "msls with processes": _writer("msls --root ../inputs/city -o new.h5 --executor processes", "new.h5"),
    "rgbd": _writer("rgbd --root ../inputs/room --layout folder -o new.h5", "new.h5"),
    "table": _writer("table ../inputs/table.csv -o new.h5", "new.h5"),
    "merge": _writer(f"merge {LABELS}::amman ../inputs/other.h5 -o new.h5", "new.h5"),
    "subset": _writer(f"subset {LABELS} --band 0.2: -o new.h5", "new.h5", is_slow=True),
    "convert": _writer(f"convert {LABELS} --measure dice -o new.h5", "new.h5", is_slow=True),
    "import pairs": _writer(f"import csv {PAIRS} --measure iou -o new.h5", "new.h5"),
    "publish": _writer(f"publish {LABELS} -o page --hub --license CC-BY-4.0 --creator A", "page"),
    "publish a page": _writer(f"publish {LABELS} -o page --license CC-BY-4.0 --report", "page", is_slow=True),
    "report": _writer(f"report {LABELS} -o page.html", "page.html"),
    "headings": _writer("headings ../inputs/city -o mask.csv", "mask.csv"),
    "evaluate": _writer(
        f"evaluate {LABELS}::amman --descriptors ../inputs/descriptors --per-query queries.csv"
        " --write-predictions predictions.txt",
        "queries.csv",
        "predictions.txt",
    ),
    **{
        f"export {form}": _writer(
            f"export {LABELS}::{collection} --to {form} -o new",
            "new",
            adds_files=True,
            is_slow=form not in ("gcl", "npy", "csv", "parquet"),
        )
        for form, collection in {
            "gcl": "amman",
            "condensed": "room",
            "npy": "amman",
            "msls-idx": "amman",
            "deep-vg": "amman",
            "pairs": "amman",
            "csv": "amman",
            "parquet": "amman",
            "npz": "amman",
        }.items()
    },
}


@dataclass(frozen=True)
class Reader:
    """A command that reads the label file ``bad.h5`` in the folder it runs in, or the same file undamaged."""

    arguments: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    whole: bool = True  # it reads every pair, so that it can promise more than one that looks at a row


def _reader(line: str, *outputs: str, whole: bool = True) -> Reader:
    return Reader(tuple(line.split()), outputs, whole)


READERS = {
    "info": _reader("info bad.h5", whole=False),
    "info as JSON": _reader("info bad.h5 --json", whole=False),
    "ls": _reader("ls bad.h5", whole=False),
    "tree": _reader("tree bad.h5", whole=False),
    "validate": _reader("validate bad.h5 --level content --json"),
    "stats": _reader("stats bad.h5 --json"),
    "dump": _reader("dump bad.h5"),
    "compare": _reader("compare bad.h5 bad.h5"),
    "subset": _reader("subset bad.h5 --band 0.5: -o new.h5", "new.h5"),
    "convert": _reader("convert bad.h5 --measure dice -o new.h5", "new.h5"),
    "merge": _reader("merge bad.h5 -o new.h5", "new.h5"),
    "export": _reader("export bad.h5 --to csv -o new", "new"),
    "publish": _reader("publish bad.h5 -o page --report", "page"),
    "report": _reader("report bad.h5 -o page.html", "page.html"),
}
