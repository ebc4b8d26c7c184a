# SPDX-License-Identifier: Apache-2.0
# ackfs: `make help` lists the targets.  CFLAGS, LDFLAGS, PREFIX and DESTDIR
# belong to the user; PROFILE picks flags and the build directory.

PROFILE ?= release
B := build/$(PROFILE)

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
MANDIR     ?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
COMPDIR    ?= $(PREFIX)/share/bash-completion/completions
DOCDIR     ?= $(PREFIX)/share/doc/ackfs
# mount(8) looks for its helpers in /sbin alone.
MOUNTDIR   ?= /sbin

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)

STD  := -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=312 \
        -Isrc -DACKFS_VERSION='"$(VERSION)"'
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef \
        -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 \
        -Wnull-dereference -Wimplicit-fallthrough -Wconversion \
        -Wno-sign-conversion -fno-common
ifeq ($(WERROR),1)
WARN += -Werror
endif
ifeq ($(shell uname -m),x86_64)
CF := -fcf-protection
endif

OPT_release := -O2 -g -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
               -fstack-clash-protection -fPIE $(CF)
LNK_release := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
OPT_debug   := -O0 -g3 -fPIE -DACK_DEBUG -DACK_FAILPOINTS
LNK_debug   := -pie
OPT_asan    := -O1 -g -fPIE -fsanitize=address,undefined \
               -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
               -DACK_DEBUG -DACK_FAILPOINTS
LNK_asan    := -pie -fsanitize=address,undefined
OPT_tsan    := -O1 -g -fPIE -fsanitize=thread -DACK_DEBUG -DACK_FAILPOINTS
LNK_tsan    := -pie -fsanitize=thread
OPT_cov     := -O0 -g -fPIE --coverage -DACK_DEBUG -DACK_FAILPOINTS
LNK_cov     := -pie --coverage
# libFuzzer's main is in the fuzz targets alone: make fuzz.
OPT_fuzz    := -O1 -g -fPIE -fsanitize=fuzzer-no-link,address,undefined \
               -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DACK_DEBUG
LNK_fuzz    := -pie -fsanitize=fuzzer,address,undefined
ifeq ($(OPT_$(PROFILE)),)
$(error PROFILE=$(PROFILE) is none of release debug asan tsan cov fuzz)
endif

PKGS     := libcurl openssl inih expat jansson sqlite3 liblzma
PKGS_CFLAGS := $(shell pkg-config --cflags fuse3 libmicrohttpd cmocka $(PKGS) 2>/dev/null)
LIBS     := $(shell pkg-config --libs $(PKGS)) -lpthread
FUSELIBS := $(shell pkg-config --libs fuse3)
MHDLIBS  := $(shell pkg-config --libs libmicrohttpd)

# uthash: report failed allocations; its default hash function has unmarked
# fall-throughs, which clang warns of.
UTHASH   := -DHASH_NONFATAL_OOM -DHASH_FUNCTION=HASH_FNV

ALL_CFLAGS  = $(STD) $(WARN) $(OPT_$(PROFILE)) $(PKGS_CFLAGS) $(UTHASH) \
              -pthread -MMD -MP $(CFLAGS)
ALL_LDFLAGS = $(LNK_$(PROFILE)) -pthread $(LDFLAGS)

ifeq ($(V),1)
Q :=
say := @:
else ifneq ($(findstring s,$(firstword -$(MAKEFLAGS))),)
Q := @
say := @:
else
Q := @
say := @printf '  %-8s%s\n'
endif

