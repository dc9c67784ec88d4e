/* ctl_doctorhome.c - what lbctl doctor finds on this machine: homes, keys, limits, disk. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "admin/ctl_doctor.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/paths.h"
#include "common/size.h"
#include "common/yaml.h"
#include "trust/rotation.h"
#include "trust/secret.h"

enum { DISK_BAD_MIB = 64, DISK_WARN_MIB = 512, FILES_MIN = 1024 };

static char *path_in(const char *folder, const char *name)
{
    return mem_printf("%s/%s", folder, name);
}

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* Can it be read by its owner alone? False: it is not there. */
static bool check_private(struct doctor *d, const char *path)
{
    struct error err = {0};
    if (!is_there(path))
        return false;
    char *remedy = mem_printf("chmod 400 %s", path);
    if (file_check_private(path, &err) < 0)
        doctor_say(d, DOCTOR_BAD, "key_mode", "", remedy, "%s", err.text);
    else
        doctor_say(d, DOCTOR_OK, "key_mode", path, "", "only its owner can read it");
    mem_free(&remedy);
    return true;
}

static void check_writable(struct doctor *d, const char *path)
{
    struct stat st;
    char *remedy = mem_printf("chmod go-w %s", path);
    if (stat(path, &st) == 0 && (st.st_mode & 022))
        doctor_say(d, DOCTOR_BAD, "file_mode", path, remedy,
                   "others can write it, and so decide whom you trust");
    mem_free(&remedy);
}

static void check_disk(struct doctor *d, const char *path)
{
    struct statvfs st;
    char text[SIZE_TEXT];
    if (statvfs(path, &st) < 0)
        return;
    const uint64_t left = (uint64_t)st.f_bavail * st.f_frsize, mib = 1 << 20;
    enum doctor_severity s = left < DISK_BAD_MIB * mib    ? DOCTOR_BAD
                             : left < DISK_WARN_MIB * mib ? DOCTOR_WARN
                                                          : DOCTOR_OK;
    doctor_say(d, s, "disk", path, s == DOCTOR_OK ? "" : "make room on this file system",
               "%s are free", size_format((int64_t)left, text));
}

static void check_limits(struct doctor *d)
{
    struct rlimit r;
    if (d->known && !secret_is_locked())
        doctor_say(d, DOCTOR_WARN, "locked_memory", "",
                   "raise ulimit -l (LimitMEMLOCK= of a unit) to 256 KiB or more",
                   "your key cannot be locked in memory and may be written to swap");
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_max < FILES_MIN)
        doctor_say(d, DOCTOR_WARN, "open_files", "", "raise ulimit -Hn to 1024 or more",
                   "a program may open only %llu files", (unsigned long long)r.rlim_max);
}

/* An administrator's key is worth the cluster; those of programs cannot ask anybody. */
static void check_passphrase(struct doctor *d, const char *path)
{
    struct hash unused;
    int locked = key_file_is_locked(path, &unused, NULL);
    bool signs = anchors_have(&d->who.anchors, &d->who.key.sign);
    if (locked < 0)
        return;
    if (locked || !signs)
        doctor_say(d, DOCTOR_OK, "passphrase", path, "",
                   locked ? "encrypted with a passphrase"
                          : "not encrypted, which is usual for a key that signs no certificates");
    else
        doctor_say(d, DOCTOR_WARN, "passphrase", path, "lbctl key passphrase",
                   "an administrator's key without a passphrase: whoever reads this file owns the "
                   "cluster");
}

/* While servers are upgraded this is right, and easily forgotten afterwards. */
static void check_unsigned(struct doctor *d, const char *folder)
{
    if (!d->who.accept_unsigned)
        return;
    char *file = path_in(folder, "client.yaml");
    doctor_say(d, DOCTOR_WARN, "unsigned_results", file,
               "take the line unsigned_results: accept out when all servers are new",
               "results that no server has signed are believed: a captured broker can invent one");
    mem_free(&file);
}

static void check_identity(struct doctor *d, const char *folder)
{
    struct error err = {0};
    char *remedy;
    if (client_config_load(&d->who, folder, &err) < 0) {
        doctor_say(d, DOCTOR_BAD, "identity", folder, "", "%s", err.text);
        return;
    }
    d->known = true;
    doctor_say(d, DOCTOR_OK, "identity", folder, "", "%s '%s' of cluster %s",
               role_word(d->who.me.role), d->who.me.name, d->who.me.cluster);
    check_unsigned(d, folder);
    remedy = mem_printf("an administrator: lbctl certificates renew %s", d->who.me.name);
    doctor_expiry(d, d->who.me.name, d->who.me.not_after, remedy);
    mem_free(&remedy);
    doctor_expiry(d, d->who.broker.name, d->who.broker.not_after,
                  "a new key and certificate for the broker: lbbroker rotate");
}

void doctor_home(struct doctor *d)
{
    struct paths paths;
    struct error err = {0};
    if (paths_resolve(&paths, &err) < 0) {
        doctor_say(d, DOCTOR_BAD, "home", "", "", "%s", err.text);
        return;
    }
    char *sign = path_in(paths.config, SIGN_KEY_FILE), *seal = path_in(paths.config, SEAL_KEY_FILE),
         *builder = path_in(paths.config, "keys/builder.key"),
         *broker = path_in(paths.config, "keys/broker.key"),
         *next = path_in(paths.config, SIGN_KEY_FILE ROTATION_NEXT),
         *administrators = path_in(paths.config, ADMINISTRATORS_FILE);
    bool here = check_private(d, sign);
    check_private(d, seal);
    check_private(d, builder);
    check_writable(d, paths.config);
    check_writable(d, administrators);
    check_identity(d, paths.config);
    if (d->known)
        check_passphrase(d, sign);
    if (here && is_there(broker))
        doctor_say(d, DOCTOR_BAD, "broker_key", broker,
                   "move the broker's files to a home of their own, on its machine",
                   "the broker's key lies beside yours: who breaks into it can be you");
    if (is_there(next))
        doctor_say(d, DOCTOR_NOTE, "rotation", next,
                   "lbctl certificates rotate says what to do; remove the file to give up",
                   "a new key is waiting for its certificate");
    check_limits(d);
    check_disk(d, paths.config);
    mem_free(&sign);
    mem_free(&seal);
    mem_free(&builder);
    mem_free(&broker);
    mem_free(&next);
    mem_free(&administrators);
}

