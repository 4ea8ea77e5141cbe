"""Search: finds events by words, place, date and category, and says honestly how each one sells.

Owns the index and nothing else; it is told everything (``catalog.event.v1``, ``sales.event.v1``, both in) and tells
nobody. Invariant I18: the index follows the truth. A message older than what the index knows changes nothing, deleted
events and drafts are not found, and an index that is lost is built again from the catalog.
"""
