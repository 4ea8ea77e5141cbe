"""The rules of accounts, passwords, logins, one-time links and organisations: pure, no clock, no chance."""
