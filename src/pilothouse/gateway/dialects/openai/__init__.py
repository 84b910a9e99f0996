"""OpenAI's forms: chat, completions, responses."""
