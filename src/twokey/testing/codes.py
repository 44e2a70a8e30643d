"""An authenticator: what stands on a person's own telephone."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pyotp

STEP_S = 30
UNDERWAY_S = 10  # a code may take so long to the bot, and must still be good there


@dataclass
class Authenticator:
    """One secret, and which of its codes were used: one opens one door once, half a minute early or late."""

    secret: str = field(default_factory=pyotp.random_base32, repr=False)
    _used: int = 0

    def code(self) -> str:
        """Return a code to be used now; wait for a fresh one when all that the bot takes were used."""
        self._used = self._next()
        while self._used > _step() + 1:
            time.sleep(0.5)
        return self._at(self._used)

    def shown(self) -> str:
        """Return the code that would be used next, without using it: for a try that will be refused."""
        return self._at(self._next())

    def _next(self) -> int:
        return max(self._used + 1, _step(ahead=UNDERWAY_S) - 1)

    def _at(self, step: int) -> str:
        return pyotp.TOTP(self.secret).at(step * STEP_S)


def _step(ahead: int = 0) -> int:
    return (int(time.time()) + ahead) // STEP_S
