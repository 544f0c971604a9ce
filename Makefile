# Everything happens in .venv, made on first use; `make PYTHON=python3.12 demo` picks another.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
SOURCES := pyproject.toml CMakeLists.txt $(wildcard native/*/* native/*/*/*)

.PHONY: demo test lint docs bench browser peers sanitize wheel clean

demo: .venv/installed
	@$(BIN)/charloom demo

test: .venv/installed-dev
	@$(BIN)/python -m pytest -q

lint: .venv/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright --level error

docs: .venv/installed-dev
	@$(BIN)/python scripts/make_cli_docs.py

# The page in a real browser (Debian: apt-get install chromium); `make test` skips it without one.
browser: .venv/installed-browser
	@CHARLOOM_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -q tests/browser

# Live agreement with PyTorch and Keras, which are large: only here and in .ci/run.
peers: .venv/installed-peers
	@$(BIN)/python -m pytest -q tests/peers

bench: .venv/installed
	@$(BIN)/python benchmarks/bench.py

wheel: .venv/installed
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

# native/tools/stress/, once with each sanitizer. Unoptimized, because the unrolled tiles with
# checks in between take minutes to optimize. Addresses are checked for all kernels; what does
# not depend on the width of a vector, for the narrowest and the widest.
ENDS := baseline;avx512;avx512_bf16
KERNELS_address := baseline;avx2;avx512;avx512_bf16
KERNELS_undefined := $(ENDS)
KERNELS_thread := $(ENDS)
FLAGS_address := -fsanitize=address
FLAGS_undefined := -fsanitize=undefined,float-cast-overflow -fno-sanitize-recover=all
FLAGS_thread := -fsanitize=thread

sanitize: sanitize-address sanitize-undefined sanitize-thread

sanitize-%: .venv/bin/python
	@$(BIN)/cmake -S . -B build/$@ -DCHARLOOM_STRESS=ON -DCHARLOOM_KERNELS='$(KERNELS_$*)' -DCMAKE_BUILD_TYPE=Debug \
	  -DCMAKE_CXX_FLAGS_DEBUG='-O0 -g1 $(FLAGS_$*)' --log-level=ERROR > /dev/null
	@$(BIN)/cmake --build build/$@ --parallel 2 > build/$@/log || { cat build/$@/log; exit 1; }
	@build/$@/stress

clean:
	rm -rf .venv build dist

# The build tools live in .venv too, so that a second install finds the first one's objects.
.venv/bin/python:
	@$(PYTHON) -m venv .venv
	@$(PIP) install scikit-build-core nanobind cmake ninja

.venv/installed: .venv/bin/python $(SOURCES)
	@$(PIP) install --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@$(PIP) install --no-build-isolation --editable '.[dev]'
	@touch $@

.venv/installed-peers: .venv/installed-dev
	@$(PIP) install --no-build-isolation --editable '.[peers]'
	@touch $@

.venv/installed-browser: .venv/installed-dev
	@$(PIP) install --no-build-isolation --editable '.[browser]'
	@touch $@
