"""The data flow from Sitniks to Finmap, one module per step; decisions are in sql/. Independent of Dagster."""
