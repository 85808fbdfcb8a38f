"""What runtimes of exported models are compared with, and one that tests can look into."""

import numpy as np
import torch


def some_ids(count, seed=0):
    return np.random.default_rng(seed).integers(5, 800, count).tolist()


@torch.no_grad()
def reference(model, ids):
    """The logits [T, V] of transformers."""
    return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()


class ModelRuntime:
    """transformers' model as a runtime, with a forward pass over everything for each token."""

    def __init__(self, model, max_batch, max_length):
        self.model, self.max_batch, self.max_length = model, max_batch, max_length
        self.vocab_size, self.places, self.most = model.config.vocab_size, {}, 0

    def begin(self, place, prompt_ids, max_length):
        assert place not in self.places
        self.places[place], self.most = list(prompt_ids), max(self.most, len(self.places) + 1)
        return self.logits(prompt_ids)[-1]

    def step(self, tokens):
        for place, token in tokens.items():
            self.places[place].append(token)
        return {place: self.logits(self.places[place])[-1] for place in tokens}

    def end(self, place):
        self.places.pop(place, None)

    def logits(self, ids):
        with torch.no_grad():
            return self.model(input_ids=torch.tensor([ids])).logits[0].numpy().astype(np.float32)

    def close(self):
        self.places = None
