"""Values -> Python literals, with double quotes where that needs no escape: they read well, in a shell's quotes too."""

from collections.abc import Sequence


def literal(value: object) -> str:
    """Python that evaluates to the value and to nothing else: None, a number, a text, or a list or tuple of these."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{_items(value)}]"
    if isinstance(value, tuple):
        return f"({_items(value)}{',' if len(value) == 1 else ''})"
    return repr(value)


def _text(text: str) -> str:
    """`repr` escapes what is not printable: line breaks, and marks that turn the direction of writing."""
    return repr(text) if "'" in text or '"' in text else f'"{repr(text)[1:-1]}"'


def _items(values: Sequence[object]) -> str:
    return ", ".join(map(literal, values))
