"""Running exported models, without torch: ONNX Runtime GenAI and llama.cpp.

To add a format: a `Runtime` in a file of its own, and a line in `runtime.open_runtime`; what makes
the files is in `export/`.
"""
