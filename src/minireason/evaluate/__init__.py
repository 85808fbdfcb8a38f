"""What a rung of the ladder can do, with honest error bars.

`metrics` measures one benchmark, `intervals` says how sure we are, `compare` sets two checkpoints
side by side on the same questions, `summary` writes `summary.json` and `ladder` lines the rungs up.
To add a measure: compute it in `metrics`, give it a field in `schema`, fill it in `summary`.
"""
