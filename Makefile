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

ifneq ($(SAN),)
B := $(B)/san-$(subst $(comma),-,$(SAN))
endif
comma := ,

PKGS_net     := libczmq libzmq
PKGS_store   := sqlite3
PKGS         := libczmq libzmq libsodium sqlite3 yaml-0.1 libarchive libzstd jansson libsystemd libseccomp
CPPFLAGS += -I. -D_GNU_SOURCE -DLB_VERSION='"$(VERSION)"' -D_FORTIFY_SOURCE=2
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror \
            -fstack-protector-strong -fstack-clash-protection -fPIE -fno-omit-frame-pointer
LDFLAGS  += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifneq ($(SAN),)
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
CFLAGS   += -fsanitize=$(SAN) -fno-sanitize-recover=all -O1
LDFLAGS  += -fsanitize=$(SAN)
endif
