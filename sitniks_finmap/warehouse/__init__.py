"""One DuckDB file for each connection: opened, recovered, migrated, published. Knows no HTTP and no Dagster."""
