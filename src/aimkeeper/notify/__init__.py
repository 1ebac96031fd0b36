"""Tells people and programs elsewhere what happened: from the events, after they were committed."""
