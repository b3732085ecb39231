# The commands of this project. Each does its own set-up on a machine that has
# Python 3.11+, make and git. `make demo` and `make test` are all that a newcomer needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two at once: the suite is written for a machine of two cores. Who has no test left takes some of the other's: those of
# every interleaving alone take minutes.
TEST_PROCESSES ?= 2

.PHONY: demo serve test browser bench bench-best bench-short check format texts lock clean

demo: $(READY)          ## a running box office with demo data on port 8001
	@$(BIN)/boxoffice demo

serve: $(READY)         ## the service alone
	@$(BIN)/boxoffice serve

test: $(READY) browser spin-installed redis-installed  ## every test
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)

# Where there is none and we may, Debian's is installed. Otherwise the tests of the pages fail and say what to do;
# nobody skips them by accident. BROWSER_TESTS=skip does, CHROMIUM=/path/to/it names another.
browser:                ## the Chromium that the tests of the pages drive
	@[ "$(BROWSER_TESTS)" != skip ] && [ -z "$(CHROMIUM)" ] || exit 0; \
	found() { command -v chromium || command -v chromium-browser || command -v google-chrome; }; \
	found >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium (once) …"; export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-core >/dev/null; \
	fi; \
	found >/dev/null || echo "No Chromium: install it, or set CHROMIUM or BROWSER_TESTS=skip" >&2

bench: $(READY)         ## what it sells, beside what the machine gives; ARGS="--only 'map-*'" and such
	$(BIN)/python -m benchmarks $(ARGS)

bench-best: $(READY)    ## how long the best seats take, in halls of any size
	$(BIN)/python -m benchmarks.best_seats

bench-short: $(READY)   ## that the benchmarks work, in under a minute; says nothing about speed
	$(BIN)/python -m benchmarks --short $(ARGS)

.PHONY: explore
explore: $(READY)       ## what the suite tries with a few examples, the same each time: with others, and many more
	$(BIN)/pytest -q -m hypothesis --hypothesis-profile explore $(ARGS)

.PHONY: model
# The suite holds 25 short courses of events against the model; this holds many long ones. MODEL_SEED=… repeats a run.
model: export MODEL_EXAMPLES ?= 400
model: export MODEL_STEPS ?= 80
model: $(READY)         ## the box office against its model, at length
	$(BIN)/pytest -q -s tests/properties/test_box_office.py $(ARGS)

.PHONY: spin spin-installed
spin: export SPIN_LONG := 1
spin: $(READY) spin-installed ## every interleaving of claims, payments and refunds, at length (some twenty minutes, 7 GB)
	$(BIN)/pytest -q -s tests/properties/test_interleavings.py $(ARGS)

spin-installed:         ## the model checker Spin, and the compiler that it needs
	@command -v spin >/dev/null && command -v gcc >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Spin (once) …"; export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends spin gcc libc6-dev >/dev/null; \
	fi; \
	command -v spin >/dev/null || echo "No Spin: install it (Debian's package is named spin)" >&2

.PHONY: redis-installed
redis-installed:        ## the Redis that the tests share counts through
	@command -v redis-server >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Redis (once) …"; export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server >/dev/null; \
	fi; \
	command -v redis-server >/dev/null || echo "No Redis: install it (Debian's package is named redis-server)" >&2

.PHONY: fuzz
fuzz: export FUZZ_LONG := 1
fuzz: $(READY)          ## the API against its own document, with every role, at length; FUZZ_SEED=… repeats a run
	$(BIN)/pytest -q -s tests/fuzz $(ARGS)

.PHONY: fuzz-parsers
# atheris comes from a lock of its own, into the same environment: nothing else needs it.
fuzz-parsers: export FUZZ_SECONDS ?= 120
fuzz-parsers: $(READY)  ## the parsers of webhooks, guided by the lines that are reached
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r fuzz.lock
	PYTHONPATH=tests $(BIN)/python tests/fuzz/parsers.py

.PHONY: audit
# pip-audit comes from a lock of its own into an environment of its own: it needs other versions of what we lock.
# AUDIT_URL=… asks another service that speaks OSV's protocol.
audit: $(READY)         ## what is locked against the published vulnerabilities; needs osv.dev, and fails without
	@test -x $(VENV)/audit/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(VENV)/audit
	@$(BIN)/uv pip install --quiet --python $(VENV)/audit/bin/python --require-hashes -r audit.lock
	@$(BIN)/python tests/dependencies/audit.py

.PHONY: faults faketime-installed mutations
# What cannot be broken here fails; FAULTS_MAY_SKIP=1 does without it.
faults: export FAULTS_LONG := 1
faults: $(READY) faketime-installed ## buyers buy while processes die, lines break, clocks jump; some fifteen minutes
	$(BIN)/pytest -q -s tests/faults $(ARGS)

faketime-installed:     ## what tells the database another time
	@ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing libfaketime (once) …"; export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends libfaketime >/dev/null; \
	fi; \
	ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || echo "No libfaketime: install it (Debian's package has that name)" >&2

mutations: $(READY)     ## rules broken on purpose, one at a time: a test must notice each; some ten minutes
	$(BIN)/python tests/faults/mutations.py $(ARGS)

check: $(READY)         ## what must hold before a commit: format, lint, types, layers, tidiness, pure rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/pytest -q -n $(TEST_PROCESSES) tests/tidy tests/unit

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The catalogues hold no line numbers and no times: they would change with each line of code, and each run of this.
LOCALE := src/boxoffice/web/locale
texts: $(READY)         ## every text of the pages into the catalogues; what is new there wants translating
	@mkdir -p build
	$(BIN)/pybabel -q extract -F babel.cfg -k N_ --no-location --sort-output -o build/messages.pot src
	$(BIN)/pybabel -q update -i build/messages.pot -d $(LOCALE) -D messages --no-fuzzy-matching --ignore-obsolete --width 110
	@sed -i.old -E '/^"(POT-Creation-Date|PO-Revision-Date|Generated-By|Project-Id-Version|Report-Msgid-Bugs-To|Last-Translator)/d' \
		$(LOCALE)/*/LC_MESSAGES/messages.po && rm $(LOCALE)/*/LC_MESSAGES/messages.po.old

# The locks hold hashes and no address: any index, or a folder of wheels, can serve them.
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header
lock: $(READY)
	$(LOCK) --group dev pyproject.toml -o requirements.lock
	$(LOCK) --group bootstrap -o bootstrap.lock
	$(LOCK) --group fuzz -o fuzz.lock
	$(LOCK) --group audit -o audit.lock

clean:
	rm -rf $(VENV) build dist

$(READY): requirements.lock bootstrap.lock pyproject.toml
	@echo "Making the environment (once) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
