"""Reinforcement learning with verifiable reward: what is sampled, what it is worth, what is learnt.

To add an algorithm, write `algorithms/NAME.py`; to add a reward, `rewards/NAME.py`. Each is one
small file and one line in the dict of its package; a reward's name goes into `REWARDS` of
`recipe/reinforcement.py` too, which imports no torch.
"""
