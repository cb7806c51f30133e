"""File names in reports, as the repository knows them. Pure."""

import posixpath
from urllib.parse import unquote, urlsplit


def repository_path(name: str, root: str) -> str:
    """A path relative to the top of the repository; as it is, if it lies elsewhere.

    Args:
        name: absolute, relative to `root`, or a `file:` URI.
        root: folder in which the tool ran.
    """
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    elif "%" in name:
        name = unquote(name)
    prefix = root.rstrip("/") + "/"
    if root and name.startswith(prefix):
        name = name[len(prefix) :]
    path = posixpath.normpath(name) if name else ""
    return "" if path == "." else path