# One archive for each part that links alone: the emulator and the receiver
# share util with the daemon and nothing else.
DAEMON_DIRS := config http oss callback state upload download fs ctl daemon
lib_util     := $(wildcard src/util/*.c)
lib_ackfs    := $(foreach d,$(DAEMON_DIRS),$(wildcard src/$(d)/*.c))
lib_emulator := $(filter-out src/emulator/main.c,$(wildcard src/emulator/*.c))
lib_receiver := $(filter-out src/receiver/main.c,$(wildcard src/receiver/*.c))
lib_test     := $(wildcard tests/support/*.c)
obj = $(patsubst %.c,$(B)/%.o,$(1))

PROGRAMS := $(addprefix $(B)/,ackfs ackctl ackfs-emulator ackfs-receiver)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNITS    := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
# Small programs that the mount tests and the benchmarks run.
TOOL_SRC := $(wildcard tests/tools/*.c)
TOOLS    := $(patsubst tests/tools/%.c,$(B)/tools/%,$(TOOL_SRC))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
REPLAYS  := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))

.PHONY: all check check-unit check-mount unit tools demo bench install uninstall \
        lint print-flags format format-check asan tsan fuzz fuzz-replay crash callbacks deb clean help FORCE
.DELETE_ON_ERROR:

all: $(PROGRAMS)

help:
	@echo 'make [PROFILE=release|debug|asan|tsan|cov] [WERROR=1] [V=1] TARGET'
	@echo '  all            the four programs, in build/PROFILE (default)'
	@echo '  check          every test: scripts/check'
	@echo '  check-unit     unit tests;  check-mount  tests at a real mount'
	@echo '  asan, tsan     the programs with sanitizers'
	@echo '  demo, bench    scripts/demo, scripts/bench'
	@echo '  crash          the crash harness: 200 rounds, failpoints, faults'
	@echo '  callbacks      10,000 files, callbacks that fail, an application that is down'
	@echo '  fuzz           libFuzzer targets (clang), FUZZ_SECONDS each'
	@echo '  lint, format   static analysis; clang-format in place'
	@echo '  install        to DESTDIR, below PREFIX;  uninstall takes it away'
	@echo '  deb            a Debian package;  clean  removes build/'

# The flags are a prerequisite of each object, so that other flags rebuild.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(filter-out -DACKFS_VERSION=%,$(ALL_CFLAGS)) | $(ALL_LDFLAGS))' | cmp -s - $@ || \
	 printf '%s\n' '$(subst ','\'',$(CC) $(filter-out -DACKFS_VERSION=%,$(ALL_CFLAGS)) | $(ALL_LDFLAGS))' > $@
$(B)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(call obj,src/util/version.c): $(B)/version

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

define archive
$(B)/lib$(1).a: $(call obj,$(lib_$(1))) $(B)/src.list
	$$(say) AR $$@
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach l,util ackfs emulator receiver test,$(eval $(call archive,$(l))))
# A file that was added or removed makes the archives anew.
$(B)/src.list: FORCE
	@mkdir -p $(@D)
	@echo '$(lib_util) $(lib_ackfs) $(lib_emulator) $(lib_receiver) $(lib_test)' | cmp -s - $@ || \
	 echo '$(lib_util) $(lib_ackfs) $(lib_emulator) $(lib_receiver) $(lib_test)' > $@

LINK = $(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^)

$(B)/ackfs: $(B)/src/ackfs.o $(B)/libackfs.a $(B)/libutil.a
	$(say) LINK $@
	$(LINK) $(FUSELIBS) $(LIBS)
$(B)/ackctl: $(B)/src/ackctl.o $(B)/libackfs.a $(B)/libutil.a
	$(say) LINK $@
	$(LINK) $(LIBS)
$(B)/ackfs-emulator: $(B)/src/emulator/main.o $(B)/libemulator.a $(B)/libutil.a
	$(say) LINK $@
	$(LINK) $(MHDLIBS) $(LIBS)
$(B)/ackfs-receiver: $(B)/src/receiver/main.o $(B)/libreceiver.a $(B)/libutil.a
	$(say) LINK $@
	$(LINK) $(MHDLIBS) $(LIBS)

# test_emulator_X and test_receiver_X link the program they are about, every
# other test the daemon's layers: none can lean on the other side's code.
$(B)/unit/test_emulator%: $(B)/tests/unit/test_emulator%.o $(B)/libtest.a $(B)/libemulator.a $(B)/libutil.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(LINK) $(MHDLIBS) $(LIBS) -lcmocka
$(B)/unit/test_receiver%: $(B)/tests/unit/test_receiver%.o $(B)/libtest.a $(B)/libreceiver.a $(B)/libutil.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(LINK) $(MHDLIBS) $(LIBS) -lcmocka
$(B)/unit/%: $(B)/tests/unit/%.o $(B)/libtest.a $(B)/libackfs.a $(B)/libutil.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(LINK) $(FUSELIBS) $(LIBS) -lcmocka
$(B)/tools/%: $(B)/tests/tools/%.o $(B)/libackfs.a $(B)/libutil.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(LINK) $(FUSELIBS) $(LIBS)
# With the files of tests/fuzz/corpus as inputs, unless libFuzzer makes them.
ifneq ($(PROFILE),fuzz)
REPLAY := $(B)/tests/fuzz/replay.o
endif
$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(REPLAY) $(B)/libackfs.a $(B)/libutil.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(LINK) $(LIBS)

unit: $(UNITS)
tools: $(TOOLS)
fuzz-replay: $(REPLAYS)

check:
	scripts/check
check-unit: $(UNITS)
	scripts/check --unit
check-mount: all tools
	scripts/check --mount
demo:
	scripts/demo
bench:
	scripts/bench
asan tsan:
	$(MAKE) PROFILE=$@ all unit tools
crash: all
	$(MAKE) PROFILE=debug all
	scripts/crash --rounds 200 --seed 1
	scripts/crash --rounds 120 --seed 1 --failpoints --every
	scripts/crash --rounds 4 --seed 1 --faults --files 500

callbacks: all
	ACKFS_FILES=10000 bats tests/mount/many-callbacks.bats

FUZZ_SECONDS ?= 60
# What is found stays in build/corpus; a failing input in build/fuzz_NAME-*.
fuzz:
	$(MAKE) PROFILE=fuzz CC=clang fuzz-replay
	for f in $(patsubst tests/fuzz/%.c,%,$(FUZZ_SRC)); do \
	    mkdir -p build/corpus/$$f && \
	    build/fuzz/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=16384 \
	        -artifact_prefix=build/$$f- -print_final_stats=1 \
	        build/corpus/$$f tests/fuzz/corpus/$$f || exit 1; \
	done

lint:
	scripts/lint
print-flags: # for the tools of scripts/lint
	@echo '$(filter-out -DACKFS_VERSION=%,$(STD)) -DACKFS_VERSION="" $(PKGS_CFLAGS) $(UTHASH) -DACK_DEBUG -DACK_FAILPOINTS'
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
format-check:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 \
	    $(DESTDIR)$(SYSCONFDIR)/ackfs $(DESTDIR)$(UNITDIR) $(DESTDIR)$(COMPDIR) $(DESTDIR)$(DOCDIR) $(DESTDIR)$(MOUNTDIR)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(BINDIR)
	ln -sf $(BINDIR)/ackfs $(DESTDIR)$(MOUNTDIR)/mount.fuse.ackfs
	install -m 755 etc/umount.fuse.ackfs $(DESTDIR)$(MOUNTDIR)/umount.fuse.ackfs
	install -m 644 etc/man/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 etc/man/*.5 $(DESTDIR)$(MANDIR)/man5
	test -e $(DESTDIR)$(SYSCONFDIR)/ackfs/ackfs.conf || \
	    install -m 640 etc/ackfs.conf $(DESTDIR)$(SYSCONFDIR)/ackfs/ackfs.conf
	install -m 644 etc/systemd/*.service etc/systemd/*.timer $(DESTDIR)$(UNITDIR)
	install -m 644 etc/systemd/examples/* $(DESTDIR)$(DOCDIR)
	install -m 644 etc/completion/ackfs $(DESTDIR)$(COMPDIR)/ackfs
	for p in ackctl ackfs-emulator ackfs-receiver; do ln -sf ackfs $(DESTDIR)$(COMPDIR)/$$p; done
	install -m 644 README.md LICENSE etc/ackfs.conf $(DESTDIR)$(DOCDIR)

uninstall:
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,$(notdir $(PROGRAMS)))
	rm -f $(DESTDIR)$(MOUNTDIR)/mount.fuse.ackfs $(DESTDIR)$(MOUNTDIR)/umount.fuse.ackfs
	rm -f $(patsubst etc/man/%,$(DESTDIR)$(MANDIR)/man1/%,$(wildcard etc/man/*.1)) \
	    $(patsubst etc/man/%,$(DESTDIR)$(MANDIR)/man5/%,$(wildcard etc/man/*.5)) \
	    $(patsubst etc/systemd/%,$(DESTDIR)$(UNITDIR)/%,$(wildcard etc/systemd/*.service etc/systemd/*.timer)) \
	    $(addprefix $(DESTDIR)$(COMPDIR)/,$(notdir $(PROGRAMS)))
	rm -rf $(DESTDIR)$(DOCDIR)
	@echo 'kept: $(DESTDIR)$(SYSCONFDIR)/ackfs (your configuration)'

deb:
	scripts/mkdeb
clean:
	rm -rf build

.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
