"""What Stratus itself would be: its SDK, its tokens, and the feed of its findings."""

from __future__ import annotations

from dataclasses import dataclass, field

from twokey.core.errors import NotFound


@dataclass
class StratusApi:
    """One Stratus, in memory."""

    tokens: dict[tuple[str, str], str] = field(default_factory=dict)  # (project, token) -> active or frozen
    feed: list[bytes] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def state(self, project: str, token: str) -> str:
        """Return a token's state."""
        self.calls.append("tokens.get")
        if (project, token) not in self.tokens:
            raise NotFound("stratus.no_such_token", token=token, project=project)
        return self.tokens[project, token]

    def set_state(self, project: str, token: str, state: str) -> None:
        """Set a token's state."""
        self.calls.append("tokens.update")
        self.tokens[project, token] = state
