"""Embeddings: texts to vectors.

shapes.py      what host and gateway say to each other
host.py        runs in the child
onnx.py        sentence encoders on ONNX Runtime
llama.py       GGUF embedding models on llama.cpp
vocabulary.py  the contract's own tokens
"""
