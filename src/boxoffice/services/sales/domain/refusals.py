"""Everything that a sale says no with: a stable code, a category, and what the client can act on."""

from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError


class EventNotFoundError(DomainError):
    """No such event, or one that is not public."""

    code: ClassVar[str] = "sales.event_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such event"


class NotYourEventError(DomainError):
    """The event belongs to an organisation that the caller does not act for."""

    code: ClassVar[str] = "sales.not_your_event"
    category: ClassVar[Category] = Category.FORBIDDEN
    title: ClassVar[str] = "This event belongs to another organisation"


class NotOnSaleError(DomainError):
    """The sale has not begun, is over, or the event is cancelled."""

    code: ClassVar[str] = "sales.not_on_sale"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "This event is not on sale"


class SaleHaltedError(DomainError):
    """The auditor stopped the sale of this event."""

    code: ClassVar[str] = "sales.halted"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "The sale of this event is stopped for a check"


class SeatsUnknownError(DomainError):
    """Ids that are no seats of this event."""

    code: ClassVar[str] = "sales.seats_unknown"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "Some of these are not seats of this event"


class SeatsTakenError(DomainError):
    """Somebody else has some of the seats; ``contested``: one was only locked by another request, and may stay free."""

    code: ClassVar[str] = "sales.seats_taken"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "Some of these seats are taken"

    def __init__(self, detail: str, *, contested: bool = False, **context: object) -> None:
        super().__init__(detail, **context)
        self.contested = contested


class TooManyClientsError(DomainError):
    """More clients follow houses live than this process, or one address, may have."""

    code: ClassVar[str] = "sales.too_many_clients"
    category: ClassVar[Category] = Category.TOO_MANY
    title: ClassVar[str] = "Too many clients follow live at the moment"


class NotEnoughSeatsError(DomainError):
    """There are not that many free places, or not side by side; ``contested``: some are just being freed."""

    code: ClassVar[str] = "sales.not_enough_seats"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "There are not that many places left"

    def __init__(self, detail: str, *, contested: bool = False, **context: object) -> None:
        super().__init__(detail, **context)
        self.contested = contested


class LimitReachedError(DomainError):
    """More tickets than one customer may have for this event."""

    code: ClassVar[str] = "sales.limit_reached"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "That is more than one customer may buy"


class HoldBudgetSpentError(DomainError):
    """Seats of the event were held for too long without being bought."""

    code: ClassVar[str] = "sales.hold_budget_spent"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "You have held seats of this event too often"


class SingleSeatLeftError(DomainError):
    """The choice would leave a single free seat that nobody can use."""

    code: ClassVar[str] = "sales.single_seat_left"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "A single seat would be left"


class CompanionAloneError(DomainError):
    """A companion's seat without the wheelchair place that it belongs to."""

    code: ClassVar[str] = "sales.companion_needs_wheelchair_place"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "A companion's seat goes with its wheelchair place"


class BadSelectionError(DomainError):
    """A choice of seats that cannot be meant: none, too many, one twice."""

    code: ClassVar[str] = "sales.bad_selection"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The choice of seats cannot be read"


class NotYourselfError(DomainError):
    """The user named in the request is not the caller."""

    code: ClassVar[str] = "sales.not_yourself"
    category: ClassVar[Category] = Category.FORBIDDEN
    title: ClassVar[str] = "You can only act for yourself"


class OrderNotFoundError(DomainError):
    """No such order, or not the caller's: the two are not told apart."""

    code: ClassVar[str] = "sales.booking_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such booking"


class TicketNotFoundError(DomainError):
    """No such ticket, or not the caller's: the two are not told apart."""

    code: ClassVar[str] = "sales.ticket_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such ticket"


class TicketTypeNotOfferedError(DomainError):
    """A ticket type that the place's price level is not sold as."""

    code: ClassVar[str] = "sales.ticket_type_not_offered"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The place is not sold as that type of ticket"


class HoldExpiredError(DomainError):
    """The hold ran out."""

    code: ClassVar[str] = "sales.hold_expired"
    category: ClassVar[Category] = Category.GONE
    title: ClassVar[str] = "The time for these seats is up"


class WrongOrderStateError(DomainError):
    """The order is not in a state that allows it."""

    code: ClassVar[str] = "sales.wrong_booking_state"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The booking does not allow this any more"


class AlreadyExtendedError(DomainError):
    """The customer's clock for this event was extended before, or has more time than an extension would give."""

    code: ClassVar[str] = "sales.already_extended"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "There is no more time for these seats"


class PaymentNeededError(DomainError):
    """The order must be paid first."""

    code: ClassVar[str] = "sales.payment_needed"
    category: ClassVar[Category] = Category.PAYMENT_REQUIRED
    title: ClassVar[str] = "This booking has to be paid first"


class WrongPaymentError(DomainError):
    """The payment is not one of this order."""

    code: ClassVar[str] = "sales.wrong_payment"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "This payment is not for this booking"


class TooLateToCancelError(DomainError):
    """The refund policy's time is over."""

    code: ClassVar[str] = "sales.too_late_to_cancel"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "It is too late to cancel"


class TooLateToExchangeError(DomainError):
    """The time in which tickets can be changed is over; it is the time to cancel."""

    code: ClassVar[str] = "sales.too_late_to_exchange"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "It is too late to exchange"


class ExchangeNeedsPaymentError(DomainError):
    """The seats wanted cost more than the tickets given."""

    code: ClassVar[str] = "sales.exchange_needs_payment"
    category: ClassVar[Category] = Category.PAYMENT_REQUIRED
    title: ClassVar[str] = "These seats cost more than your tickets"


class BadAttendeeError(DomainError):
    """A name or an e-mail address that cannot be one."""

    code: ClassVar[str] = "sales.bad_attendee"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "Who comes cannot be read"


class TooLateToNameError(DomainError):
    """The list for the door is made: names stay as they are."""

    code: ClassVar[str] = "sales.too_late_to_name"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "It is too late to change who comes"


class BadPriceLevelsError(DomainError):
    """Price levels that do not fit the seat map or each other."""

    code: ClassVar[str] = "sales.bad_price_levels"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The price levels do not fit"


class BadTicketListError(DomainError):
    """A list of tickets to create that cannot be meant."""

    code: ClassVar[str] = "sales.bad_ticket_list"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The list of tickets cannot be read"


class AlreadyOpenError(DomainError):
    """The event has its event seats already."""

    code: ClassVar[str] = "sales.tickets_exist"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The tickets of this event were created before"


class NotYetBuiltError(DomainError):
    """A call that a later version answers."""

    code: ClassVar[str] = "sales.not_yet_built"
    category: ClassVar[Category] = Category.NOT_IMPLEMENTED
    title: ClassVar[str] = "This is not built yet"


class SaleDisagreesError(DomainError):
    """Records that must agree do not; the change was rolled back and the auditor will name them."""

    code: ClassVar[str] = "sales.records_disagree"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "The records of this booking do not agree"
