"""Pictures held against sentences: labels that a sentence describes."""
