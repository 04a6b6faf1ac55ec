"""The two APIs over HTTP: transport, rate limit, what each side answers. Knows no DuckDB and no Dagster."""
