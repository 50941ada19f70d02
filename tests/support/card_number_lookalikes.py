"""Texts that resemble card numbers, by shape, and how often each is refused.

``python -m tests.support.card_number_lookalikes`` prints how many of 10,000 random
texts of each shape the card screen refuses. Another screen is named as
``module:function``.
"""

from __future__ import annotations

import importlib
import json
import string
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Final

from domain.card_numbers import has_card_data

COUNT: Final = 10_000

_HEX: Final = "0123456789abcdef"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Calling codes (ITU-T E.164).
_COUNTRIES: Final = (
    "1 7 20 30 31 33 34 36 38 39 41 43 44 46 48 49 52 55 58 60 61 62 63 65 66 81 86 91"
    " 351 353 380 420 421 971"
).split()
#: The first digits of articles, by member of GS1 (gs1.org, company prefixes).
_GS1: Final = (
    *(*range(1, 20), *range(30, 40), *range(60, 140), *range(300, 380)),
    *(380, 383, 385, 387, *range(400, 441), *range(450, 460), *range(460, 470)),
    *(470, 471, *range(474, 488), 489, *range(490, 510), *range(520, 522)),
    *(528, 529, 530, 531, 535, 539, *range(540, 550), 560, 569, *range(570, 580)),
    *(590, 594, 599, 600, 601, 603, 604, 608, 609, 611, 613, *range(615, 630)),
    *(*range(640, 650), *range(690, 700), *range(700, 710), 729, *range(730, 741)),
    *(*range(742, 747), 750, *range(754, 756), 759, *range(760, 772), 773, 775),
    *(777, 778, 779, 780, 784, 786, *range(789, 791), *range(800, 851), 858, 859),
    *(860, 865, 867, 868, 869, *range(870, 881), 883, 884, 885, 888, 890, 893),
    *(896, 899, *range(900, 920), *range(930, 950), 955, 958),
)
#: Countries, with their IBAN's form: n a digit, a a letter (ISO 13616 registry).
_IBANS: Final = {
    **{"DE": "n" * 18, "AT": "n" * 16, "BE": "n" * 12, "DK": "n" * 14, "FI": "n" * 14},
    **{"ES": "n" * 20, "CH": "n" * 17, "NL": "aaaa" + "n" * 10, "NO": "n" * 11},
    **{"GB": "aaaa" + "n" * 14, "FR": "n" * 23, "PL": "n" * 24, "HR": "n" * 17},
    **{"SI": "n" * 15, "EE": "n" * 16, "LT": "n" * 16, "IT": "a" + "n" * 22},
}


def _digits(source: Random, count: int) -> str:
    return "".join(source.choices(string.digits, k=count))


def _moment(source: Random) -> datetime:
    """Some time from 2024 to 2033."""
    return datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(
        seconds=source.randrange(10 * 365 * 86_400),
        microseconds=source.randrange(1_000_000),
    )


