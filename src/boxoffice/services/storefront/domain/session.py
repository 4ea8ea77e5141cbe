"""A login as the pages know it: the API's tokens and a name to greet with. It lives in a sealed cookie only."""

from dataclasses import dataclass

RENEW_BEFORE_S = 30
"""An access token is renewed this long before it ends, so that it lasts for the calls of one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One visitor's session; without tokens it only carries the mark that forms are checked against.

    ``mark`` is random, made anew at login. ``expires_at`` is the access token's end in Unix seconds.
    """

    mark: str
    access_token: str = ""
    refresh_token: str = ""
    expires_at: int = 0
    name: str = ""
    email: str = ""
    roles: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()

    @property
    def logged_in(self) -> bool:
        """Whether there is somebody to act for."""
        return bool(self.refresh_token)

    @property
    def organises(self) -> bool:
        """Whether the organiser's pages are worth showing; the API decides what they may do."""
        return "organiser" in self.roles

    def is_stale(self, now: float) -> bool:
        """Whether the access token must be renewed before it is used."""
        return self.logged_in and now >= self.expires_at - RENEW_BEFORE_S
