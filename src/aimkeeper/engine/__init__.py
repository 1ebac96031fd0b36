"""The only writer of sessions."""
