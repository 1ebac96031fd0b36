"""What the application hands to its routes, by the names they ask for."""

from litestar.di import NamedDependency

from aimkeeper.engine.worker import Worker
from aimkeeper.service import Service
from aimkeeper.telemetry import Telemetry
from aimkeeper.web.access import Access
from aimkeeper.web.limits import Limiter
from aimkeeper.web.recent import Recent

GivenService = NamedDependency[Service]
GivenAccess = NamedDependency[Access]
GivenLimiter = NamedDependency[Limiter]
GivenTelemetry = NamedDependency[Telemetry]
GivenWorker = NamedDependency[Worker | None]
GivenRecent = NamedDependency[Recent]
