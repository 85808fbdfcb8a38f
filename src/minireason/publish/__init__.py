"""Publishing a model: a folder as the Hugging Face hub wants it, checked before it goes anywhere.

`run` assembles the folder, `checks` says what is wrong with one, `upload` sends it. To add a check:
a function from the folder to sentences, and a line in `checks`.
"""
