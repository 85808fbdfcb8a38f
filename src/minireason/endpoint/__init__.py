"""A server that speaks the OpenAI chat protocol: many requests at once, retried, counted."""
