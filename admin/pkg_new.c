/* pkg_new.c - lbpkg new: makes a small package that runs and shows every exchange between Longboat
   and a child. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/pkg.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/suggest.h"
#include "common/termout.h"
#include "package/casefile.h"
#include "trust/secret.h"

static const struct option_row rows[] = {
    {"kind", 'k', OPTION_STR, "shell", 0, 0, false, "KIND",
     "how it is run: exec, shell, python, sql or ssis"},
    {"into", 0, OPTION_STR, NULL, 0, 0, false, "FOLDER",
     "the folder to make; default: the package's name"},
};

static const char examples[] = "  lbpkg new extract --kind python       then: lbpkg build extract\n"
                               "  lbpkg new publish --into packages/publish\n";

static const char manifest[] =
    "name: %s\n"
    "version: 0.1.0\n"
    "description: Says hello to somebody, slowly\n"
    "subsystem: %s\n"
    "entry: %s\n"
    "# Parameters are in the environment ($LB_PARAM_whom) and in a JSON file ($LB_PARAMETERS).\n"
    "parameters:\n"
    "  whom:  {type: string, default: world}\n"
    "  count: {type: int, default: 3, min: 1, max: 100}\n"
    "outputs:\n"
    "  greetings: {type: int}       # written as greetings=3 to $LB_OUTPUTS\n"
    "needs: []                      # what a server must have: path, command, tcp, env, disk_free\n"
    "limits: {timeout: 5m}\n"
    "exit_codes: {0: succeeded}     # all others: failed\n"
    "# idempotent: true             # if it may be run again when its server is lost\n";

static const char shell_entry[] =
    "# Parameters are in the environment; never put them into a command without quotes.\n"
    "i=0\n"
    "while [ \"$i\" -lt \"$LB_PARAM_count\" ]; do\n"
    "    i=$((i + 1))\n"
    "    echo \"Hello, $LB_PARAM_whom ($i of $LB_PARAM_count, run $LB_RUN, attempt $LB_ATTEMPT)\"\n"
    "    echo \"$((i * 100 / LB_PARAM_count)) greeting $LB_PARAM_whom\" >\"$LB_PROGRESS\"\n"
    "done\n"
    "# What later steps and tasks can use:\n"
    "echo \"greetings=$i\" >>\"$LB_OUTPUTS\"\n"
    "# The verdict that people read; without it the exit code decides:\n"
    "echo \"succeeded $i greetings were said\" >\"$LB_RESULT\"\n";

static const char python_entry[] =
    "\"\"\"Parameters are a JSON file; outputs, progress and verdict are files to write.\"\"\"\n"
    "import json\n"
    "import os\n"
    "\n"
    "with open(os.environ[\"LB_PARAMETERS\"]) as f:\n"
    "    parameters = json.load(f)\n"
    "\n"
    "for i in range(1, parameters[\"count\"] + 1):\n"
    "    print(f\"Hello, {parameters['whom']} ({i} of {parameters['count']})\", flush=True)\n"
    "    with open(os.environ[\"LB_PROGRESS\"], \"w\") as f:\n"
    "        f.write(f\"{i * 100 // parameters['count']} greeting {parameters['whom']}\\n\")\n"
    "\n"
    "with open(os.environ[\"LB_OUTPUTS\"], \"a\") as f:  # what later steps and tasks can use\n"
    "    f.write(json.dumps({\"greetings\": parameters[\"count\"]}) + \"\\n\")\n"
    "# The verdict that people read; without it the exit code decides.\n"
    "with open(os.environ[\"LB_RESULT\"], \"w\") as f:\n"
    "    f.write(f\"succeeded {parameters['count']} greetings were said\\n\")\n";

static const char cases[] =
    "# lbpkg test runs these; lbpkg test --help says what may stand here.\n"
    "cases:\n"
    "  - name: greets the world\n"
    "    expect: {message: 3 greetings were said, outputs: {greetings: 3}}\n"
    "  - name: greets somebody once\n"
    "    parameters: {whom: anna, count: 1}\n"
    "    expect: {exit_code: 0, outputs: {greetings: 1}, output_has: \"Hello, anna\"}\n"
    "  - name: greets nobody too often\n"
    "    parameters: {count: 101}\n"
    "    expect: {outcome: refused}\n";

/* ---- sql: no server is needed to begin with; the rows come from the script itself. */

static const char sql_manifest[] =
    "name: %s\n"
    "version: 0.1.0\n"
    "description: Counts the orders of a shop\n"
    "subsystem: %s\n"
    "entry: %s\n"
    "parameters:\n"
    "  # sqlite:PATH, postgresql://... or what else libpq knows; without it the proxy's\n"
    "  # SQL_DATABASE counts.\n"
    "  database: {type: string, default: \"sqlite::memory:\"}\n"
    "  shop:     {type: string, default: north}\n"
    "outputs:\n"
    "  orders: {type: int}\n"
    "needs: [{command: sqlite3}]    # or psql\n"
    "limits: {timeout: 5m}\n";

static const char sql_entry[] =
    "-- Parameters are bound, never pasted: :shop is a value, whatever it contains.\n"
    "CREATE TEMP TABLE orders (shop TEXT, amount REAL);\n"
    "INSERT INTO orders VALUES ('north', 12.5), ('north', 7.25), ('south', 40);\n"
    "-- What later steps and tasks can use:\n"
    "SELECT writefile(:lb_outputs, 'orders=' || count(*)) FROM orders WHERE shop = :shop;\n";

