"""README.md of a published label file, with its histogram: what readers need to know before they train with it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from relabel.datasets.registry import find_recorded
from relabel.display import parameters, several
from relabel.figures import colours_of, figure, verbatim
from relabel.labelfile import StoredCollection
from relabel.publish import hub
from relabel.publish.about import About, citation
from relabel.publish.quoting import escaped, literal
from relabel.report.stats import BINS, Band, Statistics

HISTOGRAM = "histogram.svg"
REPORT = "report.html"

_CHECK = "**To be checked by the publisher.**"
_IMPORTED = "Imported from labels made by others: their terms also apply to these, and this card does not know them."
_UNKNOWN = "The label file does not say which dataset it was made from, so its terms are not known here."

_NOTHING = 1e-4  # up to this ψ two cameras share nothing that matters

_FORMULAS = {
    "iou": "ψ = I / (A + B − I)",
    "overlap": "ψ = I / A, the share of the query's own view",
    "dice": "ψ = 2 I / (A + B)",
    "unknown": "not stated by the makers of the labels; do not compare them with others, and do not convert them",
}
_METHODS = {
    "fov-sector": "overlap of fields of view, circular sectors around the heading",
    "fov-polygon": "overlap of fields of view, polygons of apex and arc segments",
    "surface": "shared surface, from depth and poses",
    "voxel-iou": "shared voxels, from depth and poses",
    "imported": "imported from labels made by others",
}
_PARAMETERS = {
    "frame": "`frame` geodesic: positions were compared on the earth, by longitude and latitude.",
    "fov_deg": "A field of view is `fov_deg` degrees wide.",
    "radius_m": "It reaches `radius_m` metres.",
    "arc": "Its arc is made of `arc` straight segments.",
    "heading": "`heading` states the source of the headings.",
    "heading_faults": "`heading_faults` counts the rows whose headings were doubtful, by reason.",
    "heading_sigma_deg": "ψ is the value expected under normal noise of the headings, whose standard deviation is "
    "`heading_sigma_deg` degrees.",
    "position_sigma_m": "ψ is the value expected under normal noise of the positions, whose standard deviation along "
    "either axis is `position_sigma_m` metres.",
    "max_heading_difference_deg": "Pairs whose headings differ by more than `max_heading_difference_deg` degrees have "
    "ψ = 0.",
    "max_height_difference_m": "Pairs whose heights differ by more than `max_height_difference_m` metres have ψ = 0.",
    "occluders": "Buildings (`occluders`) cut the fields of view.",
    "tolerance_m": "A point is shared if the other frame has one within `tolerance_m` metres.",
    "voxel_m": "Surface is counted in voxels whose edges are `voxel_m` metres.",
    "stride": "Every `stride`-th row and column of each depth map was used.",
    "nearest_m": "Depths below `nearest_m` metres were left out.",
    "farthest_m": "Depths beyond `farthest_m` metres were left out; none is no limit.",
    "mask": "The cameras listed in `mask` were not labelled.",
}
"""Meaning of the parameters, for readers who do not know this program."""
_MARKDOWN = re.compile(r"[\\`*\[\]<>|&~$#!]|(?<!\w)_|_(?!\w)")
_BLOCK = re.compile(r"(?=[-+=:]|\d+([.)]))")
"""What would begin a list, a heading or a table at the start of a line."""
_TICKS = re.compile("`+")


class Page(NamedTuple):
    """The page of `relabel.view` in the folder."""

    images: bool
    """whether it holds images"""

    @property
    def text(self) -> str:
        """What it is, as Markdown."""
        return (
            f"[{REPORT}]({REPORT}) shows the cameras on a map, their matches and their faults; download it and open it "
            "in a browser, it needs no network."
        )


def card(
    about: About,
    label_file: str,
    collections: Sequence[StoredCollection],
    statistics: Mapping[str, Statistics],
    records: Sequence[Mapping[str, Any]],
    tables: Sequence[str] = (),
    *,
    page: Page | None = None,
) -> str:
    """The text of README.md.

    Parameters
    ----------
    about:
        with title and description filled in.
    label_file:
        its name in the folder.
    collections, statistics:
        all of the file, and the figures of each by name.
    records:
        the provenance of the file.
    tables:
        names of Parquet files in the folder.
    page:
        the page `REPORT`, where the folder has it.
    """
    sections = (
        hub.front_matter(about, tables, sum(stored.nnz for stored in collections), _tags(records)),
        [f"# {_plain(about.title)}", "", about.description.strip()],
        _what(collections),
        [*_counts(statistics), *(["", page.text] if page else [])],
        _absent(collections),
        _loading(about, label_file, next((c for c in collections if c.nnz), collections[0]), tables),
        _checking(label_file),
        _provenance(records),
        _licence(about, records, page),
        ["## Citation", "", _plain(citation(about)), "", "The labelled dataset has its own citation."],
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def default_title(collections: Sequence[StoredCollection]) -> str:
    """A title for those who give none."""
    names = [_one_line(stored.name) for stored in collections]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Graded similarity labels: {', '.join(names[:3])}{more}"


def default_description(collections: Sequence[StoredCollection], *, images: bool = False) -> str:
    """A description for those who give none."""
    pairs = sum(stored.nnz for stored in collections)
    cameras = sum(sum(stored.shape[: 2 - stored.self_pairs]) for stored in collections)
    included = "No images are included."
    if images:
        included = f"{REPORT} holds small copies of images; no others are included."
    return (
        "Degrees of similarity between 0 and 1 of pairs of images, for training and evaluating visual place "
        f"recognition: {several(pairs, 'pair')} of {several(cameras, 'camera')}. {included}"
    )


def _what(collections: Sequence[StoredCollection]) -> list[str]:
    lines = [
        "## What is in it",
        "",
        "Each number ψ is the degree to which the views of two cameras overlap. With I the area or surface that both",
        "see, A that which the query sees and B that which the database camera sees:",
        "",
    ]
    for measure in sorted({stored.measure for stored in collections}):
        names = [stored.name for stored in collections if stored.measure == measure]
        scope = "" if len(names) == len(collections) else f" ({', '.join(map(_plain, names))})"
        lines.append(f"- measure {_code(measure)}{scope}: {_FORMULAS.get(measure, 'of a later version of the format')}")
    lines += ["", "| collection | method | parameters | queries | database | pairs |", "|---|---|---|---|---|---|"]
    for stored in collections:
        sides = [_statuses(side.status_counts()) for side in (stored.query, stored.database)]
        database = "the queries themselves" if stored.self_pairs else sides[1]
        cells = (
            _plain(stored.name),
            ": ".join(filter(None, (_plain(stored.method), _METHODS.get(stored.method)))),
            _parameters(stored.params),
            sides[0],
            database,
            f"{stored.nnz:,}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    given = {name for stored in collections for name in stored.params}
    sentences = [sentence for name, sentence in _PARAMETERS.items() if name in given]
    if sentences:
        lines += ["", " ".join(sentences)]
    frames = sorted({stored.crs for stored in collections})
    return [*lines, "", f"Positions are in metres, in the frame {', '.join(map(_code, frames))}."]


def _counts(statistics: Mapping[str, Statistics]) -> list[str]:
    lines = [
        f"![Stored pairs by ψ]({HISTOGRAM})",
        "",
        "Database cameras per query (all pairs, mean and median over the queries whose status is ok):",
        "",
        "| collection | ψ ≥ 0.5 | between | absent | queries without ψ ≥ 0.5 |",
        "|---|---|---|---|---|",
    ]
    for name, s in statistics.items():
        bands = " | ".join(_band(band) for band in (s.positive, s.partial, s.zero))
        lines.append(f"| {_plain(name)} | {bands} | {s.queries_without_positive:,} of {s.queries_ok:,} |")
    return lines


def _band(band: Band) -> str:
    return "-" if band.mean is None else f"{band.pairs:,} pairs, {band.mean:,.1f}, {band.median:,.1f}"


def _absent(collections: Sequence[StoredCollection]) -> list[str]:
    bounds = sorted({stored.min_value for stored in collections})
    nothing = "a true negative" if bounds[-1] <= _NOTHING else "not certainly a negative: ψ may be this large"
    return [
        "## What an absent pair means",
        "",
        f"- Absent, and both cameras have status `ok`: ψ ≤ {' or '.join(f'{value:g}' for value in bounds)}: {nothing}.",
        "- Absent, and either camera is not `ok`: **unknown**. It must not be used as a negative.",
        *_excluded(collections),
        "",
        "Rows and columns are joined by key, never by order.",
    ]


def _excluded(collections: Sequence[StoredCollection]) -> list[str]:
    rules: dict[str, list[str]] = {}
    for stored in collections:
        if rule := stored.collection.exclusion:
            rules.setdefault(str(rule), []).append(stored.name)
    return [
        f"- **Excluded, stored or absent**: {rule}, in {', '.join(map(_plain, names))}, by the columns of the cameras. "
        "Do not use such a pair as a positive or as a negative."
        for rule, names in rules.items()
    ]


def _loading(about: About, label_file: str, stored: StoredCollection, tables: Sequence[str]) -> list[str]:
    file, name = literal(label_file), literal(stored.name)
    lines = [
        "## How to load it",
        "",
        "With relabel:",
        "",
        "```python",
        "import relabel",
        "",
        f"labels = relabel.LabelFile({file})[{name}]",
        "psi = labels.to_scipy()  # queries × database, float32",
        "query, database = labels.query.key, labels.database.key",
        "query_ok, database_ok = labels.query.ok, labels.database.ok",
        "keys, values = labels.row(str(query[0]))  # matches of one query, best first",
        "```",
        "",
        "With h5py and SciPy alone:",
        "",
        "```python",
        *(_shards_by_h5py(file, name, stored) if stored.path.is_dir() else _file_by_h5py(file, name)),
        "```",
    ]
    if tables:
        configurations = zip(hub.config_names(tables), tables, strict=True)
        listed = ", ".join(f"{_code(name)} ({_code(table)})" for name, table in configurations)
        lines += [
            "",
            "The same pairs and cameras as Parquet tables, each a configuration of Hugging Face `datasets`:",
            f"{listed}. The only split is called `{hub.SPLIT}`, whatever the labels are for.",
            "",
            "```python",
            *hub.loading(about, tables),
            "```",
        ]
    return lines


def _file_by_h5py(file: str, name: str) -> list[str]:
    return [
        "import h5py",
        "from scipy.sparse import csr_array",
        "",
        f"with h5py.File({file}) as f:",
        f'    c, s = f[{name}], f[{name}]["similarity"]',
        '    psi = csr_array((s["data"][:], s["indices"][:], s["indptr"][:]), shape=tuple(s.attrs["shape"]))',
        '    query, database = c["queries/key"].asstr()[:], c["database/key"].asstr()[:]',
        '    query_ok, database_ok = c["queries/status"][:] == 0, c["database/status"][:] == 0',
    ]


def _shards_by_h5py(folder: str, name: str, stored: StoredCollection) -> list[str]:
    return [
        "import json, os",
        "import h5py",
        "from scipy.sparse import csr_array, vstack",
        "",
        f"folder, parts, query, query_ok = {folder}, [], [], []",
        'with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as manifest:',
        f'    shards = json.load(manifest)["collections"][{name}]["shards"]',
        "for shard in shards:",
        '    with h5py.File(os.path.join(folder, shard["path"])) as f:',
        f'        c, s = f[{name}], f[{name}]["similarity"]',
        '        arrays = s["data"][:], s["indices"][:], s["indptr"][:]',
        '        parts.append(csr_array(arrays, shape=tuple(s.attrs["shape"])))',
        '        query += c["queries/key"].asstr()[:].tolist()',
        '        query_ok += (c["queries/status"][:] == 0).tolist()',
        '        database, database_ok = c["database/key"].asstr()[:], c["database/status"][:] == 0',
        *(
            ["# Each camera that is ok is paired with itself, ψ = 1, which a label file in one piece leaves out."]
            * stored.self_pairs
        ),
        'psi = vstack(parts, format="csr")',
    ]


def _tags(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tags of the datasets that were labelled, from the provenance; a command that reads data of any kind has none."""
    specs = (find_recorded(str(record["command"])) for record in records)
    return [tag for spec in specs if spec is not None for tag in ((spec.name,) if spec.tags is None else spec.tags)]


