"""What an exercise imports: `check`, which says what a piece of work still lacks, and `score`, which counts.

The other rooms are for authors and for whoever grades: masters.py, release.py, trial.py, audit.py.
"""

from helpers.exercises.checks import check, score

__all__ = ["check", "score"]
