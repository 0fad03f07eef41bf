"""Raw files -> documents: one module a kind of source."""
