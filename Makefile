# Longboat: `make` builds everything into build/; `make help` lists the rest.
#
# One rule for all rooms: every room/*.c becomes part of build/lib<room>.a, every program is named below with its main
# file and the rooms it may use, every room/*_test.c becomes a test program linked with its room and the floors below.

B       ?= build
CC      ?= gcc
PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
VERSION := 0.1.0

comma := ,
ifneq ($(SAN),)
override B := $(B)/san-$(subst $(comma),-,$(SAN))
endif

PKGS         := libczmq libzmq libsodium sqlite3 yaml-0.1 libarchive libzstd jansson libsystemd libseccomp
CPPFLAGS += -I. -D_GNU_SOURCE -DLB_VERSION='"$(VERSION)"' -D_FORTIFY_SOURCE=2
CFLAGS   ?= -O2 -g
Q        ?= @
CFLAGS   += -std=gnu11 -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror \
            -fstack-protector-strong -fstack-clash-protection -fPIE -fno-omit-frame-pointer
LDFLAGS  += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifneq ($(SAN),)
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
# Instrumented code makes gcc warn of what cannot happen; the plain build is the one that has to be clean.
CFLAGS   += -fsanitize=$(SAN) -fno-sanitize-recover=all -O1 -Wno-error
LDFLAGS  += -fsanitize=$(SAN)
# libzmq hands messages from its thread to ours with atomics of its own, which a library that is not instrumented does not
# show: each use of such a message would be called a race. And the end of each process need not wait a second for reports.
export TSAN_OPTIONS ?= ignore_noninstrumented_modules=1:atexit_sleep_ms=20
endif

# ---- Rooms: lib<room> and what it may use (the floors; make lint holds the includes against tests/lint/floors)
ROOMS_common := common
ROOMS_proto  := proto $(ROOMS_common)
ROOMS_trust  := trust $(ROOMS_proto)
ROOMS_net    := net $(ROOMS_trust)
ROOMS_package := package $(ROOMS_trust)
ROOMS_client := client package net $(ROOMS_trust)
ROOMS_broker/core   := broker/core $(ROOMS_trust)
ROOMS_broker/store  := broker/store broker/core $(ROOMS_trust)
ROOMS_broker/shell  := broker/shell broker/store broker/core net $(ROOMS_trust)
ROOMS_broker/events := broker/events $(ROOMS_broker/shell)
ROOMS_broker/depot  := broker/depot $(ROOMS_broker/shell)
ROOMS_broker/logs   := broker/logs $(ROOMS_broker/shell)
ROOMS_broker/query  := broker/query broker/logs broker/depot broker/events $(ROOMS_broker/shell)
ROOMS_broker        := broker $(ROOMS_broker/query)
ROOMS_worker/core   := worker/core $(ROOMS_trust)
ROOMS_worker        := worker worker/core client package net $(ROOMS_trust)
ROOMS_runner        := runner $(ROOMS_trust)
ROOMS_runner/unpack := runner/unpack package $(ROOMS_trust)
ROOMS_parent/plan   := parent/plan parent/core package $(ROOMS_trust)
ROOMS_parent/core   := parent/core $(ROOMS_trust)
ROOMS_parent/report := parent/report parent/core $(ROOMS_trust)
ROOMS_parent        := parent parent/report parent/plan parent/core client package net $(ROOMS_trust)
ROOMS_monitor       := monitor client package net $(ROOMS_trust)
ROOMS_admin         := admin client package net $(ROOMS_trust)
ROOMS_tests/sim     := tests/sim broker/core worker/core parent/core net $(ROOMS_trust)
ROOMS_tests/conform := tests/sim broker/store $(ROOMS_tests/sim)
ALL_ROOMS := common proto trust net package client broker/core broker/store broker/shell broker/events \
             broker/depot broker/logs broker/query broker worker/core worker runner \
             runner/unpack parent/core parent/plan parent/report parent monitor admin tests/sim tests/conform

# ---- Programs: main file, room
PROGRAMS := $(foreach p,lbbroker:broker lbworker:worker lbrunner:runner lbunpack:runner/unpack lbsubmit:parent \
              lbmon:monitor lbctl:admin lbpkg:admin,$(if $(wildcard $(lastword $(subst :, ,$(p)))/$(firstword $(subst :, ,$(p))).c),$(p)))
MAINS := lbbroker.c lbworker.c lbrunner.c lbunpack.c lbsubmit.c lbmon.c lbctl.c lbpkg.c sim_main.c

# Libraries of the distribution, by the room that needs them; the linker takes those that are used (--as-needed).
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm
LIBS_RUNNER := $(shell pkg-config --libs libsodium libseccomp 2>/dev/null)
libs_of = $(if $(filter runner,$(1)),$(LIBS_RUNNER),$(LIBS))
CPPFLAGS += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)

