"""Documents -> documents that occur once: exactly and nearly."""
