"""Register, log in, log out, and the pages behind mailed links. A login always makes a new session mark."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.status_codes import HTTP_200_OK, HTTP_429_TOO_MANY_REQUESTS, HTTP_503_SERVICE_UNAVAILABLE

from boxoffice.runtime.peers import PeerUnavailableError
from boxoffice.runtime.telemetry import trace_id
from boxoffice.services.storefront.api.front import Front
from boxoffice.services.storefront.api.rendering import WHAT_IS_KEPT
from boxoffice.services.storefront.api.visit import Visit
from boxoffice.services.storefront.domain.addresses import local_path
from boxoffice.services.storefront.providers.shop import ApiRefusalError
from boxoffice.services.storefront.usecases.log_in import log_in

MOST_FIELD = 1_000
AFTER_LOGIN = "/bookings"


@get("/login", include_in_schema=False)
async def show_login(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Show the login form; whoever is logged in goes on."""
    next_path = local_path(request.query_params.get("next"), default="")
    if visit.logged_in:
        return front.pages.go(visit, next_path or AFTER_LOGIN)
    return _form(front, visit, "login.html", next_path=next_path)


@post("/login", include_in_schema=False)
async def take_login(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Log in, and go where the visitor was going."""
    form = await request.form()
    visit.check_form(request, form)
    next_path = local_path(_field(form, "next"), default="")
    return await _enter(front, visit, form, template="login.html", next_path=next_path)


@get("/register", include_in_schema=False)
async def show_register(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Show the form for a new account."""
    return _form(front, visit, "register.html", next_path=local_path(request.query_params.get("next"), default=""))


@post("/register", include_in_schema=False)
async def take_register(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Make an account and log in with it."""
    form = await request.form()
    visit.check_form(request, form)
    next_path = local_path(_field(form, "next"), default="")
    try:
        await visit.shop.register(
            name=_field(form, "name"), email=_field(form, "email"), password=_field(form, "password")
        )
    except ApiRefusalError as refusal:
        return _form(front, visit, "register.html", form=form, problem=refusal, next_path=next_path)
    return await _enter(front, visit, form, template="register.html", next_path=next_path)


@post("/logout", include_in_schema=False)
async def log_out(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Log out: here whatever happens, and at the API; where that does not answer, say that the login lives on."""
    visit.check_form(request, await request.form())
    ended = await _ended(visit)
    visit.become(None)
    answer = front.pages.go(visit, "/") if ended else _only_here(front, visit)
    answer.headers["Clear-Site-Data"] = WHAT_IS_KEPT
    return answer


async def _ended(visit: Visit) -> bool:
    """End the login at the API; false when it may live on."""
    if visit.session is None or not visit.session.logged_in:
        return True
    try:
        await visit.shop.log_out(visit.session.refresh_token)
    except PeerUnavailableError:
        return False
    except ApiRefusalError as refusal:  # over already, unless it had no time for us
        return refusal.status < HTTP_429_TOO_MANY_REQUESTS
    return True


def _only_here(front: Front, visit: Visit) -> Response[bytes]:
    return front.pages.personal(
        visit, "error.html", status=HTTP_503_SERVICE_UNAVAILABLE, title="You are logged out in this browser only",
        detail="This browser has forgotten your login, but we could not end it on our side just now.",
        advice="If somebody else may have used it, choose a new password: that ends every login.",
        code="storefront.logged_out_here", trace=trace_id(), retry_after_s=0, again=False,
    )  # fmt: skip


@get("/forgot-password", include_in_schema=False)
async def show_forgot(front: Front, visit: Visit) -> Response[bytes]:
    """Show the form that asks for a link."""
    return _form(front, visit, "forgot.html")


@post("/forgot-password", include_in_schema=False)
async def take_forgot(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Have a link mailed; the answer is the same whether the address is known or not."""
    form = await request.form()
    visit.check_form(request, form)
    try:
        await visit.shop.forgot_password(_field(form, "email"))
    except ApiRefusalError as refusal:
        return _form(front, visit, "forgot.html", form=form, problem=refusal)
    return _form(front, visit, "forgot.html", sent=True)


@get("/reset-password", include_in_schema=False)
async def show_reset(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Show the form for a new password."""
    return _form(front, visit, "reset.html", token=request.query_params.get("token", "")[:MOST_FIELD])


@post("/reset-password", include_in_schema=False)
async def take_reset(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Set the new password."""
    form = await request.form()
    visit.check_form(request, form)
    token = _field(form, "token")
    try:
        await visit.shop.reset_password(token, _field(form, "password"))
    except ApiRefusalError as refusal:
        return _form(front, visit, "reset.html", problem=refusal, token=token)
    return _form(front, visit, "reset.html", token="", done=True)


@get("/verify-email", include_in_schema=False)
async def show_verify(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Show the button that verifies an address: mail scanners open links, but press no buttons."""
    return _form(front, visit, "verify.html", token=request.query_params.get("token", "")[:MOST_FIELD])


@post("/verify-email", include_in_schema=False)
async def take_verify(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Verify the address."""
    form = await request.form()
    visit.check_form(request, form)
    try:
        await visit.shop.verify_email(_field(form, "token"))
    except ApiRefusalError as refusal:
        return _form(front, visit, "verify.html", problem=refusal, token=_field(form, "token"))
    return _form(front, visit, "verify.html", token="", done=True)


async def _enter(front: Front, visit: Visit, form: FormMultiDict, *, template: str, next_path: str) -> Response[bytes]:
    try:
        session = await log_in(
            visit.peers, email=_field(form, "email"), password=_field(form, "password"), client=visit.client
        )
    except ApiRefusalError as refusal:
        return _form(front, visit, template, form=form, problem=refusal, next_path=next_path)
    await _ended(visit)  # an old login that nobody ends now runs out by itself; the new one is there
    visit.become(session)
    return front.pages.go(visit, next_path or AFTER_LOGIN)


def _form(
    front: Front,
    visit: Visit,
    template: str,
    *,
    form: FormMultiDict | None = None,
    problem: ApiRefusalError | None = None,
    **values: Any,
) -> Response[bytes]:
    """Show a form, with what was typed (never a password) and what was wrong with it."""
    typed = {name: _field(form, name) for name in ("name", "email")} if form else {}
    given = {"next_path": "", "sent": False, "done": False, **values}
    return front.pages.personal(
        visit, template, status=problem.status if problem else HTTP_200_OK, csrf=visit.form_token(),
        problem=problem, typed=typed, **given,
    )  # fmt: skip


def _field(form: FormMultiDict, name: str) -> str:
    value = form.get(name, "")
    return value[:MOST_FIELD] if isinstance(value, str) else ""


ROUTES: list[Any] = [
    show_login, take_login, show_register, take_register, log_out, show_forgot, take_forgot, show_reset, take_reset,
    show_verify, take_verify,
]  # fmt: skip
