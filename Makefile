# relabel: `make demo` shows what it does, `make test` checks that it does it. Run with PYTHON=... to choose the Python.

PYTHON ?= python3
# test-wheel and test-oldest run with these as well, where they are installed.
NEWER ?= python3.12 python3.13
VENV := .venv
BIN := $(VENV)/bin
# Python compiles the modules that are imported, a fraction of those that are installed.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
PACKAGE := $(VENV)/.package
READY := $(VENV)/.ready
DEMO := demo
# Whatever the environment says, compiled modules and tests are kept: a run starts hundreds of Pythons.
export PYTHONDONTWRITEBYTECODE :=
# Tests wait for other processes and for a browser about a quarter of the time, so there are more workers than cores.
WORKERS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))

.PHONY: help setup tools libraries wheel demo demo-train docs notebooks test types kernels test-gpu test-faults \
    test-wheel test-oldest bench release viewer clean
.DEFAULT_GOAL := help

help:
	@echo "make setup   install relabel and its tools into $(VENV), at the versions of constraints.txt"
	@echo "make wheel   build dist/relabel_vpr-*.whl, which pip installs anywhere"
	@echo "make demo    label a small synthetic city and look at the result"
	@echo "make demo-train  train a small network on graded and on binary labels, some minutes on a CPU"
	@echo "make test    style, types, all tests; the kernels once more without the jit"
	@echo "make test-gpu  what computes by torch, on the GPU of this machine; installs nothing: PYTHON is a Python with torch"
	@echo "make test-faults  kills, full disks, damaged and hostile input in full, slow benchmarks, both notebooks: an hour or two"
	@echo "make test-wheel   the tests with the wheel installed and no sources; also with $(NEWER)"
	@echo "make test-oldest  the core's tests at the oldest versions that setup.cfg allows; also with $(NEWER)"
	@echo "make docs    the documentation as a website, in build/docs"
	@echo "make notebooks  run the notebooks of docs/notebooks again and store them with their outputs"
	@echo "make bench   speed, memory and start-up time"
	@echo "make release  check and build a release, and stop before uploading it"
	@echo "make viewer  rebuild the JavaScript libraries of the viewer from their lock file; the one target that needs npm"
	@echo "make clean   remove $(VENV), $(VENV)-*, $(DEMO) and caches"

setup: $(READY) tools libraries

# What `make demo` needs: relabel and what it is built on.
$(PACKAGE): setup.cfg pyproject.toml constraints.txt
	@.ci/venv $(PYTHON) $(VENV)
	@echo "installing relabel into $(VENV)"
	@$(PIP) -e .
	@touch $@

$(READY): $(PACKAGE)
	@echo "installing what the tests need into $(VENV)"
	@$(PIP) -e '.[test,docs,torch,open3d,view]'
	@touch $@

# h5dump and its kin, which tests read label files with; tests that need them are passed over where they are missing.
tools:
	@command -v h5dump >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing hdf5-tools"; \
	    { apt-get -qq update && apt-get -qq install -y hdf5-tools >/dev/null; } || echo "hdf5-tools cannot be installed"; \
	else \
	    echo "the HDF5 tools are not here, so their tests are passed over;" \
	        "Debian: sudo apt-get install hdf5-tools, macOS: brew install hdf5"; \
	fi

# What Open3D links against; without them, tests that need it are passed over.
libraries: $(PACKAGE)
	@missing=$$($(BIN)/python -c 'from relabel.doctor import missing_libraries; print(*missing_libraries())'); \
	if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        echo "installing $$missing"; \
	        { apt-get -qq update && apt-get -qq install -y $$missing >/dev/null; } || echo "$$missing cannot be installed"; \
	    else \
	        echo "Open3D lacks system libraries, so its tests are passed over: sudo apt-get install $$missing"; \
	    fi; \
	fi

# Without an old build/, whose files would come along.
wheel: $(PACKAGE)
	@rm -rf build dist/relabel_vpr-*.whl
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@rm -rf build
	@ls dist/relabel_vpr-*.whl

# Print a command, then run it.
define show
	@printf '\n$$ %s\n' '$(1)'
	@$(BIN)/$(1)
endef

