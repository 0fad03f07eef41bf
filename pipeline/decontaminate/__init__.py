"""Documents -> documents that hold nothing a model is evaluated on: neither evaluation files nor the held-out split."""
