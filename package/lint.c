/* lint.c - see lint.h. */
#include "package/lint.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/hashbang.h"
#include "common/mem.h"

static bool ends_in(const char *path, const char *suffix)
{
    const size_t n = strlen(path), k = strlen(suffix);
    return n > k && strcmp(path + n - k, suffix) == 0;
}

static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- Names */

/* What no file of another system may be called, with or without a suffix. */
static bool is_device_name(const char *name, size_t n)
{
    static const char *const devices[] = {"con",  "prn",  "aux",  "nul",  "com1",
                                          "com2", "com3", "com4", "lpt1", "lpt2"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (strlen(devices[i]) == n && strncasecmp(devices[i], name, n) == 0)
            return true;
    return false;
}

/* Why a part of a path is not a portable name; NULL: it is portable. */
static const char *name_trouble(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] >= 128)
            return "letters beyond ASCII have two spellings";
        if (strchr("\\:*?\"<>|", name[i]))
            return "it has one of \\ : * ? \" < > |";
        if (name[i] == ' ')
            return "it has a space";
    }
    if (*name == '-')
        return "programs take a name that begins with - for an option";
    if (name[n - 1] == '.')
        return "it ends with a dot";
    return is_device_name(name, strcspn(name, "./") < n ? strcspn(name, "./") : n)
               ? "other systems use it for a device"
               : NULL;
}

static void check_name(const char *folder, const char *path, struct problems *ps)
{
    for (const char *at = path; *at;) {
        const size_t n = strcspn(at, "/");
        const char *why = name_trouble(at, n);
        if (why) {
            problems_add(ps, true, "%s/%s: the name '%.*s' is not portable: %s", folder, path,
                         (int)n, at, why);
            return;
        }
        at += n + (at[n] == '/');
    }
}

/* ---- Scripts */

static bool needs_path(const struct manifest *m, const char *program)
{
    for (size_t i = 0; i < m->n_needs; i++) {
        const char *colon = strchr(m->needs[i], ':'), *what = colon ? colon + 1 : "";
        if (strncmp(m->needs[i], "path:", 5) == 0 && strcmp(what, program) == 0)
            return true;
        if (strncmp(m->needs[i], "command:", 8) == 0 && strcmp(base(what), base(program)) == 0)
            return true;
    }
    return false;
}

static void check_interpreter(const char *path, const char *interpreter, const struct manifest *m,
                              struct problems *ps)
{
    static const char *const everywhere[] = {"sh", "env", "awk", "sed", NULL};
    for (size_t i = 0; everywhere[i]; i++)
        if (strcmp(base(interpreter), everywhere[i]) == 0)
            return;
    if (*interpreter != '/')
        problems_add(ps, true, "%s:1: the interpreter '%s' must be an absolute path", path,
                     interpreter);
    else if (strcmp(m->subsystem, "python") != 0 && !needs_path(m, interpreter))
        problems_add(ps, true,
                     "%s:1: its interpreter '%s' is no need of the package; add: "
                     "needs: [{command: %s}]",
                     path, interpreter, interpreter);
}

/* The first line that ends with CR LF. */
static void check_line_ends(const char *path, struct span text, bool hashbang, struct problems *ps)
{
    unsigned line = 1;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] == '\r' && text.p[i + 1] == '\n') {
            if (line > 1 || !hashbang) /* that one is reported in its own words */
                problems_add(ps, true, "%s:%u: this line ends with CR LF; save it with LF alone",
                             path, line);
            return;
        }
        line += text.p[i] == '\n';
    }
}

static bool is_shell(const char *interpreter)
{
    const char *name = base(interpreter);
    return strcmp(name, "sh") == 0 || strcmp(name, "bash") == 0 || strcmp(name, "dash") == 0 ||
           strcmp(name, "ksh") == 0;
}

static void check_script(const char *path, struct span text, const struct manifest_file *f,
                         const struct manifest *m, struct problems *ps)
{
    char interpreter[HASHBANG_BYTES];
    const bool entry = strcmp(f->path, m->entry) == 0, exec = strcmp(m->subsystem, "exec") == 0;
    const enum hashbang line = hashbang_read(text, interpreter);
    const bool has = line == HASHBANG_LINE || line == HASHBANG_CR;
    const bool shell = (has && is_shell(interpreter)) || ends_in(f->path, ".sh") ||
                       (entry && strcmp(m->subsystem, "shell") == 0);
    if (line == HASHBANG_CR && !(entry && exec)) /* scan.c says it of that one */
        problems_add(ps, true,
                     "%s:1: the #! line ends with CR LF, so its interpreter '%s' will not be "
                     "found; save it with LF alone",
                     path, interpreter);
    if (has && !f->executable && !entry)
        problems_add(ps, true, "%s:1: it has a #! line and is not executable; run: chmod +x %s",
                     path, path);
    if (line == HASHBANG_LINE && (exec || !entry))
        check_interpreter(path, interpreter, m, ps);
    if (shell)
        lint_shell(path, text, m, ps);
    if (has || shell || entry)
        check_line_ends(path, text, has, ps);
}

void lint_folder(const char *folder, const struct manifest *m, struct problems *problems)
{
    for (size_t i = 0; i < m->n_files; i++) {
        const struct manifest_file *f = &m->files[i];
        struct buf text = {0};
        check_name(folder, f->path, problems);
        if (f->link || f->size > LINT_FILE_BYTES_MAX)
            continue;
        char *path = mem_printf("%s/%s", folder, f->path);
        if (file_read(path, LINT_FILE_BYTES_MAX, &text, NULL) == 0 &&
            (text.n == 0 || !memchr(text.p, 0, text.n)))
            check_script(path, buf_span(&text), f, m, problems);
        buf_free(&text);
        mem_free(&path);
    }
}
