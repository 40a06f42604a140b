"""Servers of one's own that speak OpenAI's chat beside a dialect of theirs, one file each: what each of them does differently."""
