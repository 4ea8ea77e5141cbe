"""Where a page may send somebody next: only to a page of this shop. Keeps that there is no open redirect."""

MAX_ADDRESS = 2_000
"""Longer than any address of ours; browsers and proxies cut somewhere beyond it."""


def local_path(text: str | None, *, default: str = "/") -> str:
    r"""Give the path if it leads to a page of this shop, else the default.

    A browser reads ``//host``, ``/\host`` and addresses with control characters as other hosts, so none of them passes.
    """
    if not text or len(text) > MAX_ADDRESS or not text.startswith("/") or text.startswith("//"):
        return default
    if "\\" in text or any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in text):  # noqa: PLR2004 - ASCII
        return default
    return text
