"""What can be done with the catalog, one intent a file. Each works inside the transaction that it is given."""
