"""The way of the data from Sitniks to Finmap, a module for each step; what decides is in sql/. Knows no Dagster."""
