/* sqlerror_test.c - which line says why sqlite3 or psql stopped. */
#include "common/testing.h"

#include "runner/sqlerror.h"

static void the_line_with_the_error_is_the_last(void **state)
{
    (void)state;
    static const struct {
        const char *tail, *ends;
    } rows[] = {
        {"psql:a.sql:1: NOTICE:  x\npsql:a.sql:3: ERROR:  relation \"t\" does not exist\n"
         "LINE 1: SELECT * FROM t;\n                      ^\n",
         "relation \"t\" does not exist"},
        {"Parse error near line 5: no such table: t\n  SELECT * FROM t;\n      ^--- error here\n",
         "no such table: t"},
        {"Runtime error near line 2: UNIQUE constraint failed: t.x (19)", "t.x (19)"},
        {"psql: error: connection to server failed: refused\n\tIs it running?\n", "refused"},
        {"nothing of that kind\nhere\n", "here\n"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct span s = sqlerror_tail(span_str(rows[i].tail));
        const size_t n = strlen(rows[i].ends);
        if (s.n < n || memcmp(s.p + s.n - n, rows[i].ends, n) != 0)
            fail_msg("row %zu ends '" SPAN_FMT "'", i, SPAN_ARG(s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_with_the_error_is_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
