"""JATS articles -> papers."""
