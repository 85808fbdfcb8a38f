"""minireason: turn a small language model into a math reasoner."""

__version__ = "0.1.0"
