"""Secrets planted in requests, and the search for them afterwards."""

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

#: A published test number (docs.stripe.com/testing), which must be refused.
CARD: Final = "4242424242424242"
#: Bytes searched at once.
CHUNK: Final = 16 * 1024 * 1024
#: Folders of compressed files of MongoDB, whose documents are read instead.
_DATA: Final = "mongo"


@dataclass(frozen=True, slots=True)
class Canaries:
    """Texts that must not appear in a log, in Redis or unencrypted in MongoDB."""

    word: str  #: part of every personal text
    api_key: str
    card: str = CARD

    def needles(self) -> Mapping[bytes, str]:
        """The bytes to search for, each with the name of its secret."""
        named = {"personal text": self.word, "API key": self.api_key, "card": self.card}
        return {
            needle: name for name, text in named.items() for needle in encodings(text)
        }


def new_word() -> str:
    """A random word, of letters only so that it is never taken for a number."""
    letters = (secrets.choice(string.ascii_lowercase) for _ in range(16))
    return f"canary{''.join(letters)}"


def encodings(text: str) -> Iterator[bytes]:
    """The bytes of ``text``, plain and in base64, the encoding of messages' bodies.

    The base64 depends on the number of preceding bytes modulo three. Characters that
    also encode neighbouring bytes are left out.
    """
    raw = text.encode()
    yield raw
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw)
        first = -(-before * 4 // 3)
        yield coded[first : (before + len(raw)) * 4 // 3]


def search(chunks: Iterable[bytes], needles: Mapping[bytes, str]) -> set[str]:
    """The names of the secrets found, also across two chunks."""
    found: set[str] = set()
    overlap = max(map(len, needles)) - 1
    tail = b""
    for chunk in chunks:
        text = tail + chunk
        found |= {name for needle, name in needles.items() if needle in text}
        tail = text[-overlap:]
    return found


def leaks_in_files(home: Path, needles: Mapping[bytes, str]) -> Iterator[str]:
    """A sentence for each log and file of Redis in ``home`` with a secret."""
    for path in searched_files(home):
        for name in sorted(search(_chunks(path), needles)):
            yield f"{path.relative_to(home)} has the {name}"


def searched_files(home: Path) -> list[Path]:
    """All logs and all files of Redis, including lost disks."""
    logs = [*home.glob("logs/*"), *home.glob(f"{_DATA}-*/logs/*")]
    return [path for path in (*logs, *home.glob("redis*/**/*")) if path.is_file()]


def leaks_in_documents(
    database: Database[dict[str, Any]], needles: Mapping[bytes, str]
) -> Iterator[str]:
    """A sentence for each collection with a secret, the oplog included."""
    options: CodecOptions[RawBSONDocument] = CodecOptions(
        document_class=RawBSONDocument
    )
    collections = [database[name] for name in database.list_collection_names()]
    for collection in (*collections, database.client.local["oplog.rs"]):
        documents = collection.with_options(options).find()
        # No secret spans two documents, but searching them together is quicker.
        found = search((bytes(document.raw) for document in documents), needles)
        for name in sorted(found):
            yield f"{collection.full_name} has the {name}"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
