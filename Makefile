# Longboat: `make` builds everything into build/; `make help` lists the rest.
#
# One rule for all rooms: every room/*.c becomes part of build/lib<room>.a, every program is named
# below with its main file and its room, every room/*_test.c becomes a test program linked with its
# room and the floors below. tests/lint/floors has the rooms and what each may use.

B       ?= build
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=
HOMES   ?= /srv/longboat
SAN     ?=
VERSION := 0.2.0

comma := ,
colon := :
hash  := \#
ifneq ($(SAN),)
override B := $(B)/san-$(subst $(comma),-,$(SAN))
endif

# All processors, unless -j says otherwise. Several goals are made one after the other.
ifeq ($(MAKELEVEL)$(word 2,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

# ---- Flags. CPPFLAGS, CFLAGS and LDFLAGS are the packager's or the developer's: they come last, so
# that they win. For a build with others use another folder: make B=build/debug CFLAGS='-O0 -g'
CFLAGS ?= -O2 -g
WERROR ?=
PKGS   := libczmq libzmq libsodium sqlite3 yaml-0.1 libarchive libzstd jansson libsystemd libseccomp

# Fortified, unless the flags choose a level themselves, or do not optimize: glibc warns of that.
ifeq ($(SAN)$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),)
ifneq ($(filter -O1 -O2 -O3 -Os -Oz -Ofast,$(CFLAGS)),)
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
endif
HOUSE_CPPFLAGS := -I. -I$(B) -D_GNU_SOURCE -DLB_VERSION='"$(VERSION)"' $(FORTIFY) \
  $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
HOUSE_CFLAGS := -std=gnu11 -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
  -fstack-protector-strong -fstack-clash-protection -fPIE -fno-omit-frame-pointer
HOUSE_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifneq ($(SAN),)
SAN_CFLAGS  := -fsanitize=$(SAN) -fno-sanitize-recover=all -O1
SAN_LDFLAGS := -fsanitize=$(SAN)
# libzmq hands messages from its thread to ours with atomics of its own, which a library that is not
# instrumented does not show: each use of such a message would be called a race. And the end of each
# process need not wait a second for reports.
export TSAN_OPTIONS ?= ignore_noninstrumented_modules=1:atexit_sleep_ms=20
else ifeq ($(WERROR),1)
# CI's. Instrumented code makes gcc warn of what cannot happen; the plain build has to be clean.
HOUSE_CFLAGS += -Werror
endif

COMPILE = $(CC) $(HOUSE_CPPFLAGS) $(CPPFLAGS) $(HOUSE_CFLAGS) $(CFLAGS) $(SAN_CFLAGS)
LINK    = $(CC) $(HOUSE_CFLAGS) $(CFLAGS) $(SAN_CFLAGS) $(HOUSE_LDFLAGS) $(LDFLAGS) $(SAN_LDFLAGS)

# One short line for each file; V=1: the whole command instead; -s: nothing.
ifeq ($(V),1)
say =
else
say = @$(if $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),,echo '$(1) $(2)';)
endif

