"""A login and its refresh tokens: each token works once, its second use ends the whole login.

Rotation with reuse detection as RFC 9700, section 4.14.2. The one exception: a client whose answer was lost repeats its
call with the same ``Idempotency-Key`` within :data:`GRACE_S` seconds and gets the same successor again.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError

GRACE_S = 10.0
"""A lost answer is repeated within seconds; a stolen token is used later, or under another key."""
ABSOLUTE_DAYS = 90
"""However active: after this the password is asked for again (ASVS 5.0, 7.3.2)."""
MAX_KEY = 200


class State(StrEnum):
    """``ended`` by its owner, ``revoked`` by us."""

    OPEN = "open"
    ENDED = "ended"
    REVOKED = "revoked"


class Action(StrEnum):
    """What can be done to a login."""

    LOG_OUT = "log_out"
    REVOKE = "revoke"


TRANSITIONS: dict[tuple[State, Action], State] = {
    (State.OPEN, Action.LOG_OUT): State.ENDED,
    (State.OPEN, Action.REVOKE): State.REVOKED,
    (State.ENDED, Action.LOG_OUT): State.ENDED,
    (State.REVOKED, Action.LOG_OUT): State.REVOKED,
}


class LoginMoveError(DomainError):
    """A move that the state table does not list."""

    code: ClassVar[str] = "identity.login_move_refused"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The login is not in a state for that"


class BadCredentialsError(DomainError):
    """Unknown address or wrong password: the answer is the same for both."""

    code: ClassVar[str] = "identity.bad_credentials"
    category: ClassVar[Category] = Category.UNAUTHENTICATED
    title: ClassVar[str] = "E-mail address or password is wrong"


class LoginOverError(DomainError):
    """A refresh token that works no more: unknown, expired, logged out, or used twice."""

    code: ClassVar[str] = "identity.login_over"
    category: ClassVar[Category] = Category.UNAUTHENTICATED
    title: ClassVar[str] = "Please log in again"


class TooManyAttemptsError(DomainError):
    """Too many wrong passwords for one account."""

    code: ClassVar[str] = "identity.too_many_attempts"
    category: ClassVar[Category] = Category.TOO_MANY
    title: ClassVar[str] = "Too many attempts"


class Use(StrEnum):
    """What a presented refresh token leads to."""

    ROTATE = "rotate"
    REPEAT = "repeat"
    REUSED = "reused"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What is known of a presented token; seconds and expiry are by the database's clock."""

    login: State
    expired: bool
    rotated: bool
    seconds_since_rotation: float
    rotated_by_key: str | None
    key: str | None


def after(state: State, action: Action) -> State:
    """Tell the state after an action.

    :raises LoginMoveError: when the table does not list the move.
    """
    if (state, action) not in TRANSITIONS:
        raise LoginMoveError(f"A login that is {state.value} does not take {action.value}.", state=state.value)
    return TRANSITIONS[state, action]


def judge(token: Presented) -> Use:
    """Decide what a presented refresh token leads to."""
    if token.login is not State.OPEN or token.expired:
        return Use.OVER
    if not token.rotated:
        return Use.ROTATE
    same_client = token.key is not None and token.key == token.rotated_by_key
    if same_client and 0 <= token.seconds_since_rotation <= GRACE_S:
        return Use.REPEAT
    return Use.REUSED
