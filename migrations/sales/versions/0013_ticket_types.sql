-- Ticket types: adult, child, … as the organiser names them, each with its own price, by price level (of general admission:
-- by area). A hold is made at the level's standard price, which is its first type's: holding knows nothing of types. While
-- an order is held and unpaid its buyer may choose others; orders.ticket_types and price_minors are in the seats' order.
CREATE TABLE ticket_types (
  event_id bigint NOT NULL,
  price_level text NOT NULL,
  rank int NOT NULL CHECK (rank >= 0),               -- as the organiser lists them; 0 is the standard type
  ticket_type text NOT NULL CHECK (length(ticket_type) BETWEEN 1 AND 100),
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  currency char(3) NOT NULL,
  PRIMARY KEY (event_id, price_level, rank),
  UNIQUE (event_id, price_level, ticket_type)
);

-- What a ticket was sold as. NULL: its buyer never chose, so it is of the standard type, where its level has types.
ALTER TABLE tickets ADD COLUMN ticket_type text;
COMMENT ON COLUMN orders.ticket_types IS 'NULL until the buyer chooses: every place is of its level''s standard type';
