"""The only place that knows AimHarder."""
