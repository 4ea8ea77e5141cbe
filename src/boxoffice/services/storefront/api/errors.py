"""What the pages themselves refuse."""

from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError


class NothingHereError(DomainError):
    """No page at this address."""

    code: ClassVar[str] = "storefront.not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is nothing at this address"


class StaleFormError(DomainError):
    """A form that was not sent from a fresh page of this shop."""

    code: ClassVar[str] = "storefront.stale_form"
    category: ClassVar[Category] = Category.FORBIDDEN
    title: ClassVar[str] = "This form has gone stale"


class LoginNeededError(DomainError):
    """A page for people who are logged in."""

    code: ClassVar[str] = "storefront.login_needed"
    category: ClassVar[Category] = Category.UNAUTHENTICATED
    title: ClassVar[str] = "Please log in"
