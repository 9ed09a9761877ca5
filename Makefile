# Short names for developers; every target sets up what it needs through run.py.
IN = python3 run.py exec

help:
	@grep -E '^[a-z-]+:' Makefile | cut -d: -f1 | tr '\n' ' '; echo

.PHONY: help run setup test test-reference check format bench soak thumbnails train-default

run:
	python3 run.py

setup:
	python3 run.py setup

test:
	python3 run.py test

# Full-size checkpoints against ComfyUI's recordings: some 10 GB of disk, 14 GB of memory, 8 minutes.
test-reference:
	$(IN) python -m pytest -m reference -n 0 tests/reference

check:
	$(IN) ruff check .
	$(IN) ruff format --check .
	$(IN) pyright
	$(IN) npm --prefix web run check

format:
	$(IN) ruff check --fix .
	$(IN) ruff format .
	$(IN) npm --prefix web run format

bench:
	$(IN) python bench/executor.py
	$(IN) python bench/server.py
	$(IN) python bench/default_model.py
	$(IN) python bench/diffusion.py

# A long run against the real server: many jobs, kills and restarts, watched for leaks.
soak:
	$(IN) python bench/soak.py

# The pictures in the template list, from the examples and the embedded model.
thumbnails:
	$(IN) python workflows/make_thumbnails.py

train-default:
	$(IN) python -m training all
