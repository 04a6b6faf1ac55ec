"""What the process imports that runs are forked from, and no other: it loads everything there."""

import logging
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of numpy: a process with one thread is safe to fork

import pandas  # noqa: F401 - most runs need it

from sitniks_finmap.definitions import load
from sitniks_finmap.defs.warm import keep_warm

try:
    keep_warm(*load())
except Exception:
    # Each run then loads for itself, and says in its events what is wrong.
    logging.getLogger(__name__).exception("the definitions could not be loaded in advance")
