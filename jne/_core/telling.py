"""What is told while something long runs: in the log or, where nobody reads that, on stderr beside a bar."""

from __future__ import annotations

import logging
import sys

from tqdm import tqdm


def tell(log: logging.Logger, text: str, progress: bool) -> None:
    """Tell ``text`` in the log and, with ``progress`` and where the log does not take it, on stderr."""
    log.info(text)
    if progress and not log.isEnabledFor(logging.INFO):
        tqdm.write(text, file=sys.stderr)
