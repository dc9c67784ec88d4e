#!/bin/sh
# A text file as a C header, whose array has the name of the file: schema.sql becomes schema_sql[].
# usage: tools/embed.sh FILE
set -eu
name=$(basename "$1" | tr -c 'a-zA-Z0-9\n' _)
printf '/* From %s; changes belong there. */\nstatic const char %s[] =\n' "$1" "$name"
sed 's/[\\"]/\\&/g; s/.*/    "&\\n"/; $s/$/;/' "$1"
