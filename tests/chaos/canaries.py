"""Secrets that are planted in requests, and the search for them afterwards."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

#: A published test number (docs.stripe.com/testing); it must be refused.
CARD: Final = "4242424242424242"
#: Bytes that are searched at once.
CHUNK: Final = 16 * 1024 * 1024
#: Folders whose files MongoDB writes and compresses; its documents are read instead.
_DATA: Final = "mongo"


@dataclass(frozen=True, slots=True)
class Canaries:
    """What must not appear in a log, in Redis or in clear in MongoDB."""

    word: str  #: part of every text that is personal
    api_key: str
    card: str = CARD

    def needles(self) -> Mapping[bytes, str]:
        """The bytes to look for, and the name of what they give away."""
        named = {"personal text": self.word, "API key": self.api_key, "card": self.card}
        return {
            needle: name for name, text in named.items() for needle in written(text)
        }


def new_word() -> str:
    """Letters alone, so that nothing takes it for a number."""
    letters = (secrets.choice(string.ascii_lowercase) for _ in range(16))
    return f"canary{''.join(letters)}"


def written(text: str) -> Iterator[bytes]:
    """``text`` as it is and inside base64, which is how messages carry their bodies.

    The bytes before decide how it falls into groups of three; characters that mix
    with its neighbours are left out.
    """
    raw = text.encode()
    yield raw
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw)
        first = -(-before * 4 // 3)
        yield coded[first : (before + len(raw)) * 4 // 3]


def search(chunks: Iterable[bytes], needles: Mapping[bytes, str]) -> set[str]:
    """The names of what was found, also where it lies across two chunks."""
    found: set[str] = set()
    overlap = max(map(len, needles)) - 1
    tail = b""
    for chunk in chunks:
        text = tail + chunk
        found |= {name for needle, name in needles.items() if needle in text}
        tail = text[-overlap:]
    return found


def leaks_in_files(home: Path, needles: Mapping[bytes, str]) -> Iterator[str]:
    """A sentence for each log and each file of Redis below ``home`` that leaks."""
    for path in searched_files(home):
        for name in sorted(search(_chunks(path), needles)):
            yield f"{path.relative_to(home)} has the {name}"


def searched_files(home: Path) -> list[Path]:
    """All logs, and all that Redis wrote, lost disks included."""
    logs = [*home.glob("logs/*"), *home.glob(f"{_DATA}-*/logs/*")]
    return [path for path in (*logs, *home.glob("redis*/**/*")) if path.is_file()]


def leaks_in_documents(
    database: Database[dict[str, Any]], needles: Mapping[bytes, str]
) -> Iterator[str]:
    """A sentence for each collection, and for the record of all writes, that leaks."""
    options: CodecOptions[RawBSONDocument] = CodecOptions(
        document_class=RawBSONDocument
    )
    collections = [database[name] for name in database.list_collection_names()]
    for collection in (*collections, database.client.local["oplog.rs"]):
        documents = collection.with_options(options).find()
        # A secret never spans two documents, but blocks are quicker than each alone.
        found = search((bytes(one.raw) for one in documents), needles)
        for name in sorted(found):
            yield f"{collection.full_name} has the {name}"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
