# Each target installs what it needs. A fresh checkout, Python 3.11 or newer and make are enough.
#
#   make demo                      index the sample photos, search them, and draw index_data/demo.jpg
#   make demo PHOTOS=~/Pictures    the same with a folder of your own
#   make test                      lint, types and all tests (installs torch: several GB)
#   make quick                     lint and the tests that take seconds, in less than a minute
#   make lint                      only ruff and mypy
#   make bench                     the benchmarks that need no data, one script per claim (20 minutes)
#   make soak                      interrupt runs and change photos at random, and show that nothing is lost (two hours;
#                                  Linux, strace); make soak ARGS=--short takes some minutes
#   make clean                     remove the environments and the files that tools create

# The first Python that is new enough. To use another one: make test PYTHON=/path/to/python
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,\
    $(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
JOBS ?= 2

# Tests start many processes. Without compiled modules, each one would compile PyTorch again, which takes 10 seconds.
unexport PYTHONDONTWRITEBYTECODE

# --no-compile: Python compiles modules when they are imported. Compiling all of SciPy takes longer than the demo.
PIP_INSTALL = -m pip install --quiet --no-compile --disable-pip-version-check

.PHONY: demo test quick lint bench soak clean

demo: .venv/installed
	@.venv/bin/python -m searcher demo $${PHOTOS:+--photos "$$PHOTOS"}

# worksteal: a process without work takes tests from another one, so that no long test at the end runs alone.
test: lint
	.venv-test/bin/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# The tests that need neither PyTorch nor another process for long: what most changes break first.
QUICK = tests/test_layers.py tests/catalog tests/datasets tests/drawing tests/search tests/vectors \
    tests/photos/test_scan.py tests/photos/test_exif.py
quick: lint
	.venv-test/bin/python -m pytest -n $(JOBS) -q -m "not slow" $(QUICK) $(ARGS)

lint: .venv-test/installed
	.venv-test/bin/python -m ruff check
	.venv-test/bin/python -m ruff format --check
	.venv-test/bin/python -m mypy

# The benchmarks that need no data of yours. Each prints a table, and fails if it misses what it should reach. On two idle
# cores, we estimate five minutes for scan and tag together, ten for speed, two for network and three for embeddings. The
# first run takes longer: it installs rclip and OpenVINO in a cache folder (1 GB), and makes models and photos there (3 GB).
BENCH = scan tag speed network embeddings
bench: .venv-test/installed
	@bad=; for script in $(BENCH); do echo "== benchmarks/$$script.py"; \
	    .venv-test/bin/python "benchmarks/$$script.py" || bad="$$bad $$script"; done; \
	    if [ -n "$$bad" ]; then echo "Missed:$$bad" >&2; exit 1; fi

# About two hours. make soak ARGS=--short takes some minutes.
soak: .venv-test/installed
	.venv-test/bin/python benchmarks/soak/all.py $(ARGS)

clean:
	rm -rf .venv .venv-test .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The last step of making an environment creates the file `installed`. Changed metadata makes the environment again.
.venv/installed: EXTRAS = demo
.venv-test/installed: EXTRAS = train,test
.venv/installed .venv-test/installed: setup.cfg pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Creating $(@D) with $(PYTHON) and installing searcher[$(EXTRAS)]"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --editable ".[$(EXTRAS)]"
	@touch $@
