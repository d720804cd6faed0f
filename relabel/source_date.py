"""The time that reproducible files may name: that of ``SOURCE_DATE_EPOCH``, never of the clock.

See https://reproducible-builds.org/specs/source-date-epoch/.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from relabel.errors import OptionError

VARIABLE = "SOURCE_DATE_EPOCH"


def source_date() -> datetime | None:
    """The time that the environment sets, in UTC; None where it sets none.

    Raises
    ------
    OptionError
        when it is not a number of seconds.
    """
    epoch = os.environ.get(VARIABLE)
    if epoch is None:
        return None
    try:
        return datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        raise OptionError(
            f"{VARIABLE} is {epoch!r}; it has to be a whole number of seconds since 1970. Correct the environment "
            "variable, or unset it"
        ) from None
