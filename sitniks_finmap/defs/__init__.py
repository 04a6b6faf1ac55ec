"""Everything Dagster sees: assets, checks, jobs, the sensor, resources, housekeeping."""