static const char sql_cases[] =
    "# lbpkg test runs these; lbpkg test --help says what may stand here.\n"
    "cases:\n"
    "  - name: two orders in the north\n"
    "    needs_command: sqlite3\n"
    "    expect: {outputs: {orders: 2}}\n"
    "  - name: a name is a value and no statement\n"
    "    needs_command: sqlite3\n"
    "    parameters: {shop: \"x'; DROP TABLE orders; --\"}\n"
    "    expect: {outputs: {orders: 0}}\n";

/* ---- ssis: the entry names a package of the catalogue, since a *.dtsx comes from its designer. */

static const char ssis_manifest[] =
    "name: %s\n"
    "version: 0.1.0\n"
    "description: Runs a package of SQL Server Integration Services\n"
    "subsystem: %s\n"
    "# A file *.dtsx of this folder, or one whose text is \\SSISDB\\FOLDER\\PROJECT\\NAME.dtsx.\n"
    "entry: %s\n"
    "# Each becomes /Par $Package::NAME(TYPE);VALUE: the names are those of the SSIS package.\n"
    "parameters:\n"
    "  day: {type: date, default: \"{{as_of}}\"}\n"
    "limits: {timeout: 1h}\n";

static const char ssis_entry[] = "\\SSISDB\\folder\\project\\package.dtsx\n";

static const char ssis_cases[] =
    "# lbpkg test runs these; lbpkg test --help says what may stand here.\n"
    "cases:\n"
    "  - name: the package succeeds\n"
    "    needs_command: dtexec\n"
    "    parameters: {day: 2026-11-21}\n"
    "    timeout: 10m\n"
    "    expect: {exit_code: 0}\n";

static const char exec_head[] = "#!/bin/sh -eu\n# Any program can stand here.\n";

static const struct skeleton {
    const char *name, *entry;
    mode_t mode;
    const char *head, *text, *manifest, *cases;
} kinds[] = {
    {"exec", "bin/main", 0755, exec_head, shell_entry, manifest, cases},
    {"shell", "main.sh", 0644, "set -eu\n", shell_entry, manifest, cases},
    {"python", "main.py", 0644, "", python_entry, manifest, cases},
    {"sql", "main.sql", 0644, "", sql_entry, sql_manifest, sql_cases},
    {"ssis", "package.txt", 0644, "", ssis_entry, ssis_manifest, ssis_cases},
};

static int put(const char *folder, const char *name, const char *text, mode_t mode,
               struct error *err)
{
    char *path = mem_printf("%s/%s", folder, name), *slash = strrchr(path, '/');
    *slash = 0;
    int rc = file_make_dirs(path, 0777, err);
    *slash = '/';
    if (rc == 0)
        rc = file_write_atomic(path, span_str(text), mode, err);
    mem_free(&path);
    return rc;
}

/* The text's three %s become name, subsystem and entry. */
static void add_manifest(struct buf *out, const char *name, const struct skeleton *k)
{
    const char *const words[] = {name, k->name, k->entry};
    const char *at = k->manifest, *gap;
    for (size_t i = 0; i < COUNT_OF(words) && (gap = strstr(at, "%s")); i++, at = gap + 2) {
        buf_add(out, at, (size_t)(gap - at));
        buf_add_str(out, words[i]);
    }
    buf_add_str(out, at);
}

/* A package is no secret: its folders get the mode that this user's umask gives. */
static int make(const char *folder, const char *name, const struct skeleton *k, struct error *err)
{
    struct buf yaml = {0};
    char *entry = mem_printf("%s%s", k->head, k->text);
    add_manifest(&yaml, name, k);
    mode_t private = umask(secret_umask());
    int rc = put(folder, PACKAGE_YAML, buf_str(&yaml), 0644, err);
    if (rc == 0)
        rc = put(folder, k->entry, entry, k->mode, err);
    if (rc == 0)
        rc = put(folder, CASEFILE_NAME, k->cases, 0644, err);
    umask(private);
    buf_free(&yaml);
    mem_free(&entry);
    return rc;
}

static const struct skeleton *find_kind(const char *word, struct error *err)
{
    static const char *const names[] = {"exec", "shell", "python", "sql", "ssis", NULL};
    char hint[SUGGEST_TEXT];
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i].name, word) == 0)
            return &kinds[i];
    error_set(err, -EINVAL, "--kind is exec, shell, python, sql or ssis, not '%.40s'%s", word,
              suggest_hint(word, names, hint));
    return NULL;
}

int pkg_new(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "NAME [--kind KIND]", examples, 1,
                              1, &v, &first);
    if (rc >= 0)
        return rc;
    const char *name = argv[first], *folder = opt_str(&v, "into") ? opt_str(&v, "into") : name;
    const struct skeleton *k = find_kind(opt_str(&v, "kind"), &err);
    struct stat st;
    rc = EXIT_ASKED_WRONGLY;
    if (!k || name_check_name("the name of a package", span_str(name), &err) < 0)
        pkg_fail(argv, rc, &err);
    else if (lstat(folder, &st) == 0)
        term_say(stderr, "%s: '%s' exists; remove it or choose another folder with --into\n",
                 argv[0], folder);
    else if (make(folder, name, k, &err) < 0)
        rc = pkg_fail(argv, EXIT_RAN_AND_FAILED, &err);
    else {
        term_say(stderr, "Made %s/: %s, %s and %s. Next: lbpkg test %s; lbpkg build %s\n", folder,
                 PACKAGE_YAML, k->entry, CASEFILE_NAME, folder, folder);
        rc = EXIT_DONE;
    }
    options_free(&v);
    return rc;
}
