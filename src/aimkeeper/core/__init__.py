"""The pure part: what a session is and what follows from an answer. No I/O, no clock, no dice."""
