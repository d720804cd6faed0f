"""The YAML block of a README card, by which the Hugging Face Hub and its `datasets` package know a dataset.

https://huggingface.co/docs/hub/datasets-cards lists the fields. `datasets` treats all tables of a folder as one unless
the block names a configuration for each.
"""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from relabel.publish.about import About, is_url
from relabel.publish.quoting import literal

_PAGE = re.compile(r"https?://(?:huggingface\.co|hf\.co)/datasets/([\w.-]+/[\w.-]+)/?")
_TABLE = ".parquet"
SPLIT = "train"
"""Name that `datasets` gives to a single split; it does not imply that the labels are for training."""

_LISTED = """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc-by-2.0
    cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 gpl-2.0 gpl-3.0 isc lgpl-2.1
    lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa ofl-1.1 osl-3.0 postgresql unlicense wtfpl zlib
    """
"""Names of https://huggingface.co/docs/hub/repositories-licenses that are SPDX identifiers in lower case."""
_RENAMED = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl", "c-uda-1.0": "c-uda", "lgpllr": "lgpl-lr"}
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")


def front_matter(about: About, tables: Sequence[str], pairs: int, tags: Sequence[str]) -> list[str]:
    """The lines of the block, its fences among them.

    Parameters
    ----------
    about:
        with the title filled in.
    tables:
        names of Parquet files in the folder that have rows; the first is loaded where no configuration is named.
    pairs:
        in all collections, for the category of size.
    tags:
        of the datasets that were labelled.
    """
    lines = ["---", f"pretty_name: {literal(about.title)}", *_license(about.license)]
    lines += ["task_categories:", "  - image-feature-extraction", "tags:"]
    of_all = ("visual-place-recognition", "image-retrieval", "graded-similarity")
    lines += [f"  - {literal(tag)}" for tag in (*of_all, *sorted(set(tags)))]
    lines += ["size_categories:", f"  - {literal(size_category(pairs))}"]
    lines += ["annotations_creators:", "  - machine-generated", "source_datasets:", "  - extended"]
    if tables:
        lines.append("configs:")
    for number, (table, name) in enumerate(zip(tables, config_names(tables), strict=True)):
        lines += [f"  - config_name: {literal(name)}", *["    default: true"] * (number == 0)]
        lines += ["    data_files:", f"      - split: {SPLIT}", f"        path: {literal(glob.escape(table))}"]
    return [*lines, "---"]


def config_names(tables: Sequence[str]) -> list[str]:
    """A configuration for each table, by the name of its file; what `datasets` refuses in names becomes ``_``."""
    names: list[str] = []
    for table in tables:
        name = unique = re.sub(r"[^\w.-]+", "_", table.removesuffix(_TABLE))
        number = 2
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names.append(unique)
    return names


def size_category(rows: int) -> str:
    """The size category of the Hub for a number of rows, such as ``1K<n<10K``."""
    exponent = max(len(str(rows)) - 3, 0)  # 1 from 1,000 on
    if exponent == 0:
        return f"n<{_SIZES[0]}"
    if exponent >= len(_SIZES):
        return f"n>{_SIZES[-1]}"
    return f"{_SIZES[exponent - 1]}<n<{_SIZES[exponent]}"


def repository(url: str) -> str:
    """``OWNER/NAME`` of the page of a dataset on the Hub; empty for any other page."""
    page = _PAGE.fullmatch(url)
    return page[1] if page else ""


def upload_command(folder: Path, url: str) -> str:
    """The command that uploads a folder, with ``OWNER/NAME`` to be filled in where `url` is no page on the Hub."""
    return f"hf upload {repository(url) or 'OWNER/NAME'} {shlex.quote(str(folder))} . --repo-type dataset"


def loading(about: About, tables: Sequence[str]) -> list[str]:
    """Python that loads the first table."""
    source = repository(about.url) or "."
    where = "" if repository(about.url) else "  # the folder of this file, or OWNER/NAME on the Hub"
    name = config_names(tables)[0]
    return [
        "from datasets import load_dataset",
        "",
        f'table = load_dataset({literal(source)}, {literal(name)}, split="{SPLIT}"){where}',
    ]


def _license(name: str) -> list[str]:
    if not name:
        return ["license: unknown"]
    if is_url(name):
        return ["license: other", 'license_name: "see-link"', f"license_link: {literal(name)}"]
    lower = name.lower()
    known = _RENAMED.get(lower, re.sub(r"-(only|or-later)$", "", lower))
    if known in {*_LISTED.split(), *_RENAMED.values()}:
        return [f"license: {literal(known)}"]
    return ["license: other", f"license_name: {literal(lower)}", *_spdx_page(name)]


def _spdx_page(name: str) -> list[str]:
    is_spdx = re.fullmatch(r"[A-Za-z0-9.+-]+", name) and not name.startswith("LicenseRef-")
    return [f"license_link: {literal(f'https://spdx.org/licenses/{name}.html')}"] if is_spdx else []
