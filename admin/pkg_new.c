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
#include "trust/secret.h"

static const struct option_row rows[] = {
    {"kind", 'k', OPTION_STR, "shell", 0, 0, false, "KIND", "how it is run: exec, shell or python"},
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
    "%s"
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

static const struct skeleton {
    const char *name, *entry;
    mode_t mode;
} kinds[] = {{"exec", "bin/main", 0755}, {"shell", "main.sh", 0644}, {"python", "main.py", 0644}};

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

/* A package is no secret: its folders get the mode that this user's umask gives. */
static int make(const char *folder, const char *name, const struct skeleton *k, struct error *err)
{
    char *yaml = mem_printf(manifest, name, k->name, k->entry);
    char *entry =
        strcmp(k->name, "python") == 0
            ? mem_strdup(python_entry)
            : mem_printf(shell_entry, strcmp(k->name, "exec") == 0
                                          ? "#!/bin/sh -eu\n# Any program can stand here.\n"
                                          : "set -eu\n");
    mode_t private = umask(secret_umask());
    int rc = put(folder, PACKAGE_YAML, yaml, 0644, err);
    if (rc == 0)
        rc = put(folder, k->entry, entry, k->mode, err);
    umask(private);
    mem_free(&yaml);
    mem_free(&entry);
    return rc;
}

static const struct skeleton *find_kind(const char *word, struct error *err)
{
    static const char *const names[] = {"exec", "shell", "python", NULL};
    char hint[SUGGEST_TEXT];
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i].name, word) == 0)
            return &kinds[i];
    error_set(err, -EINVAL, "--kind is exec, shell or python, not '%.40s'%s", word,
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
        term_say(stderr, "Made %s/%s and %s/%s. Next: lbpkg build %s\n", folder, PACKAGE_YAML,
                 folder, k->entry, folder);
        rc = EXIT_DONE;
    }
    options_free(&v);
    return rc;
}
