"""Making exports: from a model folder to files that small devices run, and what they lose.

`settings` says what is made, `checks` what cannot be, `onnx`, `gguf` and `hf` make the files,
`gate` measures them beside the original. Running them is `edge/`.
"""
