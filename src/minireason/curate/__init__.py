"""From rollouts to training sets: annotate, deduplicate, decontaminate, select, pair, admit.

Every algorithm is a pure function of records in a file of its own. To add one: write
`curate/<name>.py` with a function that takes records and returns what it keeps with a Ledger,
give every row that it drops a reason (`ledger.drop`), and end with `ledger.close`, which checks
that in = out + dropped and says which filter emptied a selection. Start from `judged.join` where
rollouts and verdicts are needed; draw random choices from `derive_seed`. Then call it from the
stage that wants it.
"""
