"""Pages of the report as a reader without a browser sees them: elements, text, colors."""

import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

VOID = ("meta", "link", "br", "rect", "line")


class Element:
    """One element of a page: its name, attributes, the names of its ancestors, and all text in it."""

    def __init__(self, name: str, attributes: dict[str, str | None], inside: tuple[str, ...]) -> None:
        self.name, self.attributes, self.inside = name, attributes, inside
        self.text = ""


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[Element] = []
        self.open: list[Element] = []
        self.feed(html)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(Element(tag, dict(attrs), tuple(one.name for one in self.open)))
        if tag not in VOID:
            self.open.append(self.found[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(Element(tag, dict(attrs), tuple(one.name for one in self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for one in self.open:
            one.text += data


def elements(html: str, *names: str) -> list[Element]:
    """The elements with these names, in order; all of them if none is named."""
    return [one for one in Elements(html).found if not names or one.name in names]


def plain(text: Any) -> str:
    """With ordinary spaces and minus signs in the numbers."""
    spaces = str(text).replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    return spaces.replace("\N{MINUS SIGN}", "-")


def palettes() -> dict[str, dict[str, str]]:
    """The colors of each theme by name: "light", "dark" and "print"."""
    style = files("sitniks_finmap.report").joinpath("templates", "style.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return {
        theme: dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", block))
        for theme, block in zip(("light", "dark", "print"), blocks, strict=True)
    }


def contrast(one: str, other: str) -> float:
    """The ratio of two colors, as WCAG 2 defines it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    digits = color.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
