"""The engines that come with the package: PostgreSQL, Valkey, the mailbox."""
