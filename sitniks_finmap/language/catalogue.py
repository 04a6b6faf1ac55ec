"""The Ukrainian texts: `uk/*.po`, read as they are, so that nothing has to be compiled. The English text is the key."""

from collections.abc import Iterator
from functools import cache
from gettext import GNUTranslations
from importlib.resources import files
from io import BytesIO, StringIO

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po


def read_catalogue() -> Catalog:
    """All texts of all files."""
    whole = Catalog(locale="uk")
    for name, text in po_texts():
        for message in read_po(StringIO(text), locale="uk", abort_invalid=True):
            if message.id and message.id in whole:
                raise ValueError(f"{name} repeats a text: {message.id}")
            whole[message.id] = message
    return whole


def po_texts() -> Iterator[tuple[str, str]]:
    """Name and text of each file."""
    for file in sorted(files("sitniks_finmap.language").joinpath("uk").iterdir(), key=lambda file: file.name):
        yield file.name, file.read_text("utf-8")


@cache
def texts() -> Catalog:
    return read_catalogue()


def ids() -> Iterator[str | tuple[str, str]]:
    """The English texts; those with a plural as a pair."""
    for message in texts():
        if message.id:
            yield message.id if isinstance(message.id, str) else (message.id[0], message.id[1])


@cache
def translations() -> GNUTranslations:
    compiled = BytesIO()
    write_mo(compiled, texts())
    compiled.seek(0)
    return GNUTranslations(compiled)
