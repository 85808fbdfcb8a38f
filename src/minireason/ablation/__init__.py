"""What a part of RLVR is worth: a grid of variants at equal generated tokens, compared in pairs.

`design.py` names what is switched on and off and says which variants there are, `run.py` carries
them out as run folders of their own, `outcome.py` reads what came of each, `summary.py` compares
them, and `page.py` shows it. To add a toggle: name it in `design.TOGGLES`.
"""
