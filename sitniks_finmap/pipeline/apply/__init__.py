"""Carries out one row of the plan: every write is recorded in the ledger, every doubt is resolved by asking Finmap."""
