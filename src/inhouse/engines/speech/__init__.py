"""Text to speech: Kokoro through ONNX Runtime, in a child process."""
