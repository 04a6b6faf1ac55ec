"""Messages with memory: what is wrong, since when, who was told, and what is still to be sent."""

import logging

for name in ("apprise", "urllib3"):  # they log URLs with their tokens
    logging.getLogger(name).setLevel(logging.CRITICAL)
