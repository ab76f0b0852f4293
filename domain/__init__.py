"""The rules, pure: no input or output, no clock, nothing of ours above this folder."""
