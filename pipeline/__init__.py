"""Raw sources -> clean documents."""
