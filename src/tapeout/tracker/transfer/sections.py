"""Texts that another tool has no field for, as the last section of one that it has."""


def join(body: str, heading: str, text: str) -> str:
    """`body` with `text` below a heading at its end; `split` takes them apart again."""
    if not text:
        return body
    start = f"{body}\n\n" if body else ""
    return f"{start}## {heading}\n\n{text}"


def split(whole: str, heading: str) -> tuple[str, str]:
    """The body and the section that `join` made one text of; no section where it did not."""
    mark = f"## {heading}\n\n"
    if whole.startswith(mark) and f"\n\n{mark}" not in whole[len(mark) :]:
        body, text = "", whole[len(mark) :]
    else:
        body, _, text = whole.rpartition(f"\n\n{mark}")
    if text and join(body, heading, text) == whole:
        return body, text
    return whole, ""
