"""What a variable with apprise URLs holds: one address for each target, named by what is no secret."""

import re
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import apprise
from apprise import NotifyBase

# As apprise separates URLs. A comma may also belong to a password or to a list of e-mail addresses.
SEPARATORS = re.compile(r"[\s,;]*[\r\n][\s,;]*|[\s,;]+(?=[a-z0-9]{1,32}://)", re.IGNORECASE)
USER = re.compile(r"//[^/?#]*@")
COPIES = ("cc", "bcc")  # go along with each target, and would get a message twice


@dataclass(frozen=True)
class Address:
    """One target of an apprise URL; or a whole URL, if it has one target or apprise does not tell them apart."""

    written: str  # the URL, which contains a token
    canonical: str  # the same for each spelling of it, without a password
    key: str  # a hash: an address keeps it, whatever is added, removed or moved around it
    part: tuple[str, int] | None = None  # where the URL keeps its targets, and which one is meant
    targets: int = 1  # that are meant; several if they cannot be told apart


@lru_cache(maxsize=64)
def addresses_in(text: str) -> tuple[Address, ...]:
    """The addresses in the value of a variable, each once. What apprise does not understand is an address, too."""
    found = [address for url in written_urls(text) for address in _addresses_of(url)]
    return tuple({one.key: one for one in reversed(found)}.values())[::-1]


def written_urls(text: str) -> list[str]:
    return [url for one in SEPARATORS.split(text) if (url := one.strip(" \t\r\n,;"))]


def service_of(address: Address) -> NotifyBase | None:
    """What sends to this address; None if apprise does not understand it."""
    service = _instance(address.written)
    return _only(service, *address.part) if service and address.part else service


def _addresses_of(url: str) -> list[Address]:
    service = _instance(url)
    if service is None:
        unusable = USER.sub("//", url)
        return [Address(url, unusable, _key(unusable))]
    parts = _parts(service)
    if not parts:
        canonical = _canonical(service)
        return [Address(url, canonical, _key(canonical), targets=_count(service))]
    each = [(_canonical(_only(service, *part)), part) for part in parts]
    return [Address(url, canonical, _key(canonical), part) for canonical, part in each]


def _instance(url: str) -> NotifyBase | None:
    try:
        return apprise.Apprise.instantiate(url, asset=asset())
    except Exception:  # a plugin's bug
        return None


def asset() -> apprise.AppriseAsset:
    """No threads and no attempts of apprise's own: we bound both."""
    bounds: dict[str, Any] = {"service_timeout": 0} if hasattr(apprise.AppriseAsset, "_service_timeout") else {}
    return apprise.AppriseAsset(async_mode=False, **bounds)


def _parts(service: NotifyBase) -> list[tuple[str, int]]:
    """Where a URL with several targets keeps them; empty if it has one, or they cannot be told apart.

    apprise says how many there are; its plugins keep them under different names. What it says of the copies with one
    target each must confirm what we found.
    """
    count = _count(service)
    if count < 2 or any(getattr(service, name, None) for name in COPIES):
        return []
    for name, value in vars(service).items():
        if isinstance(value, list | tuple | set) and len(value) == count:
            copies = [_only(service, name, at) for at in range(count)]
            if all(_count(one) == 1 for one in copies) and len({_canonical(one) for one in copies}) == count:
                return [(name, at) for at in range(count)]
    return []


def _only(service: NotifyBase, name: str, at: int) -> NotifyBase:
    """A copy of it that has one of its targets."""
    one = copy(service)
    kept: Any = getattr(service, name)
    ordered = sorted(kept, key=repr) if isinstance(kept, set) else list(kept)
    setattr(one, name, type(kept)(ordered[at : at + 1]))
    return one


def _count(service: NotifyBase) -> int:
    return len(service) // (getattr(service, "retry", 0) + 1)


def _canonical(service: NotifyBase) -> str:
    """The URL as apprise writes it, without what names no recipient: password, time limits, format."""
    plain = copy(service)
    plain.password = None
    try:
        url = str(plain.url(privacy=False))
    except Exception:  # a plugin that needs a password
        url = str(service.url(privacy=False))
    path, _, query = url.partition("?")
    return "?".join([path.rstrip("/"), "&".join(sorted(_own(query)))])


def _own(query: str) -> Iterator[str]:
    """The parameters that belong to this kind of service alone."""
    return (one for one in query.split("&") if one and one.partition("=")[0] not in NotifyBase.template_args)


def _key(canonical: str) -> str:
    return sha256(canonical.encode()).hexdigest()[:16]
