"""Sampling: the embedded engine, the teachers behind one protocol, rollouts that resume.

To add a teacher: a class with a `name` and `sample(questions, num_rollouts, params)` as the
protocol in `teacher` says, and a line in `stages/rollout.py`.
"""
