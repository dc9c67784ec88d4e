#include "common/hashbang.h"
#include "common/testing.h"

static void the_line_names_the_interpreter(void **state)
{
    (void)state;
    static const struct {
        const char *head, *interpreter;
        enum hashbang is;
    } cases[] = {
        {"#!/bin/sh\necho", "/bin/sh", HASHBANG_LINE},
        {"#! /usr/bin/env python3\n", "/usr/bin/env", HASHBANG_LINE},
        {"#!/bin/sh", "/bin/sh", HASHBANG_LINE},
        {"#!/bin/sh\r\necho\r\n", "/bin/sh", HASHBANG_CR},
        {"#!/bin/sh -eu\r\n", "/bin/sh", HASHBANG_CR},
        {"echo hello\n", "", HASHBANG_NONE},
        {"#!\n", "", HASHBANG_NONE},
        {"\x7f"
         "ELF\x02",
         "", HASHBANG_PROGRAM},
        {"", "", HASHBANG_EMPTY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char interpreter[HASHBANG_BYTES];
        assert_int_equal(hashbang_read(span_str(cases[i].head), interpreter), cases[i].is);
        assert_string_equal(interpreter, cases[i].interpreter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_line_names_the_interpreter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
