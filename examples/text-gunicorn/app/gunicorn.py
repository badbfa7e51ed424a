"""Settings of gunicorn, read from `-c app/gunicorn.py`."""

import os

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
timeout = 60
graceful_timeout = 10
accesslog = "-"
# Heartbeat files on a disk can block a worker; /dev/shm is memory.
worker_tmp_dir = "/dev/shm"
