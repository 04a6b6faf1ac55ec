"""Everything Dagster sees: assets, checks, jobs, the sensor, resources, housekeeping."""

import os

# Lets Dagster hand events of a range of days over together (sqlite_storage.py); without it, one at a time.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")
