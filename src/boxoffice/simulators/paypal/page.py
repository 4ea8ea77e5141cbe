"""The page on which a person approves a payment. It says in every line that it is a simulator and takes no money."""

import json
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response, get, post
from litestar.response import Redirect

from boxoffice.simulators.paypal.api import PayPal
from boxoffice.simulators.paypal.bank import DECLINED, RefusedError
from boxoffice.simulators.paypal.ledger import Record

SEE_OTHER: Literal[303] = 303
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
"""No form-action: the form's answer redirects to the shop, which the directive would stop."""

_pages = Environment(loader=PackageLoader("boxoffice.simulators.paypal"), autoescape=True, undefined=StrictUndefined)


def routes(paypal: PayPal) -> list[Any]:
    """Build the page's routes."""

    @get("/checkoutnow", media_type=MediaType.HTML)
    async def show(token: str) -> Response[str]:
        try:
            return _render(paypal.bank.order(token), base_url=paypal.bank.base_url)
        except RefusedError:
            return _render(None, base_url=paypal.bank.base_url)

    @post("/checkoutnow")
    async def decide(request: Request[Any, Any, Any], token: str) -> Response[Any]:
        form = await request.form()
        try:
            order = paypal.bank.order(token)
            if form.get("choice") == "pay":
                with paypal.bank.ledger.change():
                    declined = form.get("card") == "declined"
                    fact = paypal.bank.approve(token, decline=DECLINED if declined else None)
                    if fact:
                        paypal.webhooks.tell(fact)
                order = paypal.bank.order(token)
        except RefusedError:
            return _render(None, base_url=paypal.bank.base_url)
        return Redirect(_way_back(order, paid=form.get("choice") == "pay"), status_code=SEE_OTHER)

    return [show, decide]


def _context(order: Record) -> dict[str, str]:
    request: dict[str, Any] = json.loads(order["request"])
    found: dict[str, str] = request.get("payment_source", {}).get("paypal", {}).get("experience_context", {})
    return found


def _way_back(order: Record, *, paid: bool) -> str:
    context = _context(order)
    address = urlsplit(context["return_url" if paid else "cancel_url"])
    query = [*parse_qsl(address.query), ("token", order["order_id"])]
    if paid:
        query.append(("PayerID", order["payer_id"] or ""))
    return urlunsplit(address._replace(query=urlencode(query)))


def _render(order: Record | None, *, base_url: str) -> Response[str]:
    unit = json.loads(order["request"])["purchase_units"][0] if order else {}
    text = _pages.get_template("approve.html").render(
        order=order,
        unit=unit,
        merchant=_context(order).get("brand_name", "The merchant") if order else "",
        waiting=bool(order) and order["status"] == "PAYER_ACTION_REQUIRED" if order else False,
        base_url=base_url,
    )
    return Response(
        text, media_type=MediaType.HTML, status_code=200 if order else 404,
        headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Frame-Options": "DENY"},
    )  # fmt: skip