/* ---- A broker's home */

static void check_broker_certificate(struct doctor *d, const char *etc, const char *key)
{
    char *path = path_in(etc, BROKER_FILE);
    struct buf bytes = {0};
    struct certificate c = {0};
    struct key k = {0};
    struct error err = {0};
    int rc = file_read(path, LIMIT_CERTIFICATE, &bytes, &err);
    if (rc == 0 && d->known)
        rc = certificate_verify(buf_span(&bytes), &d->who.anchors, clock_wall_ms(), &c, NULL, &err);
    if (rc == 0)
        rc = key_load(key, &k, &err);
    if (rc < 0)
        doctor_say(d, DOCTOR_BAD, "broker_certificate", path, "LONGBOAT_HOME=FOLDER lbbroker check",
                   "%s", err.text);
    else if (d->known && !hash_eq(&k.sign, &c.sign_key))
        doctor_say(d, DOCTOR_BAD, "broker_certificate", path, "put the right file back",
                   "it is not for the key in %s", key);
    else if (d->known)
        doctor_expiry(d, c.name, c.not_after, "lbbroker rotate");
    key_forget(&k);
    certificate_free(&c);
    buf_free(&bytes);
    mem_free(&path);
}

/* Without a copy whoever takes the broker over can write anew what nobody else has verified yet. */
static void check_audit_copy(struct doctor *d, const char *etc)
{
    char *path = path_in(etc, "broker.yaml");
    struct error err = {0};
    struct yaml *settings = NULL;
    const char *copy = "none";
    int rc = yaml_read_file(path, &settings, &err);
    const struct yaml_node *node = rc == 0 ? yaml_get(yaml_root(settings), "audit_copy") : NULL;
    if (node)
        rc = yaml_str(node, &copy, &err);
    if (rc < 0)
        doctor_say(d, DOCTOR_BAD, "broker_home", path, "LONGBOAT_HOME=FOLDER lbbroker check", "%s",
                   err.text);
    if (rc == 0 && strcmp(copy, "none") == 0)
        doctor_say(d, DOCTOR_NOTE, "audit_copy", path,
                   "audit_copy: journald (or syslog), and forward that to another machine",
                   "hashes of the audit trail go nowhere else: what is newer than the last "
                   "`lbctl audit verify` could be written anew by whoever has the broker's key");
    yaml_free(&settings);
    mem_free(&path);
}

void doctor_broker_home(struct doctor *d, const char *home)
{
    char *etc = path_in(home, "etc"), *var = path_in(home, "var"),
         *key = path_in(etc, "keys/broker.key"), *sign = path_in(etc, SIGN_KEY_FILE),
         *administrators = path_in(etc, ADMINISTRATORS_FILE);
    if (check_private(d, key))
        check_broker_certificate(d, etc, key);
    else
        doctor_say(d, DOCTOR_BAD, "broker_home", home,
                   "lbctl init makes one, --broker-home says where", "no broker's key is here");
    check_writable(d, etc);
    check_writable(d, administrators);
    if (is_there(sign))
        doctor_say(d, DOCTOR_BAD, "broker_key", sign,
                   "move it to the machine of the person whose it is",
                   "a person's key lies beside the broker's");
    check_audit_copy(d, etc);
    check_disk(d, is_there(var) ? var : home);
    mem_free(&etc);
    mem_free(&var);
    mem_free(&key);
    mem_free(&sign);
    mem_free(&administrators);
}

/* ---- A server */

static void take_check(struct doctor *d, const char *line)
{
    json_t *row = json_parse("lbworker check", span_str(line), NULL);
    const char *check = json_string_value(json_object_get(row, "check")),
               *text = json_string_value(json_object_get(row, "text"));
    if (check && text)
        doctor_say(d, json_is_true(json_object_get(row, "ok")) ? DOCTOR_OK : DOCTOR_BAD, "server",
                   check, "", "%s", text);
    json_decref(row);
}

void doctor_server(struct doctor *d)
{
    char program[PATHS_MAX], line[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - sizeof "lbworker");
    char *slash = n > 0 ? memrchr(program, '/', (size_t)n) : NULL;
    if (!slash)
        return;
    strcpy(slash + 1, "lbworker");
    if (access("/dev/shm", W_OK) < 0)
        doctor_say(d, DOCTOR_WARN, "memory_files", "/dev/shm", "mount a tmpfs there",
                   "parameters in memory would lie on disk");
    if (geteuid() == 0) {
        doctor_say(d, DOCTOR_BAD, "server", "lbworker check", "run it as the worker's user",
                   "nothing of this server was checked: lbworker does not run as root");
        return;
    }
    char *command = mem_printf("'%s' check --json", program);
    FILE *out = strchr(program, '\'') ? NULL : popen(command, "re");
    mem_free(&command);
    while (out && fgets(line, sizeof line, out))
        take_check(d, line);
    if (out)
        pclose(out);
}
