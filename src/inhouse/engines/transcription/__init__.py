"""Speech to text: Whisper through faster-whisper, in a child process."""
