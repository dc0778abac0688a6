"""Audio: transcription, translation, speech."""