def _checking(label_file: str) -> list[str]:
    return [
        "## How to check it",
        "",
        "```",
        "sha256sum -c SHA256SUMS",
        f"relabel validate {shlex.quote(label_file)} --level content",
        "```",
    ]


def _provenance(records: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["## How it was made", ""]
    if not records:
        return [*lines, "The label file has no record of that."]
    for number, record in enumerate(records, 1):
        software = record["software"]
        lines.append(
            f"{number}. {_code(record['command'])} ({_plain(software['name'])} {_plain(software['version'])}): "
            f"{_parameters(record['parameters'])}"
        )
        versions = ", ".join(f"{_plain(name)} {_plain(text)}" for name, text in sorted(record["libraries"].items()))
        lines += [f"   - with {versions}"] if versions else []
        lines += [
            f"   - from {_code(entry['path'])}, {entry['bytes']:,} bytes, sha256 {_code(entry['sha256'])}"
            for entry in record["inputs"]
        ]
    return lines


def _licence(about: About, records: Sequence[Mapping[str, Any]], page: Page | None) -> list[str]:
    own = (
        f"These labels: {_plain(about.license)}."
        if about.license
        else "The publisher of these labels has not named a licence for them; ask before using them."
    )
    notes = source_notes(records)
    if page is not None and page.images:
        notes.append(
            f"{REPORT} holds images. The licence of the labels is not theirs: that of their dataset holds. {_CHECK}"
        )
    return ["## Licence", "", own, "", *_bullets(notes)]


def _bullets(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield f"- {line}"


def _parameters(params: Mapping[str, Any]) -> str:
    return _plain(parameters(dict(sorted(params.items()))))


def _statuses(counts: Mapping[str, int]) -> str:
    return _plain(", ".join(f"{count:,} {name}" for name, count in counts.items())) or "none"


def _plain(text: str) -> str:
    """A text as one line of Markdown that shows it literally."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", _one_line(text))
    begins = _BLOCK.match(escaped)
    if begins is None:
        return escaped
    at = begins.start(1) if begins[1] else 0
    return f"{escaped[:at]}\\{escaped[at:]}"


def _code(text: str) -> str:
    """A text as a span of code, with as many backticks around it as it takes to hold those in it."""
    line = _one_line(text)
    around = "`" * (1 + max((len(ticks) for ticks in _TICKS.findall(line)), default=0))
    space = " " if len(around) > 1 else ""
    return f"{around}{space}{line}{space}{around}"


def _one_line(text: str) -> str:
    """A text in one line with invisible characters escaped, because some reverse the direction of the text."""
    return escaped(" ".join(text.split()))


def source_notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A note for each source that the provenance names; one that says that nothing is known where it names none."""
    notes = []
    for command in sorted({str(record["command"]) for record in records}):
        spec = find_recorded(command)
        if spec is not None:
            notes.append(spec.licence)
        elif command == "relabel import":
            notes.append(_IMPORTED)
    return [f"{note} {_CHECK}" for note in notes or [_UNKNOWN]]


def draw_histogram(path: Path, statistics: Mapping[str, Statistics], measure: str) -> None:
    """Pairs by ψ, all collections together, as an SVG; those that count as positive (ψ ≥ 0.5) in another colour.

    Parameters
    ----------
    path:
        the file to write.
    statistics:
        figures by name of the collection.
    measure:
        what ψ is, for the axis.
    """
    counts = np.sum([s.histogram for s in statistics.values()], axis=0)
    left = np.arange(BINS) / BINS
    with figure(path, size=(7.0, 3.2)) as drawn:
        axes = drawn.subplots()
        colours = colours_of(axes)
        for mask, colour, name in ((left < 0.5, colours.faint, "ψ < 0.5"), (left >= 0.5, colours.query, "ψ ≥ 0.5")):
            label = f"{name}: {int(counts[mask].sum()):,}"
            bars = axes.bar(left[mask], counts[mask], 0.92 / BINS, align="edge", color=colour, label=label)
            axes.bar_label(bars, [f"{n:,}" for n in counts[mask]], fontsize=8, color=colours.ink, padding=2)
        axes.set(
            xlabel=verbatim(f"ψ ({measure})"),
            ylabel="stored pairs",
            xlim=(0.0, 1.0),
            xticks=np.linspace(0.0, 1.0, 11),
        )
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.margins(y=0.12)
        axes.legend(frameon=False, loc="best")  # the default would warn on a slow machine
