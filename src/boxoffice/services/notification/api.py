"""HTTP in: what was sent to me and what I want to be sent, sending, and the live stream that is still to come."""

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from litestar import Request, Response, WebSocket, get, post, put, websocket
from litestar.datastructures import State
from litestar.params import HeaderParameter

from boxoffice.kernel.ids import UserId
from boxoffice.runtime import authn, idempotency, web
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.runtime.paging import DEFAULT_PAGE_SIZE, Page, PageNo, PageSize, paging
from boxoffice.services.notification.domain.mail_job import JobState
from boxoffice.services.notification.domain.preferences import Chosen, Preferences
from boxoffice.services.notification.domain.refusals import (
    AccountGoneError,
    BadNotificationError,
    BadPreconditionError,
    BadPreferencesError,
    ChannelNotAvailableError,
    LiveNotAvailableError,
    PreferencesChangedError,
    PreferencesElsewhereError,
    PreferencesUnreadableError,
    RecipientDeclinesError,
    RecipientUnknownError,
)
from boxoffice.services.notification.usecases.change_preferences import change_preferences
from boxoffice.services.notification.usecases.list_notifications import list_notifications
from boxoffice.services.notification.usecases.queue_news import EMAIL, queue_news
from boxoffice.services.notification.usecases.read_preferences import Choices, read_preferences, wanting_mail

ACCEPTED = 202
PRIVATE = {"Cache-Control": "private, no-store"}
ETAG = re.compile(r'(?:W/)?"v(\d{1,18})"')
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description="The ETag of what you have seen.")]
UNKNOWN = (PreferencesElsewhereError, PreferencesUnreadableError)
"""Why nobody can say what somebody chose, beside a server that is away."""


class NotificationView(web.View, frozen=True, kw_only=True):
    """One notification; ``bookingId`` is there when it is about an order. ``state`` is that of GLOSSARY.md."""

    id: UUID
    channel: Annotated[str, msgspec.Meta(examples=[EMAIL])]
    template: Annotated[str, msgspec.Meta(examples=["tickets"])]
    title: Annotated[str, msgspec.Meta(examples=["Your tickets: Dvořák, From the New World"])]
    state: Annotated[str, msgspec.Meta(examples=["sent"])]
    created_at: datetime
    sent_at: datetime | None
    booking_id: UUID | None


class NotificationsView(Page, frozen=True, kw_only=True):
    """A page of notifications, newest first."""

    notifications: list[NotificationView]


class SendModel(web.Model, frozen=True, kw_only=True):
    """A notification to one user."""

    user_id: UUID
    channel: Annotated[str, msgspec.Meta(max_length=20, examples=[EMAIL])]
    subject: Annotated[str, msgspec.Meta(max_length=200, examples=["Doors open at 18:30"])]
    message: Annotated[str, msgspec.Meta(max_length=10_000, examples=["We open half an hour earlier than planned."])]


class PreferencesModel(web.Model, frozen=True, kw_only=True):
    """Which ways somebody wants news on, and in which language. Tickets and refunds are mailed in any case."""

    receive_email: bool
    receive_sms: bool
    receive_push_notifications: bool
    preferred_language: Annotated[str, msgspec.Meta(max_length=40, examples=["zh-HK"])]


class PreferencesView(web.View, frozen=True, kw_only=True):
    """Which ways somebody wants news on, and in which language; their version is the ETag."""

    receive_email: bool
    receive_sms: bool
    receive_push_notifications: bool
    preferred_language: Annotated[str, msgspec.Meta(examples=["zh-HK"])]


@get("/users/me/preferences", opt=web.refuses(AccountGoneError, *UNKNOWN))
async def my_preferences(state: State, caller: authn.Caller) -> Response[PreferencesView]:
    """Read my preferences; the defaults when I never chose."""
    choices: Choices = state.choices
    return _preferences(await read_preferences(choices, caller.user_id))


