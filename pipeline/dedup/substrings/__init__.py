"""Documents -> documents without the long passages that stand earlier, in another text or the same."""
