"""Where questions come from: question sets, and endless procedural families with solutions."""
