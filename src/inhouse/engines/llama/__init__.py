"""The embedded engine: llama.cpp's server in a supervised child process."""
