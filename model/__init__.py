"""The encoder: ModernBERT, exactly."""