def _unix(unit: int) -> Callable[[Random], str]:
    def text(source: Random) -> str:
        at = _moment(source)
        micros = int(at.timestamp()) * 1_000_000 + at.microsecond
        if unit <= 1_000_000:
            return str(micros * unit // 1_000_000)
        return f"{micros}{_digits(source, 3)}"

    return text


def _iso(source: Random) -> str:
    at = _moment(source)
    layouts = (
        at.isoformat(),
        at.isoformat(" "),
        at.isoformat(timespec="seconds"),
        at.isoformat(timespec="milliseconds"),
        at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        at.strftime("%Y-%m-%dT%H:%M:%S%z"),
        at.strftime("%Y%m%dT%H%M%SZ"),
        at.strftime("%Y%m%d%H%M%S"),
        at.strftime("%Y%m%d%H%M%S%f")[:17],
        at.strftime("%Y-%m-%d_%H-%M-%S-%f"),
        at.strftime("%d.%m.%Y %H:%M:%S"),
        at.strftime("%Y/%m/%d %H.%M.%S"),
    )
    return source.choice(layouts)


def _key(source: Random) -> str:
    """A prefix, a Unix time, a counter."""
    seconds = int(_moment(source).timestamp())
    counter = source.randrange(10 ** source.randrange(1, 5))
    shop = f"shop{source.randrange(100)}"
    layouts = (
        f"{shop}-{seconds}-{counter}",
        f"{shop}-{seconds}{source.randrange(1000):03d}-{counter}",
        f"{shop}_{seconds}_{counter}",
        f"order-{counter}-{seconds}",
        f"{source.randrange(1000)}-{seconds}-{counter}",
        f"pay:{seconds}.{counter:06d}",
    )
    return source.choice(layouts)


def _phone(source: Random) -> str:
    country = source.choice(_COUNTRIES)
    area, line = _digits(source, 3), _digits(source, source.choice((7, 8)))
    layouts = (
        f"+{country} {area} {line}",
        f"+{country}{area}{line}",
        f"{country}{area}{line}",
        f"00{country}{area}{line}",
        f"00{country} {area} {line[:4]} {line[4:]}",
        f"+{country} {area} {line[:4]} {line[4:]}",
        f"+{country}-{area}-{line[:3]}-{line[3:]}",
        f"+{country} ({area}) {line[:3]}-{line[3:]}",
        f"+{country} {area}/{line}",
        f"+{country} (0) {area} {line[:2]} {line[2:4]} {line[4:6]} {line[6:]}",
        f"+{country}.{area}{line}",
        f"0{area} {line}",
        f"0{area}/{line[:4]}-{line[4:]}",
        f"tel:+{country}-{area}-{line}",
        f"+{country} {area}{line[0]} {line[1:5]} {line[5:]}",
    )
    return source.choice(layouts)


def _snowflake(source: Random) -> str:
    """Twitter's and Discord's: milliseconds since an epoch, then 22 bits."""
    epoch = source.choice((1_288_834_974_657, 1_420_070_400_000))
    at = int(_moment(source).timestamp() * 1000)
    return str((at - epoch) << 22 | source.getrandbits(22))


def _reference(source: Random) -> str:
    at = _moment(source)
    number = _digits(source, source.randrange(4, 9))
    layouts = (
        f"{at:%Y-%m-%d}/{number}",
        f"INV-{at:%Y}-{number}",
        f"RE{at:%Y%m%d}-{number}",
        f"{at:%Y%m%d}{number}",
        f"{at:%Y%m%d}-{number}",
        f"{at:%Y}-{at:%m}-{number}-{_digits(source, 2)}",
        f"R/{at:%Y}/{at:%m}/{number}",
        f"KD{_digits(source, 6)} {at:%d.%m.%Y} {number}",
    )
    return source.choice(layouts)


def _time_and_counter(source: Random) -> str:
    """Digits in one piece, as shops and tills number their orders."""
    at = _moment(source)
    layouts = (
        f"{at:%y%m%d%H%M%S}{_digits(source, 4)}",
        f"{at:%y%m%d%H%M%S}{_digits(source, 2)}",
        f"{at:%d%m%Y}{_digits(source, 8)}",
        f"{at:%d%m%Y%H%M%S}",
        f"{at:%Y%m%d}{_digits(source, 8)}",
        f"{at:%Y%m%d%H%M%S}{_digits(source, 5)}",
        f"{int(at.timestamp())}{_digits(source, 6)}",
    )
    return source.choice(layouts)


def _order(source: Random) -> str:
    """Of shops and marketplaces."""
    layouts = (
        str(source.randrange(10**5, 10**7)),
        f"#{source.randrange(1000, 10**6)}",
        f"{source.randrange(100, 1000)}-{_digits(source, 7)}-{_digits(source, 7)}",
        f"{_digits(source, 2)}-{_digits(source, 5)}-{_digits(source, 5)}",
        "GPA." + "-".join(_digits(source, size) for size in (4, 4, 4, 5)),
        str(source.randrange(4 * 10**12, 7 * 10**12)),
        f"W{_digits(source, 9)}",
        f"ORD-{_digits(source, 10)}",
        f"{_digits(source, 10)}",
    )
    return source.choice(layouts)


def _iban(source: Random) -> str:
    country = source.choice(sorted(_IBANS))
    letters = string.ascii_uppercase
    account = "".join(
        source.choice(letters if form == "a" else string.digits)
        for form in _IBANS[country]
    )
    turned = "".join(str(int(char, 36)) for char in f"{account}{country}00")
    iban = f"{country}{98 - int(turned) % 97:02d}{account}"
    grouped = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
    return source.choice((iban, grouped, f"IBAN {grouped}"))


def _gs1_digit(digits: str) -> str:
    weighed = (int(char) * (3, 1)[at % 2] for at, char in enumerate(reversed(digits)))
    return str(-sum(weighed) % 10)


def _article(length: int) -> Callable[[Random], str]:
    def text(source: Random) -> str:
        body = f"{source.choice(_GS1):03d}{_digits(source, 9)}"
        if length == 14:
            body = f"{source.randrange(9)}{body}"
        return body + _gs1_digit(body)

    return text


def _isbn(source: Random) -> str:
    body = f"978{_digits(source, 9)}"
    isbn = body + _gs1_digit(body)
    hyphens = f"{isbn[:3]}-{isbn[3]}-{isbn[4:6]}-{isbn[6:12]}-{isbn[12]}"
    return source.choice((isbn, hyphens))


def _imei(source: Random) -> str:
    """By the bodies that give them out (GSMA TS.06): 01, 35, 86, 91, 99."""
    body = source.choice(("01", "35", "35", "86", "91", "99")) + _digits(source, 12)
    imei = body + _luhn_digit(body)
    spaced = f"{imei[:2]}-{imei[2:8]}-{imei[8:14]}-{imei[14]}"
    return source.choice((imei, spaced))


def _luhn_digit(digits: str) -> str:
    doubled = (
        sum(divmod(int(char) * (2, 1)[at % 2], 10))
        for at, char in enumerate(reversed(digits))
    )
    return str(-sum(doubled) % 10)


def _tracking(source: Random) -> str:
    service = source.choice(("9400", "9405", "9205", "9361", "9274"))
    usps = service + _digits(source, 18)
    layouts = (
        f"1Z{''.join(source.choices(_CROCKFORD, k=6))}{_digits(source, 10)}",
        _digits(source, 12),  # FedEx Express
        f"{_digits(source, 4)} {_digits(source, 4)} {_digits(source, 4)}",
        f"96{_digits(source, 20)}",  # FedEx Ground
        usps,
        " ".join(usps[at : at + 4] for at in range(0, len(usps), 4)),
        f"420{_digits(source, 5)}{usps}",
        f"00340434{_digits(source, 12)}",  # DHL
        f"JJD{_digits(source, 18)}",
        _digits(source, 10),
        f"0{_digits(source, 13)}",  # DPD
        f"RR{_digits(source, 9)}DE",
        f"TBA{_digits(source, 12)}",
    )
    return source.choice(layouts)


def _address(source: Random) -> str:
    four = ".".join(str(source.randrange(256)) for _ in range(4))
    six = ":".join(f"{source.randrange(65_536):x}" for _ in range(8))
    return source.choice((four, f"{four}:{source.randrange(65_536)}", six))


def _version(source: Random) -> str:
    numbers = [str(source.randrange(10 ** source.randrange(1, 5))) for _ in range(3)]
    build = _moment(source).strftime("%Y%m%d%H%M%S")
    return source.choice((".".join(numbers), f"{'.'.join(numbers)}-{build}"))


def _coordinates(source: Random) -> str:
    latitude, longitude = source.uniform(-90, 90), source.uniform(-180, 180)
    layouts = (
        f"{latitude},{longitude}",
        f"{latitude:.6f}, {longitude:.6f}",
        json.dumps({"lat": latitude, "lng": longitude}),
    )
    return source.choice(layouts)


def _amounts(source: Random) -> str:
    cents = [source.randrange(100, 100_000) for _ in range(source.randrange(2, 8))]
    layouts = (
        json.dumps(cents),
        ",".join(map(str, cents)),
        "; ".join(f"{cent / 100:.2f} EUR" for cent in cents),
        " + ".join(f"{cent / 100:.2f}" for cent in cents),
    )
    return source.choice(layouts)


def _token(source: Random) -> str:
    """A provider's: letters and digits at random."""
    prefix = source.choice(("pi_3", "ch_", "cus_", "tok_", "pm_1", "in_1"))
    return prefix + "".join(
        source.choices(string.ascii_letters + string.digits, k=source.randrange(14, 29))
    )


def _web_address(source: Random) -> str:
    seconds = int(_moment(source).timestamp())
    number = _digits(source, source.randrange(5, 11))
    layouts = (
        f"https://shop.example/orders/{number}?ts={seconds}&sid={_uuid(source)}",
        f"https://shop.example/done?no={number}&tel=%2B49171{_digits(source, 8)}",
        f"https://shop.example/{_moment(source):%Y/%m/%d}/{number}",
        f"https://shop.example/t?utm={number}&fbclid={_token(source)}&t={seconds}000",
    )
    return source.choice(layouts)


def _uuid(source: Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))