@put(
    "/users/me/preferences",
    opt=web.refuses(AccountGoneError, BadPreferencesError, BadPreconditionError, PreferencesChangedError, *UNKNOWN),
)
async def change_my_preferences(
    state: State, caller: authn.Caller, data: PreferencesModel, if_match: IfMatch = None
) -> Response[PreferencesView]:
    """Replace my preferences; with If-Match only those that I have seen."""
    choices: Choices = state.choices
    wanted = Preferences(
        receive_email=data.receive_email, receive_sms=data.receive_sms, receive_push=data.receive_push_notifications,
        language=data.preferred_language,
    )  # fmt: skip
    return _preferences(await change_preferences(choices, caller.user_id, wanted, expected=_expected(if_match)))


@get("/notifications")
async def notifications(
    state: State, caller: authn.Caller, page_no: PageNo = 0, page_size: PageSize = DEFAULT_PAGE_SIZE
) -> Response[NotificationsView]:
    """List what was or is to be sent to me."""
    database: Database = state.database
    records, total = await list_notifications(database, caller.user_id, page_number=page_no, page_size=page_size)
    view = NotificationsView(notifications=[_view(record) for record in records], **paging(total, page_no, page_size))
    return Response(view, headers=PRIVATE)


@post(
    "/notifications/send",
    status_code=ACCEPTED,
    guards=[authn.require(authn.SUPPORT, authn.ADMINISTRATOR, authn.SERVICE)],
    opt=web.refuses(
        BadNotificationError, RecipientUnknownError, RecipientDeclinesError, ChannelNotAvailableError,
        idempotency.KeyReusedError, *UNKNOWN,
    ),
)  # fmt: skip
async def send_notification(
    request: Request[Any, Any, Any],
    state: State,
    caller: authn.Caller,
    data: SendModel,
    idempotency_key: web.IdempotencyKey = None,
) -> Response[bytes]:
    """Send something to one user who wants such mail."""
    database: Database = state.database
    choices: Choices = state.choices
    wanted = UserId(data.user_id) in await wanting_mail(choices, [UserId(data.user_id)])
    call = IdempotentCall.of(
        principal=caller.user_id, key=idempotency_key, route="POST /notifications/send", body=await request.body()
    )
    async with database.transaction() as tx:
        answer = await idempotency.begin(tx, call)
        if answer is None:
            mail = await queue_news(
                tx, notification_id=uuid4(), user_id=UserId(data.user_id), wanted=wanted, channel=data.channel,
                subject=data.subject, message=data.message,
            )  # fmt: skip
            body = {"id": mail.job_id, "channel": data.channel, "title": mail.title, "state": JobState.WAITING}
            answer = await idempotency.finish(tx, call, Answer(status=ACCEPTED, body=msgspec.json.encode(body)))
    return Response(answer.body, status_code=answer.status, media_type="application/json", headers=PRIVATE)


@get("/notifications/live", opt=web.refuses(LiveNotAvailableError))
async def live() -> None:
    """Say that the live stream is still to come."""
    raise LiveNotAvailableError("Ask GET /notifications instead.")


@websocket("/notifications/live")
async def live_stream(socket: WebSocket[Any, Any, Any]) -> None:
    """Refuse the handshake, as the plain GET says why."""
    await socket.close(reason="not available yet, ask GET /notifications")


ROUTES = [my_preferences, change_my_preferences, notifications, send_notification, live, live_stream]


def _preferences(chosen: Chosen) -> Response[PreferencesView]:
    wish = chosen.preferences or Preferences()
    view = PreferencesView(
        receive_email=wish.receive_email, receive_sms=wish.receive_sms, receive_push_notifications=wish.receive_push,
        preferred_language=wish.language,
    )  # fmt: skip
    return Response(view, headers={**PRIVATE, "ETag": f'"v{chosen.version}"'})


def _expected(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    match = ETAG.fullmatch(if_match.strip())
    if match is None:
        raise BadPreconditionError("Send the ETag of the answer that you have seen, or nothing.")
    return int(match[1])


def _view(record: Any) -> NotificationView:
    return NotificationView(
        id=record["job_id"], channel=EMAIL, template=record["template"], title=record["title"], state=record["state"],
        created_at=record["created_at"], sent_at=record["sent_at"], booking_id=record["booking_id"],
    )  # fmt: skip
