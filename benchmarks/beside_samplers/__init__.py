"""The same requests sampled by our engine, by transformers two ways, and by vLLM.

What all are given: the model's folder, float32, token ids, the threads, one warming-up. Each is
timed from token ids to token ids, loading apart, in a process that stays for all its rounds.

- ours: `rollout.engine.Engine`. Its log-probabilities and deterministic algorithms (`use_threads`)
  are kept on; nobody else's are asked for.
- generate: transformers' `generate`, sdpa attention, a dynamic cache or a static one that is not
  compiled (compiling takes longer here than it saves), prompts padded on the left. A batch runs
  until its longest response is done, and what is generated beyond a request's own length is not
  counted: that is what stop tokens do. "arrival" takes the requests as they come, "by prompt" by
  the length of the prompt, which spares padding; nobody knows a response's length beforehand.
- generate_batch: transformers' continuous batching as `model.generate_batch` does it, with a length
  for each request, a cache of pages of 32 tokens sized for the batch (its default takes the
  machine's memory), no sharing of prefixes. Starting its thread is not timed.
- vllm: eager or compiled, no prefix cache (a round would find the last one's prompts in it), in the
  child's own process.
"""
