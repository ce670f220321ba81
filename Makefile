# Each target makes what it needs, from a bare checkout: Python 3.11 or newer, make, nothing else.
#
#   make demo                      index the sample photos, search them, draw index_data/demo.jpg
#   make demo PHOTOS=~/Pictures    the same on a folder of your own
#   make test                      lint, types and all tests (installs torch: several GB)
#   make lint                      ruff and mypy alone
#   make bench                     the benchmarks that need no data, one script a claim
#   make clean                     remove the environments and what tools left behind

# The first Python that is new enough. Another one: make test PYTHON=/path/to/python
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,\
    $(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
JOBS ?= 2

# --no-compile: Python compiles the few modules that run; compiling all of SciPy takes longer than the demo.
PIP_INSTALL = -m pip install --quiet --no-compile --disable-pip-version-check

.PHONY: demo test lint bench clean

demo: .venv/installed
	@.venv/bin/python -m searcher demo $${PHOTOS:+--photos "$$PHOTOS"}

test: lint
	.venv-test/bin/python -m pytest -n $(JOBS) $(ARGS)

lint: .venv-test/installed
	.venv-test/bin/python -m ruff check
	.venv-test/bin/python -m ruff format --check
	.venv-test/bin/python -m mypy

# Those that need nothing but the light environment; teach.py wants data and train.py the train extra.
bench: .venv/installed
	@set -e; for script in scan tag; do echo "== benchmarks/$$script.py"; .venv/bin/python "benchmarks/$$script.py"; done

clean:
	rm -rf .venv .venv-test .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment counts as made when its last step left the file `installed`; changed metadata makes it anew.
.venv/installed: EXTRAS = demo
.venv-test/installed: EXTRAS = train,test
.venv/installed .venv-test/installed: setup.cfg pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed; name yours with PYTHON=..." >&2; exit 1; }
	@echo "Making $(@D) with $(PYTHON): searcher[$(EXTRAS)]"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --editable ".[$(EXTRAS)]"
	@touch $@
