"""Search engines behind one Protocol, and the folder that the embedded one lives in."""
