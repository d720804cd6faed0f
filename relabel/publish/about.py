"""What the publisher adds to the labels: title, creators, licence, and other facts that no label file holds."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from datetime import date

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from relabel.errors import OptionError
from relabel.source_date import source_date

USUAL_LICENSES = (
    *("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"),
    *("ODbL-1.0", "ODC-By-1.0", "MIT", "Apache-2.0", "BSD-3-Clause"),
)
"""Common licences of data, for suggestions; any SPDX identifier is accepted."""
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


@dataclass(frozen=True)
class About:
    """Facts that only the publisher knows; all are optional.

    Parameters
    ----------
    title, description:
        one line, and a few sentences; generated from the file if empty.
    creators:
        names of persons or groups.
    license:
        SPDX identifier or URL.
    url:
        web page of the published data.
    date:
        day of publication, YYYY-MM-DD.
    version:
        of the published data, MAJOR.MINOR.PATCH.

    Raises
    ------
    OptionError
        when date, license, url or version is malformed, or a one-line text has several lines.
    """

    title: str = ""
    description: str = ""
    creators: tuple[str, ...] = ()
    license: str = ""
    url: str = ""
    date: str = ""
    version: str = "1.0.0"

    def __post_init__(self) -> None:
        for name, text in (("title", self.title), ("license", self.license), ("url", self.url)):
            if not text.isprintable():
                raise OptionError(f"{name} is {text!r}; it has to be one line of text")
        for text in self.creators:
            if not text.strip() or not text.isprintable():
                raise OptionError(f"creator is {text!r}; it has to be a name, in one line")
        if self.license and not is_url(self.license):
            object.__setattr__(self, "license", spdx(self.license))
        if self.url and not is_url(self.url):
            raise OptionError(f"url is {self.url!r}; it has to begin with https:// or http://")
        if not _VERSION.fullmatch(self.version):
            raise OptionError(f"version is {self.version!r}; it has to be MAJOR.MINOR.PATCH, such as 1.0.0")
        if self.date:
            try:
                good = date.fromisoformat(self.date).isoformat() == self.date
            except ValueError:
                good = False
            if not good:
                raise OptionError(f"date is {self.date!r}; it has to be a date as YYYY-MM-DD")

    def dated(self) -> About:
        """The same with the day of SOURCE_DATE_EPOCH if there is no date; the clock is never used."""
        time = source_date()
        return self if self.date or time is None else replace(self, date=time.date().isoformat())


def spdx(text: str) -> str:
    """A licence in SPDX spelling: an identifier, or an expression of several.

    Raises
    ------
    OptionError
        when there is no such identifier; lists similar ones.
    """
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        plain = text.replace(" ", "-").lower()
        by_plain = {name.lower(): name for name in USUAL_LICENSES}
        close = difflib.get_close_matches(plain, by_plain, n=2, cutoff=0.6)
        hint = (
            f"did you mean {' or '.join(by_plain[name] for name in close)}?"
            if close
            else f"usual ones are {', '.join(USUAL_LICENSES)}."
        )
        raise OptionError(
            f"license is {text!r}, which is not an SPDX identifier; {hint} https://spdx.org/licenses lists all; give "
            "a licence without one by its URL"
        ) from None


def is_url(text: str) -> bool:
    """Whether a text is the address of a web page."""
    return text.startswith(("https://", "http://"))


def citation(about: About) -> str:
    """How to cite the labels, with what is known."""
    who = ", ".join(about.creators)
    year = f" ({about.date[:4]})" if about.date else ""
    parts = [f"{who}{year}" if who else year.strip(), about.title, f"Version {about.version}", about.url]
    return ". ".join(part for part in parts if part) + ("" if about.url else ".")
