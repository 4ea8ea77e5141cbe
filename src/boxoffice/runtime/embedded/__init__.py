"""The engines that come with the package: PostgreSQL and Valkey, started by our own launchers and never by the wheels'.

Everything they write is below one data folder; a child never outlives the process that started it for long (it is told
to stop by the kernel, and leftovers are found and stopped at the next start).
"""