room_sources = $(filter-out %_test.c $(addprefix $(1)/,$(MAINS)),$(wildcard $(1)/*.c))
room_archive = $(B)/lib$(subst /,-,$(1)).a
archives_of  = $(foreach r,$(ROOMS_$(1)),$(if $(call room_sources,$(r)),$(call room_archive,$(r))))

.PHONY: all
all: $(foreach p,$(PROGRAMS),$(B)/bin/$(firstword $(subst :, ,$(p))))

$(B)/obj/%.o: %.c | needs-libraries
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Says which package is missing instead of a page of compiler errors.
.PHONY: needs-libraries
needs-libraries:
	@pkg-config --exists $(PKGS) 2>/dev/null && test -e /usr/include/uthash.h || \
	  { echo "make: libraries are missing; run: make deps" >&2; exit 1; }

define ROOM
$(call room_archive,$(1)): $(patsubst %.c,$(B)/obj/%.o,$(call room_sources,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
TESTS_$(1) := $(patsubst %.c,$(B)/test/%,$(wildcard $(1)/*_test.c))
$$(TESTS_$(1)): $(B)/test/%: $(B)/obj/%.o $(call archives_of,$(1))
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LIBS) -lcmocka
endef
$(foreach r,$(ALL_ROOMS),$(eval $(call ROOM,$(r))))

define PROGRAM
$(B)/bin/$(1): $(B)/obj/$(2)/$(1).o $(call archives_of,$(2))
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(call libs_of,$(2))
endef
$(foreach p,$(PROGRAMS),$(eval $(call PROGRAM,$(firstword $(subst :, ,$(p))),$(lastword $(subst :, ,$(p))))))

# These two look at the programs themselves.
$(B)/test/broker/lbbroker_test: | $(B)/bin/lbbroker
$(B)/test/runner/lbrunner_test: | $(B)/bin/lbrunner

# ---- Tests. `make unit ROOMS="common proto"` runs those rooms' unit tests only.
ROOMS ?= $(ALL_ROOMS)
.PHONY: unit
unit: $(foreach r,$(ROOMS),$(TESTS_$(r)))
	@tests/unit.sh $(B) $(foreach r,$(ROOMS),$(TESTS_$(r)))

# ---- What people type
.PHONY: help
help:
	@echo "make            build everything into $(B)/"
	@echo "make demo       the whole job on this machine: three servers, packages, a nightly load (installs what it needs)"
	@echo "make demo-stop  end the demo's cluster"
	@echo "make check      all tests (installs what it needs); SAN=address,undefined or SAN=thread with a sanitizer"
	@echo "make unit ROOMS=\"common proto\"   unit tests of some rooms"
	@echo "make sim        the simulator over 1,000 seeds; tests/sim/run SEED replays one with its trace,"
	@echo "                tests/sim/run --shrink SEED looks for a small world that breaks the same law"
	@echo "make campaign MINUTES=30   the simulator over other seeds each time, on all processors (FROM=S: from seed S)"
	@echo "make mutants    bugs put into the cores one by one; the simulator must find each by the law that it breaks"
	@echo "make system     tests with real processes"
	@echo "make faults     every write, sync and allocation of a broker's life with its store fails, the power goes at every"
	@echo "                boundary: none left out (check samples the long lives)"
	@echo "make soak MINUTES=30 SEED=7   a cluster under load while its processes are killed; what is lost or run twice is counted"
	@echo "make bench      figures, as ratios within one run; ONLY=waiting: what 1,000,000 calls that wait cost"
	@echo "make fuzz       fuzz targets for a minute each (SECONDS_EACH=60)"
	@echo "make lint       walls of the house, format, static analysis"
	@echo "make deps       install libraries and tools from the distribution"
	@echo "make install DESTDIR= PREFIX=/usr/local"

.PHONY: deps
deps:
	@tools/deps.sh build test demo lint

# The recursion matters on a bare machine: what pkg-config says is asked when make reads this file, so after installing
# it has to be read again.
.PHONY: demo demo-stop
demo:
	@tools/deps.sh build demo
	@$(MAKE) --no-print-directory all
	@examples/nightly-load/demo.sh $(B)/bin
demo-stop:
	@examples/nightly-load/stop.sh

.PHONY: check check-all
check:
	@tools/deps.sh build test demo
	@$(MAKE) --no-print-directory check-all
check-all:
	@tests/check.sh "$(MAKE)" "$(B)" "$(SAN)"

.PHONY: test-programs
test-programs: all $(foreach r,$(ALL_ROOMS),$(TESTS_$(r))) $(B)/test/sim

$(B)/test/sim: $(B)/obj/tests/sim/sim_main.o $(call archives_of,tests/sim)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

.PHONY: sim
SEEDS ?= 1000
sim: $(B)/test/sim
	@$(B)/test/sim --seeds $(SEEDS)

.PHONY: campaign
MINUTES ?= 10
campaign: $(B)/test/sim
	@$(B)/test/sim --minutes $(MINUTES) $(if $(FROM),--from $(FROM))

# Not part of check: see docs/promises.md. ONLY="cancel 17": those whose names contain one of these.
.PHONY: mutants
mutants:
	@tools/deps.sh build
	@MAKE="$(MAKE)" SEEDS=$(SEEDS) tests/mutants/run.sh $(ONLY)

# check samples where all would take too long; this leaves none out: every write, sync and allocation of every life fails
# once, the power goes at every boundary.
FAULTS := $(patsubst %,$(B)/test/broker/store/%_test,memory iofaults powercut upkeep)
.PHONY: faults
faults:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory -s $(FAULTS)
	@LB_EVERY=1 tests/unit.sh -v $(B) $(FAULTS)

.PHONY: system
# With a sanitizer, those that ask for no memory ceiling, no demo and no installation of their own.
SYSTEM ?= $(if $(SAN),adoption.bats backup.bats broker.bats calls.bats faults.bats jobs.bats joining.bats packages.bats plans.bats \
            python.bats seeing.bats wire.bats)
system: all soak-child
	@LB_BIN="$(abspath $(B)/bin)" tests/system/run.sh $(SYSTEM)

# The walls need no tools but python3 and binutils, so CI holds them, too; lint adds format and static analysis.
.PHONY: lint walls
walls:
	@$(MAKE) --no-print-directory test-programs
	@tests/lint/lint.py $(B)
	@tools/protocol_tables.py --check && tools/protocol_vectors.py --check && echo "lint: PROTOCOL.md says what the code does"
	@tools/docs_tables.py --check && echo "lint: docs/states.md and docs/files.md say what the code does"
	@tests/lint/links.py
	@tests/mutants/run.sh --check
lint: walls
	@tools/deps.sh build test lint
	@clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h') && echo "lint: format is clean"
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --error-exitcode=1 --library=posix \
	  --library=sqlite3 --library=tests/lint/cppcheck.cfg --suppressions-list=tests/lint/cppcheck -I. -j2 \
	  $$(git ls-files '*.c' | grep -v _test.c) && echo "lint: cppcheck is clean"
	@tests/lint/tidy.sh && echo "lint: clang-tidy is clean"

.PHONY: fuzz
SECONDS_EACH ?= 60
fuzz:
	@tools/deps.sh build fuzz
	@tests/fuzz/run.sh $(B)/fuzz $(SECONDS_EACH)

.PHONY: bench
bench:
	@tools/deps.sh build bench
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
	@tests/bench/run.sh $(B) "$(ONLY)"

.PRECIOUS: $(B)/obj/tests/bench/%.o
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(call archives_of,admin)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# MINUTES may be a fraction; the seed is printed.
.PHONY: soak soak-child
MINUTES ?= 5
soak:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory all soak-child
	@tests/soak/run.sh $(B) "$(MINUTES)" $(SEED)

soak-child: $(B)/soak/child
$(B)/soak/child: $(B)/obj/tests/soak/child.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<

# The client library: liblongboat is the rooms that a client needs in one archive.
CLIENT_ROOMS := client package net trust proto common
$(B)/liblongboat.a: $(foreach r,$(CLIENT_ROOMS),$(call room_archive,$(r)))
	@rm -f $@
	$(Q)for a in $^; do echo "addlib $$a"; done | sed '1i create $@' | sed '$$a save' | $(AR) -M

# Of the headers those that longboat.h needs.
.PHONY: install
install: all $(B)/liblongboat.a
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/longboat \
	  $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 755 $(B)/bin/* $(DESTDIR)$(PREFIX)/bin/
	install -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/longboat/
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/longboat/docs docs/*.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/longboat/proto proto/PROTOCOL.md
	install -m 644 $(B)/liblongboat.a $(DESTDIR)$(PREFIX)/lib/
	for header in $$($(CC) $(CPPFLAGS) -MM client/longboat.h | tr ' \\' '\n\n' | grep '\.h$$'); do \
	  install -D -m 644 $$header $(DESTDIR)$(PREFIX)/include/longboat/$$header || exit 1; done
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' client/longboat.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/longboat.pc
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/longboat/python client/python/longboat.py
	for unit in lbbroker lbworker; do \
	  sed 's|/usr/local/|$(PREFIX)/|g' deploy/systemd/$$unit.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service && \
	  chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service || exit 1; done

.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
