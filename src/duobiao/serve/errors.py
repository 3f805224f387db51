"""What callers are told when they get no answer."""

from __future__ import annotations

from collections.abc import Sequence


class Refusal(Exception):  # noqa: N818 - an answer to a caller, not a fault
    """A request that is not answered, as ``{"error": {"code", "message"}}``.

    Args:
        status: HTTP status.
        code: A word for programs.
        message: A sentence for people; nothing of the server's inside.
        problems: Every single finding.
        retry_after: Seconds after which the caller may try again.
    """

    def __init__(
        self, status: int, code: str, message: str, *, problems: Sequence[str] = (), retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.problems, self.retry_after = tuple(problems), retry_after
