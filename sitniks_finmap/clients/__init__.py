"""HTTP clients of the two APIs: transport, rate limit, responses. Independent of DuckDB and Dagster."""