demo: $(PACKAGE)
	@mkdir -p $(DEMO)
	$(call show,relabel sample msls $(DEMO)/msls --force)
	$(call show,relabel msls --root $(DEMO)/msls -o $(DEMO)/labels.h5 --force)
	$(call show,relabel stats $(DEMO)/labels.h5)
	@key=$$($(BIN)/relabel dump $(DEMO)/labels.h5 | awk -F, 'NR > 1 && $$3 > 0.8 { print $$1; exit }'); \
	    printf '\n$$ relabel row %s\n' "$(DEMO)/labels.h5 $$key --top 5"; \
	    $(BIN)/relabel row $(DEMO)/labels.h5 "$$key" --top 5
	$(call show,relabel validate $(DEMO)/labels.h5)
	$(call show,relabel verify $(DEMO)/labels.h5 --root $(DEMO)/msls)
	$(call show,relabel report $(DEMO)/labels.h5 -o $(DEMO)/report.html --force)
	@printf '\nTo see all of it (map, matches, distributions, faults), open in a browser: %s\n' '$(DEMO)/report.html'
	@printf '\nNext, on real data (its images are not needed):\n'
	@printf '  %s\n' '. $(BIN)/activate' 'relabel msls --root DIR_OF_MSLS -o msls.h5' \
	    'relabel validate msls.h5' 'relabel verify msls.h5 --root DIR_OF_MSLS' 'relabel report msls.h5 -o msls.html'

# The real frames of RELABEL_DATA or ../shared/data where they are, else rooms that are rendered here.
demo-train: $(READY) libraries
	@printf '%s\n' 'Training the same network with four losses, three times each. This takes some minutes.' ''
	@$(BIN)/python benchmarks/bench_learning.py
	@printf '\nNext, on data of your own:\n'
	@printf '  %s\n' '. $(BIN)/activate' 'relabel 7scenes --root DIR -o labels.h5' \
	    'relabel train labels.h5::SCENE/train --images DIR -o run' \
	    'relabel evaluate labels.h5::SCENE/test-train --images DIR --checkpoint run'

test: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(MAKE) -j 3 types compiled-fov compiled-surface compiled-sampling kernels
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'not kernels'

# Parts of `make test`, at the same time, since mypy uses one core.
types:
	$(BIN)/mypy

# Each kernel is compiled in one process, which leaves it in numba's cache for all that come after.
compiled-%:
	$(BIN)/pytest -m kernels tests/$*

kernels:
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -m kernels tests/fov tests/sampling tests/surface

# Machines with a GPU often have no network. What a package would be needed for that is not there is passed over.
test-gpu:
	@$(PYTHON) -c 'import torch; torch.cuda.is_available() or print("torch finds no GPU: what needs one is passed over")'
	PYTHONPATH=$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH} $(PYTHON) -m pytest -m gpu $$(grep -rl --include='test_*.py' 'pytest\.mark\.gpu' tests)

test-faults: setup
	RELABEL_FAULTS=full RELABEL_FUZZ_CASES=20000 $(BIN)/pytest -n auto --dist loadfile tests/faults tests/labelfile/test_fuzz.py \
	    tests/test_benchmarks.py tests/cli/test_msls_process.py tests/docs/test_notebooks.py

test-wheel: tools
	@.ci/each-python .ci/test-wheel -- $(PYTHON) $(NEWER)

test-oldest: tools
	@.ci/each-python .ci/test-oldest -- $(PYTHON) $(NEWER)

notebooks: $(READY) libraries
	$(BIN)/python docs/notebooks/execute.py

docs: $(READY)
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs . build/docs
	@echo "build/docs/index.html"

bench: setup
	@$(PIP) -e '.[bench]'
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

release: $(PACKAGE)
	@$(PIP) -e '.[release]'
	@.ci/release $(VENV)

# Only after a change of package.json or libraries.js; what it makes is kept in the repository.
viewer:
	cd relabel/view/bundle && npm ci --ignore-scripts --no-audit --no-fund && node build.mjs && rm -rf node_modules

clean:
	rm -rf $(VENV) $(VENV)-* $(DEMO) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find relabel tests benchmarks formats -name __pycache__ -type d -prune -exec rm -rf {} +
