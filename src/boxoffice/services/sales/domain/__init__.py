"""Rules of the sale: states, prices, refusals, refunds. Pure: the kernel and the standard library only."""
