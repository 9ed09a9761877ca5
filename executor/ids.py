"""Job ids: sortable by time, unguessable enough not to collide, safe in addresses and file names."""

from __future__ import annotations

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
RANDOM_BITS = 80


class JobIds:
    """Makes ids of 26 characters after the ULID specification, in lower case; later ones sort after earlier ones."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        """A new id, greater than every one made before."""
        number = (time.time_ns() // 1_000_000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
        if number <= self._last:
            number = self._last + 1
        self._last = number
        return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
