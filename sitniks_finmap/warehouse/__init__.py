"""One DuckDB file per connection: open, recover, migrate, publish. Independent of HTTP and Dagster."""
