"""Source code -> documents: tables, repositories, archives and notebooks."""
