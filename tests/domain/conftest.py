"""How the properties are searched: no deadline, for the machine is shared, and enough examples to find something."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("domain", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("domain")
