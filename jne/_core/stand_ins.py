"""What lies where a file should be, and is not it: a pointer of Git LFS or git-annex, a web page, a server's error."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

_HEAD = 2**14
_LEADS = re.compile(rb"\s+|<\?xml.*?\?>|<!--.*?-->", re.DOTALL)
_PAGE = "is a web page: log in or accept the terms, and download the file itself"
_ANNEX = "is a git-annex pointer, which stands for the file: fetch that with `git annex get` or `datalad get`"
_KINDS = {
    rb"version https://git-lfs": "is a Git LFS pointer, which stands for the file: fetch that with `git lfs pull`",
    # The second is what is left of a link where a disk has none.
    rb"/annex/objects/|(?:\.\./)*\.git/annex/objects/": _ANNEX,
    rb"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]|<script[\s>]": _PAGE,
    # Of object stores such as Amazon's; what is not there, or not for everybody, is told in XML.
    rb"<error>\s*<code>": "is a server's message that it has not sent the file: read it, and download the file again",
}


def stand_in(path: Path) -> str | None:
    """What a plain file is in place of what it is called, to go behind its name in an error; None for any other.

    Pages count if they are packed, too, as some servers send them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder) / "betas.nii.gz"
    ...     _ = page.write_text("<!DOCTYPE html><title>Log in</title>")
    ...     stand_in(page)
    'is a web page: log in or accept the terms, and download the file itself'
    """
    with path.open("rb") as file:
        return stands_for(file.read(_HEAD))


def stands_for(head: bytes) -> str | None:
    """As `stand_in`, from what a file begins with."""
    if not head:
        return "is empty: it was not downloaded, or never written to its end. Get it again"
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _HEAD)
        except zlib.error:  # which is told by who reads it
            return None
    text, place = head.removeprefix(b"\xef\xbb\xbf"), 0
    while lead := _LEADS.match(text, place):
        place = lead.end()
    text = text[place : place + 200].lower()
    return next((told for start, told in _KINDS.items() if re.match(start, text)), None)
