# cmdsched: build, install, test.  CONTRIBUTING.md says what is used daily.
# Variables: PG_CONFIG (which PostgreSQL), T (which test, see test/README.md),
# ROUNDS, SEED, COMMANDS and FAULTS (of make torture), SEED, CALLS and SECONDS
# (of make fuzz), SEED and CASES (of make differential).

EXTENSION = cmdsched cmdsched_pgtap
MODULE_big = cmdsched
DATA = $(wildcard sql/cmdsched*--*.sql)
HEADERS = $(wildcard src/cmdsched.h)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

# "make WERROR=" is for a compiler that warns of more than ours do.  The
# server's own headers have unused parameters; leaving the last fields of a
# struct zero is no mistake.
WERROR = -Werror
PG_CPPFLAGS = -I$(srcdir)/src -MMD -MP
PG_CFLAGS = -std=gnu11 -Wall -Wextra $(WERROR) \
	-Wno-unused-parameter -Wno-missing-field-initializers

# From 16 on PGXS hides all symbols but those marked PGDLLEXPORT.  The headers
# of 15 do not mark what must be seen, so there everything is.

# No bitcode: nothing here is worth inlining into compiled queries, and it
# would need clang.
override with_llvm = no

REGRESS = $(basename $(notdir $(sort $(wildcard test/sql/*.sql))))
ISOLATION = $(basename $(notdir $(sort $(wildcard test/isolation/specs/*.spec))))

# pg_regress of 15 wants expected/ beside sql/, later ones want it here: a
# folder of links serves both.  That of the isolation tests is beside specs/.
REGRESS_PREP = tmp_check/expected
REGRESS_OPTS = --inputdir=tmp_check --load-extension=cmdsched
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=cmdsched \
	$(if $(filter 15,$(MAJORVERSION)),,--expecteddir=test/isolation)

# The server that objects were built for, so that another one rebuilds them.
BUILT_FOR = .built-for
EXTRA_CLEAN = $(BUILT_FOR) $(OBJS:.o=.d)

ifndef PG_CONFIG
PG_CONFIG := $(or $(shell command -v pg_config),$(lastword $(wildcard /usr/lib/postgresql/*/bin/pg_config)))
endif

# These need no PostgreSQL to begin with, and PGXS has a "check" of its own:
# it is read for all other targets only.
OURS = test demo bench bench-peers torture fuzz differential valgrind coverage lint ready format check check-format check-layers check-symbols check-hardening check-version check-script

ifneq ($(filter $(OURS),$(MAKECMDGOALS)),)

.PHONY: $(MAKECMDGOALS)
.NOTPARALLEL:

test: ready
	@PG_CONFIG='$(PG_CONFIG)' test/run $(T)

demo: ready
	@PG_CONFIG='$(PG_CONFIG)' test/demo/run

bench: ready
	@PG_CONFIG='$(PG_CONFIG)' test/bench/run

bench-peers: ready
	@PG_CONFIG='$(PG_CONFIG)' test/bench/peers

# How long, which chance and how much: see test/torture/run.
torture: ready
	@PG_CONFIG='$(PG_CONFIG)' test/torture/run '$(or $(ROUNDS),100)' '$(SEED)' '$(COMMANDS)' $(FAULTS)

# See test/fuzz/README.md.
fuzz: ready
	@PG_CONFIG='$(PG_CONFIG)' test/fuzz/run '$(SEED)' '$(CALLS)' '$(SECONDS)'

# See test/differential/README.md.
differential: ready
	@PG_CONFIG='$(PG_CONFIG)' test/differential/run '$(or $(SEED),1)' '$(or $(CASES),200000)'

valgrind: ready
	@PG_CONFIG='$(PG_CONFIG)' test/valgrind $(T)

coverage:
	@PG_CONFIG='$(PG_CONFIG)' test/coverage $(T)

lint:
	@PG_CONFIG='$(PG_CONFIG)' test/lint

# Everything installed that these need, cmdsched included.
ready:
	@PG_CONFIG='$(PG_CONFIG)' bash -euo pipefail -c '. test/server.sh; install_missing; build_and_install'

format:
	@test/check reformat

check check-symbols check-hardening:
	@$(MAKE) -s all
	@test/check $(filter symbols hardening,$(@:check-%=%))

check-format check-layers check-version check-script:
	@test/check $(@:check-%=%)

# Targets of PGXS that are asked for in the same breath.
$(filter-out $(OURS),$(MAKECMDGOALS)):
	@$(MAKE) --no-print-directory $@

else

PGXS := $(if $(PG_CONFIG),$(shell $(PG_CONFIG) --pgxs))
ifeq ($(wildcard $(PGXS)),)
$(error PostgreSQL's files for building extensions were not found: install postgresql-server-dev-NN, or set PG_CONFIG)
endif
include $(PGXS)

$(shell echo '$(VERSION) $(includedir_server)' | cmp -s - $(BUILT_FOR) || echo '$(VERSION) $(includedir_server)' >$(BUILT_FOR))
$(OBJS): Makefile $(BUILT_FOR)
-include $(OBJS:.o=.d)

tmp_check/expected:
	mkdir -p tmp_check
	ln -sfn ../test/sql tmp_check/sql
	ln -sfn ../expected tmp_check/expected

endif
