"""What happened, for people and for Prometheus: events become log lines and numbers. No secret passes through here."""

from aimkeeper.telemetry.hearing import Telemetry
from aimkeeper.telemetry.logs import redact, set_up_logs

__all__ = ["Telemetry", "redact", "set_up_logs"]
