"""Documents -> documents without the lines or paragraphs that too many documents of a site have."""
