"""Documents -> the documents worth training on: one module a family of published rules."""
