"""The demo's parts: telling, the stage, and what is read from logs and from the wire."""