# ---- Rooms: tests/lint/floors, whose rows stand above those that use them.
NO_ROOMS := tests/system tests/fuzz tests/lint tests/bench tests/soak tests/hostile
FLOORS := $(shell sed 's/ *$(hash).*//; /^$$/d; s/  */:/; s/  */,/g' tests/lint/floors)
floor_room = $(firstword $(subst $(colon), ,$(1)))
floor_uses = $(filter-out *,$(subst $(comma), ,$(word 2,$(subst $(colon), ,$(1)))))
define FLOOR
ROOMS_$(1) := $(sort $(1) $(foreach r,$(2),$(ROOMS_$(r))))
endef
$(foreach f,$(FLOORS),$(eval $(call FLOOR,$(call floor_room,$(f)),$(call floor_uses,$(f)))))
ALL_ROOMS := $(foreach r,$(filter-out $(NO_ROOMS),$(foreach f,$(FLOORS),$(call floor_room,$(f)))), \
  $(if $(wildcard $(r)/*.c),$(r)))

# ---- Programs: main file, room
PROGRAMS := lbbroker:broker lbworker:worker lbrunner:runner lbunpack:runner/unpack \
  lbparse:runner/parse lbtmp:runner/tmp lbsubmit:parent lbmon:monitor lbctl:admin lbpkg:admin
program_name = $(firstword $(subst $(colon), ,$(1)))
program_room = $(lastword $(subst $(colon), ,$(1)))
BINARIES := $(foreach p,$(PROGRAMS),$(B)/bin/$(call program_name,$(p)))
MAINS := $(foreach p,$(PROGRAMS),$(call program_room,$(p))/$(call program_name,$(p)).c) \
  tests/sim/sim_main.c

# Libraries of the distribution, by the room that needs them; the linker takes those that are used.
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm
LIBS_RUNNER := $(shell pkg-config --libs libsodium libseccomp 2>/dev/null)
libs_of = $(if $(filter runner runner/tmp,$(1)),$(LIBS_RUNNER),$(LIBS))

# What a room's tests share, and those of the rooms above it use, lies in test*.c, *testing.c and
# *fixture.c; it goes into an archive of its own, which no program is linked with.
all_sources   = $(filter-out %_test.c $(MAINS),$(wildcard $(1)/*.c))
test_sources  = $(sort $(filter-out %_test.c, \
  $(wildcard $(1)/test*.c $(1)/*testing.c $(1)/*fixture.c)))
room_sources  = $(filter-out $(call test_sources,$(1)),$(call all_sources,$(1)))
room_archive  = $(B)/lib$(subst /,-,$(1)).a
test_archive  = $(B)/lib$(subst /,-,$(1))-testing.a
objects_of    = $(patsubst %.c,$(B)/obj/%.o,$(1))
archives_of   = $(foreach r,$(ROOMS_$(1)),$(if $(call room_sources,$(r)),$(call room_archive,$(r))))
testing_of    = $(foreach r,$(ROOMS_$(1)),$(if $(call test_sources,$(r)),$(call test_archive,$(r))))

.PHONY: all
all: $(BINARIES)

# A room's *.sql is C for those who #include "gen/ROOM/NAME_sql.h": static const char NAME_sql[].
GENERATED := $(patsubst %.sql,$(B)/gen/%_sql.h,$(wildcard $(addsuffix /*.sql,$(ALL_ROOMS))))
$(GENERATED): $(B)/gen/%_sql.h: %.sql tools/embed.sh
	@mkdir -p $(@D)
	$(call say,GEN,$@)tools/embed.sh $< >$@.part && mv $@.part $@

$(B)/obj/%.o: %.c | needs-libraries $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -MMD -MP -c -o $@ $<

# Says which package is missing instead of a page of compiler errors.
.PHONY: needs-libraries
needs-libraries:
	@pkg-config --exists $(PKGS) 2>/dev/null && test -e /usr/include/uthash.h || \
	  { echo "make: libraries are missing; run: make deps" >&2; exit 1; }

# archive TARGET-ROOM: what a room's archives are made of.
make_archive = $(call say,AR,$@)rm -f $@ && $(AR) qcs $@ $^
link_archives = -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

define ROOM
$(call room_archive,$(1)): $(call objects_of,$(call room_sources,$(1)))
	@mkdir -p $$(@D)
	$$(make_archive)
$(call test_archive,$(1)): $(call objects_of,$(call test_sources,$(1)))
	@mkdir -p $$(@D)
	$$(make_archive)
TESTS_$(1) := $(patsubst %.c,$(B)/test/%,$(wildcard $(1)/*_test.c))
$$(TESTS_$(1)): $(B)/test/%: $(B)/obj/%.o $(call archives_of,$(1)) $(call testing_of,$(1))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)$$(LINK) -o $$@ $$< $$(link_archives) $$(LIBS) -lcmocka
endef
$(foreach r,$(ALL_ROOMS),$(eval $(call ROOM,$(r))))

define PROGRAM
$(B)/bin/$(1): $(B)/obj/$(2)/$(1).o $(call archives_of,$(2))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)$$(LINK) -o $$@ $$< $$(link_archives) $(call libs_of,$(2))
endef
$(foreach p,$(PROGRAMS),$(eval $(call PROGRAM,$(call program_name,$(p)),$(call program_room,$(p)))))

# These two look at the programs themselves.
$(B)/test/broker/lbbroker_test: | $(B)/bin/lbbroker
$(B)/test/runner/lbrunner_test: | $(B)/bin/lbrunner
# A runner looks for them beside its own program.
$(addprefix $(B)/test/runner/,lbparse lbtmp): $(B)/test/runner/%: $(B)/bin/%
	@mkdir -p $(@D)
	@ln -sf ../../bin/$* $@
$(patsubst %,$(B)/test/runner/%_test,compiled context proxies): | $(B)/test/runner/lbparse
$(B)/test/runner/sandbox_test: | $(B)/test/runner/lbtmp

# ---- Tests. `make unit ROOMS="common proto"` runs those rooms' unit tests only.
ROOMS ?= $(ALL_ROOMS)
.PHONY: unit
unit: $(foreach r,$(ROOMS),$(TESTS_$(r)))
	@tests/unit.sh $(B) $(foreach r,$(ROOMS),$(TESTS_$(r)))

# ---- What people type
.PHONY: help
help:
	@echo "make            build everything into $(B)/; V=1 shows the commands"
	@echo "make demo       the whole job on this machine: three servers, packages, a nightly"
	@echo "                load (installs what it needs)"
	@echo "make demo-stop  end the demo's cluster"
	@echo "make check      all tests (installs what it needs); with a sanitizer:"
	@echo "                SAN=address,undefined or SAN=thread"
	@echo "make unit ROOMS=\"common proto\"   unit tests of some rooms"
	@echo "make sim        the simulator over 1,000 seeds; tests/sim/run SEED replays one with"
	@echo "                its trace, tests/sim/run --shrink SEED looks for a small world that"
	@echo "                breaks the same law"
	@echo "make campaign MINUTES=30   the simulator over other seeds each time, on all"
	@echo "                processors (FROM=S: from seed S)"
	@echo "make mutants    bugs put into the cores one by one; the simulator must find each by"
	@echo "                the law that it breaks"
	@echo "make system     tests with real processes; some: SYSTEM=\"calls.bats jobs.bats\""
	@echo "make faults     every write, sync and allocation of a broker's life with its store"
	@echo "                fails, the power goes at every boundary: none left out (check"
	@echo "                samples the long lives)"
	@echo "make soak MINUTES=30 SEED=7   a cluster under load while its processes are killed;"
	@echo "                what is lost or run twice is counted; HOSTILE=1: a hostile holder of"
	@echo "                each role's key attacks beside it"
	@echo "make kills JOBS=10000 SEED=7   small jobs while workers, runners and keepers are"
	@echo "                killed; what is left over of them is counted"
	@echo "make hostile MINUTES=30   hostile holders of keys, and what others notice of them"
	@echo "make check-vm   cgroups and Landlock in a guest of QEMU with Debian's kernel"
	@echo "make bench      figures, as ratios within one run; ONLY=waiting: what"
	@echo "                1,000,000 calls that wait cost; ONLY=followers: what seeing costs"
	@echo "make fuzz       fuzz targets for a minute each (SECONDS_EACH=60)"
	@echo "make walls      the rules of the house; make lint: format and analysis, too"
	@echo "make compile_commands      compile_commands.json for editors"
	@echo "make deps       install what building needs"
	@echo "make install DESTDIR= PREFIX=/usr/local HOMES=/srv/longboat"
	@echo "CC=clang, CFLAGS, CPPFLAGS, LDFLAGS are respected; WERROR=1: warnings are errors"

.PHONY: deps
deps:
	@tools/deps.sh build

# The recursion matters on a bare machine: what pkg-config says is asked when make reads this file,
# so after installing it has to be read again.
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
	@tests/check.sh "$(MAKE)" "$(SAN)"

.PHONY: test-programs
test-programs: all $(foreach r,$(ALL_ROOMS),$(TESTS_$(r))) $(B)/test/sim

$(B)/test/sim: $(B)/obj/tests/sim/sim_main.o $(call archives_of,tests/sim)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(LINK) -o $@ $< $(link_archives) $(LIBS)

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

# check samples where all would take too long; this leaves none out: every write, sync and
# allocation of every life fails once, the power goes at every boundary.
FAULTS := $(patsubst %,$(B)/test/broker/store/%_test,memory iofaults powercut upkeep)
.PHONY: faults faults-all
faults:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory faults-all
faults-all: $(FAULTS)
	@LB_EVERY=1 tests/unit.sh -v $(B) $(FAULTS)

.PHONY: system
# With a sanitizer, those that ask for no memory ceiling, no demo and no installation of their own,
# and none is repeated: what a sanitizer has found once is there.
SYSTEM ?= $(if $(SAN),adoption.bats backup.bats broker.bats calls.bats faults.bats jobs.bats \
  joining.bats packages.bats plans.bats python.bats seeing.bats wire.bats)
system: all soak-child
	@LB_BIN="$$(cd $(B)/bin && pwd)" LB_ONCE=$(if $(SAN),1) tests/system/run.sh $(SYSTEM)

# The walls need no tools but python3, git and binutils, so CI holds them, too; lint adds format and
# static analysis.
.PHONY: lint walls walls-all
walls:
	@tools/deps.sh build test walls
	@$(MAKE) --no-print-directory walls-all
walls-all: test-programs
	@tests/lint/lint.py $(B)
	@tools/protocol_tables.py --check && tools/protocol_vectors.py --check && \
	  tools/protocol_schema.py --check && \
	  echo "lint: PROTOCOL.md, schema.json and vectors.json say what the code does"
	@tools/docs_tables.py --check && \
	  echo "lint: docs/states.md and docs/files.md say what the code does"
	@tests/lint/links.py
	@tests/mutants/run.sh --check
lint:
	@tools/deps.sh build test walls lint
	@$(MAKE) --no-print-directory walls-all
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run -Werror && \
	  echo "lint: format is clean"
	@git ls-files '*.c' | grep -v _test.c | xargs cppcheck --quiet --std=c11 \
	  --enable=warning,performance,portability --error-exitcode=1 --library=posix \
	  --library=sqlite3 --library=tests/lint/cppcheck.cfg \
	  --suppressions-list=tests/lint/cppcheck \
	  -I. -I$(B) -j$$(nproc) && echo "lint: cppcheck is clean"
	@B=$(B) tests/lint/tidy.sh && echo "lint: clang-tidy is clean"

# What only a kernel of one's own can show: cgroup controllers and Landlock, in a guest of QEMU.
.PHONY: check-vm check-vm-all
check-vm:
	@tools/deps.sh build test vm
	@$(MAKE) --no-print-directory check-vm-all
check-vm-all: $(patsubst %,$(B)/test/runner/%_test,sandbox cgroup landlock syscalls)
	@tests/vm/run.sh $(B)

.PHONY: fuzz
SECONDS_EACH ?= 60
fuzz:
	@tools/deps.sh build fuzz
	@tests/fuzz/run.sh $(B)/fuzz $(SECONDS_EACH)

.PHONY: bench bench-programs
bench:
	@tools/deps.sh build bench
	@$(MAKE) --no-print-directory bench-programs
	@tests/bench/run.sh $(B) "$(ONLY)"
bench-programs: all $(patsubst %.c,$(B)/bench/%,$(notdir $(wildcard tests/bench/*.c)))

.PRECIOUS: $(B)/obj/tests/bench/%.o
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(call archives_of,admin)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(LINK) -o $@ $< $(link_archives) $(LIBS)

# MINUTES may be a fraction; the seed is printed.
.PHONY: soak soak-child
MINUTES ?= 5
soak:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory all soak-child
	@LB_HOSTILE=$(HOSTILE) LB_ORDINARY=$(ORDINARY) tests/soak/run.sh $(B) "$(MINUTES)" $(SEED)

# The seed is printed.
.PHONY: kills
JOBS ?= 1000
kills:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory all
	@tests/soak/kills.sh $(B) "$(JOBS)" $(SEED)

# With SAN=address,undefined the broker is a sanitized one. EACH=5: each attack alone, for so many
# seconds. ORDINARY=1: the attackers have ordinary priority.
.PHONY: hostile
hostile:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory all
	@LB_EACH=$(EACH) LB_ORDINARY=$(ORDINARY) tests/hostile/run.sh $(B) "$(MINUTES)" $(SEED)

soak-child: $(B)/soak/child
$(B)/soak/child: $(B)/obj/tests/soak/child.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(LINK) -o $@ $<

# What an editor asks for each file: how is it compiled?
.PHONY: compile_commands
compile_commands: $(GENERATED)
	@git ls-files '*.c' | tools/compile_commands.py $(COMPILE) >compile_commands.json
	@echo "compile_commands.json is written"

# The client library: liblongboat is the rooms that a client needs in one archive. Files of two
# rooms may have one name, so members are appended, never replaced.
CLIENT_ROOMS := client package net trust proto common
$(B)/liblongboat.a: $(foreach r,$(CLIENT_ROOMS),$(call objects_of,$(call room_sources,$(r))))
	@mkdir -p $(@D)
	$(make_archive)

# Of the headers those that longboat.h needs. HOMES: the folder below which the units' programs have
# their files.
.PHONY: install
ROOT = $(DESTDIR)$(PREFIX)
install: all $(B)/liblongboat.a
	install -d "$(ROOT)/bin" "$(ROOT)/share/doc/longboat" "$(ROOT)/lib/systemd/system" \
	  "$(ROOT)/lib/pkgconfig"
	install -m 755 $(BINARIES) "$(ROOT)/bin/"
	install -m 644 README.md CHANGELOG.md HACKING.md LICENSE "$(ROOT)/share/doc/longboat/"
	install -D -m 644 -t "$(ROOT)/share/doc/longboat/docs" docs/*.md
	install -D -m 644 -t "$(ROOT)/share/doc/longboat/proto" proto/PROTOCOL.md \
	  proto/schema.json proto/vectors.json
	install -m 644 $(B)/liblongboat.a "$(ROOT)/lib/"
	for header in $$($(COMPILE) -MM client/longboat.h | tr ' \\' '\n\n' | grep '\.h$$'); do \
	  install -D -m 644 $$header "$(ROOT)/include/longboat/$$header" || exit 1; done
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' client/longboat.pc.in \
	  >"$(ROOT)/lib/pkgconfig/longboat.pc"
	install -D -m 644 -t "$(ROOT)/share/longboat/python" client/python/longboat*.py
	install -D -m 644 -t "$(ROOT)/share/longboat/schema" docs/schema/*.json
	ln -sfn ../../../longboat/schema "$(ROOT)/share/doc/longboat/docs/schema"
	for unit in lbbroker lbworker lbrunner lbworker-separated; do \
	  to="$(ROOT)/lib/systemd/system/$$unit.service" && \
	  sed 's|/usr/local/|$(PREFIX)/|g; s|/srv/longboat/|$(HOMES)/|g' \
	    deploy/systemd/$$unit.service >"$$to" && \
	  chmod 644 "$$to" || exit 1; done

.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
