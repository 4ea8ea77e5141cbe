"""The evidence: runs every proof of the sale, and writes what came of it to ``docs/evidence`` as a page and its twin.

``make evidence`` is the only thing that writes there; the page is a function of the JSON file, which a test keeps.
"""
