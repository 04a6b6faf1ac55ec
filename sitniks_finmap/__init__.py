"""Moves every financial transaction of the CRM Sitniks into Finmap, once, corrected and proven."""

__version__ = "0.2.0"
