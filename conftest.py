"""For every test and every notebook: offline, and without waiting for the pace of a real model."""

import os

for name in ("COURSE_MODE", "COURSE_STRICT", "COURSE_BUDGET_USD", "COURSE_RECORD_TO"):
    os.environ.pop(name, None)
os.environ["COURSE_PACE"] = "0"
