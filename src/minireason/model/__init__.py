"""Models, whose code transformers owns: loading, chat form, attention, log-probabilities."""