def _random_hex(*lengths: int) -> Callable[[Random], str]:
    def text(source: Random) -> str:
        return "".join(source.choices(_HEX, k=source.choice(lengths)))

    return text


SHAPES: Final[Mapping[str, Callable[[Random], str]]] = {
    "key: prefix, time, counter": _key,
    "key: shop40-1796030123-17": lambda source: (
        f"shop{source.randrange(100)}-{int(_moment(source).timestamp())}"
        f"-{source.randrange(100)}"
    ),
    "phone number": _phone,
    "phone number +49 171 23456789": lambda source: (
        f"+49 {source.choice((151, 160, 170, 171, 172, 175, 176))} {_digits(source, 8)}"
    ),
    "snowflake": _snowflake,
    "order number": _order,
    "invoice or reference with a date": _reference,
    "time and counter in one piece": _time_and_counter,
    "time in seconds": _unix(1),
    "time in milliseconds": _unix(1_000),
    "time in microseconds": _unix(1_000_000),
    "time in nanoseconds": _unix(1_000_000_000),
    "time, ISO 8601 and others": _iso,
    "IBAN": _iban,
    "UUID": _uuid,
    "UUID without hyphens": lambda source: _uuid(source).replace("-", ""),
    "ULID": lambda source: "01" + "".join(source.choices(_CROCKFORD, k=24)),
    "digest in hexadecimal": _random_hex(32, 40, 64, 96, 128),
    "short id in hexadecimal": _random_hex(16, 20, 24),
    "tracking number": _tracking,
    "GTIN-13": _article(13),
    "GTIN-14": _article(14),
    "ISBN-13": _isbn,
    "IMEI": _imei,
    "IP address": _address,
    "version": _version,
    "coordinates": _coordinates,
    "list of amounts": _amounts,
    "provider's token": _token,
    "web address": _web_address,
}


def refused(
    shape: str, screen: Callable[[str], bool] = has_card_data, count: int = COUNT
) -> list[str]:
    """The texts that ``screen`` refuses among ``count`` random ones of a shape."""
    source = Random(f"lookalikes {shape}")
    texts = [SHAPES[shape](source) for _ in range(count)]
    return [text for text in texts if screen(text)]


def main() -> None:
    """Prints the table."""
    module, _, name = (sys.argv[1:] or ["domain.card_numbers:has_card_data"])[
        0
    ].partition(":")
    screen = getattr(importlib.import_module(module), name)
    for shape in SHAPES:
        found = refused(shape, screen)
        some = f"  {found[0]}" if found else ""
        print(f"{shape:<34} {len(found) / COUNT:8.2%}{some}")


if __name__ == "__main__":
    main()
