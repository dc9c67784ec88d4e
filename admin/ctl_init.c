/* ctl_init.c - lbctl init: makes a cluster from nothing. The administrator's key stays here,
 * encrypted; the broker gets a home of its own, which moves to its machine: whoever breaks into the
 * broker must not be able to make certificates. */
#include "admin/ctl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/config.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/paths.h"
#include "common/termout.h"
#include "net/address.h"
#include "trust/passphrase.h"

static const struct option_row rows[] = {
    {"cluster", 'c', OPTION_STR, NULL, 0, 0, false, "NAME",
     "the cluster's name, which is in every certificate"},
    {"listen", 'l', OPTION_LIST, "0.0.0.0:7411", 0, 0, false, "ADDRESS:PORT",
     "where the broker listens; may be repeated"},
    {"address", 'a', OPTION_LIST, NULL, 0, 0, false, "HOST:PORT",
     "how others reach the broker, in every token; default: where it listens, with this host's "
     "name for 0.0.0.0"},
    {"broker", 0, OPTION_STR, "broker", 0, 0, false, "NAME",
     "the broker's name, as people see it in messages"},
    {"administrator", 0, OPTION_STR, "administrator", 0, 0, false, "NAME",
     "your name as the administrator"},
    {"broker-home", 0, OPTION_STR, NULL, 0, 0, false, "FOLDER",
     "the broker's home, for moving to its machine; default: CLUSTER-broker in this folder"},
    {"no-passphrase", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "do not encrypt your key: for tests and machines that nobody attends"},
    {"passphrase-file", 0, OPTION_STR, NULL, 0, 0, false, "FILE",
     "the passphrase is this file's first line, instead of being asked for"},
    {"valid", 0, OPTION_DURATION, "3650d", 86400000, INT64_MAX, false, "TIME",
     "validity of the two certificates"},
};

static const char examples[] =
    "  lbctl init --cluster prod --address wh0:7411 --broker-home ./wh0\n"
    "Run it at your desk: your key is written here, encrypted with a passphrase that\n"
    "you are asked for. The broker's home then moves to the broker's machine:\n"
    "  tar -C wh0 -c . | ssh wh0 tar -C /srv/longboat/broker -x && rm -r wh0\n";

struct work {
    const char *cluster;
    char admin[PATHS_MAX], broker_home[PATHS_MAX];
    char broker[PATHS_MAX]; /* the configuration in its home */
    bool encrypted;         /* the administrator's key */
    struct key admin_key, broker_key;
    struct buf admin_certificate, broker_certificate, administrators, client_yaml, broker_yaml,
        reached;
    struct error err;
};

static int certificates(struct work *w, const struct option_values *v)
{
    int64_t now = clock_wall_ms();
    struct certificate_order o = {
        .cluster = w->cluster,
        .name = opt_str(v, "administrator"),
        .role = ROLE_ADMINISTRATOR,
        .serial = (uint64_t)now,
        .sign_key = w->admin_key.sign,
        .not_before = now,
        .not_after = now + opt_int(v, "valid"),
    };
    int rc = certificate_make(&o, &w->admin_key, &w->admin_certificate, &w->err);
    o.name = opt_str(v, "broker");
    o.role = ROLE_BROKER;
    o.serial++;
    o.sign_key = w->broker_key.sign;
    return rc < 0 ? rc : certificate_make(&o, &w->admin_key, &w->broker_certificate, &w->err);
}

static void addresses(struct buf *out, const char *key, const char *const *items, size_t n)
{
    buf_printf(out, "%s:\n", key);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "  - \"%s\"\n", items[i]);
}

/* A wrong address would be in every token, where it cannot be corrected. */
static int check_addresses(const struct option_values *v, const char *name, bool port_free,
                           struct error *err)
{
    size_t n;
    char endpoint[NET_ENDPOINT_MAX];
    const char *const *items = opt_list(v, name, &n);
    for (size_t i = 0; i < n; i++)
        if (net_endpoint(items[i], port_free, endpoint, err) < 0) {
            error_prefix(err, "--%s", name);
            return -EINVAL;
        }
    return 0;
}

static int check_counts(const struct option_values *v, struct error *err)
{
    size_t n_listen, n_address;
    opt_list(v, "listen", &n_listen);
    opt_list(v, "address", &n_address);
    return n_listen <= CLIENT_BROKERS_MAX && n_address <= CLIENT_BROKERS_MAX
               ? 0
               : error_set(err, -EINVAL, "too many addresses; the limit is %d", CLIENT_BROKERS_MAX);
}

/* Where others reach what listens here: 0.0.0.0, :: and * are every address of this host, so its
 * name is used. Yours to free. */
static char *reached_at(const char *listen)
{
    static const char *const every[] = {"0.0.0.0", "[::]", "*"};
    char host[256];
    const char *bare = strncmp(listen, "tcp://", 6) == 0 ? listen + 6 : listen;
    for (size_t i = 0; i < COUNT_OF(every); i++) {
        size_t n = strlen(every[i]);
        if (strncmp(bare, every[i], n) == 0 && (bare[n] == ':' || !bare[n]) &&
            gethostname(host, sizeof host - 1) == 0) {
            host[sizeof host - 1] = 0;
            return mem_printf("%s%s", host, bare + n);
        }
    }
    return mem_strdup(bare);
}

static void texts(struct work *w, const struct option_values *v)
{
    size_t n_listen, n_address;
    char key[KEY_TEXT], *reached[CLIENT_BROKERS_MAX];
    const char *const *listen = opt_list(v, "listen", &n_listen);
    const char *const *address = opt_list(v, "address", &n_address);
    size_t n = n_address ? n_address : n_listen;
    for (size_t i = 0; i < n; i++)
        reached[i] = n_address ? mem_strdup(address[i]) : reached_at(listen[i]);
    addresses(&w->client_yaml, "brokers", (const char *const *)reached, n);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&w->reached, "%s%s", i ? ", " : "", reached[i]);
        mem_free(&reached[i]);
    }
    buf_printf(
        &w->administrators,
        "# Administrators' public keys: the holder of one of them can sign certificates.\n%s %s\n",
        key_format(&w->admin_key.sign, key), opt_str(v, "administrator"));
    buf_printf(&w->broker_yaml, "cluster: %s\nname: %s\n", w->cluster, opt_str(v, "broker"));
    addresses(&w->broker_yaml, "listen", listen, n_listen);
}

struct file_of {
    const char *folder, *name;
    struct span content;
};

/* A key that no passphrase protects is made only for those who ask for that. */
static int ask_passphrase(struct work *w, const struct option_values *v, char text[PASSPHRASE_MAX])
{
    if (opt_flag(v, "no-passphrase"))
        return 0;
    if (opt_str(v, "passphrase-file"))
        passphrase_use_file(opt_str(v, "passphrase-file"));
    if (!passphrase_can_ask())
        return error_set(&w->err, -EINVAL,
                         "there is no terminal to ask for a passphrase; --passphrase-file FILE has "
                         "it in a file, --no-passphrase leaves your key unencrypted");
    w->encrypted = true;
    return passphrase_ask_new("the administrator's key", text, &w->err);
}

/* Nothing is written if any of the files exists: two clusters in one folder could not be told
 * apart. */
static int refuse_old_files(struct work *w, const struct file_of *files, size_t n)
{
    char path[PATHS_MAX];
    for (size_t i = 0; i < n; i++) {
        struct buf old = {0};
        int rc = path_join(path, sizeof path, &w->err, files[i].folder, files[i].name, NULL);
        if (rc == 0)
            rc = file_read(path, 1 << 20, &old, NULL);
        buf_free(&old);
        if (rc != -ENOENT)
            return error_set(
                &w->err, -EEXIST,
                "%s exists: this folder belongs to a cluster. Move it away, or choose another with "
                "LONGBOAT_HOME or --broker-home",
                path);
    }
    return 0;
}

static int write_files(struct work *w, const struct file_of *files, size_t n)
{
    char path[PATHS_MAX], folder[PATHS_MAX];
    for (size_t i = 0; i < n; i++) {
        int rc = path_join(path, sizeof path, &w->err, files[i].folder, files[i].name, NULL);
        if (rc < 0)
            return rc;
        strcpy(folder, path);
        *strrchr(folder, '/') = 0;
        if ((rc = file_make_dirs(folder, 0700, &w->err)) < 0 ||
            (rc = file_write_atomic(path, files[i].content, 0600, &w->err)) < 0)
            return rc;
    }
    return 0;
}

static int write_key(struct work *w, const char *folder, const char *name, const struct key *key,
                     const char *passphrase)
{
    char path[PATHS_MAX];
    int rc = path_join(path, sizeof path, &w->err, folder, "keys", NULL);
    if (rc == 0)
        rc = file_make_dirs(path, 0700, &w->err);
    if (rc == 0)
        rc = path_join(path, sizeof path, &w->err, folder, name, NULL);
    return rc < 0 ? rc : key_file_create_locked(path, key, passphrase, &w->err);
}

static int write_all(struct work *w, const struct option_values *v)
{
    char passphrase[PASSPHRASE_MAX];
    char *known = mem_printf("trust/known/%s", opt_str(v, "administrator"));
    const struct file_of files[] = {
        {w->admin, "client.yaml", buf_span(&w->client_yaml)},
        {w->admin, "trust/administrators", buf_span(&w->administrators)},
        {w->admin, "trust/certificate", buf_span(&w->admin_certificate)},
        {w->admin, "trust/broker", buf_span(&w->broker_certificate)},
        {w->broker, "broker.yaml", buf_span(&w->broker_yaml)},
        {w->broker, "trust/administrators", buf_span(&w->administrators)},
        {w->broker, "trust/broker", buf_span(&w->broker_certificate)},
        {w->broker, known, buf_span(&w->admin_certificate)},
    };
    int rc = refuse_old_files(w, files, COUNT_OF(files));
    if (rc == 0)
        rc = ask_passphrase(w, v, passphrase);
    if (rc == 0)
        rc = write_key(w, w->admin, "keys/sign.key", &w->admin_key,
                       w->encrypted ? passphrase : NULL);
    if (rc == 0)
        rc = write_key(w, w->broker, "keys/broker.key", &w->broker_key, NULL);
    if (rc == 0)
        rc = write_files(w, files, COUNT_OF(files));
    explicit_bzero(passphrase, sizeof passphrase);
    mem_free(&known);
    return rc;
}

static int folders(struct work *w, const struct option_values *v)
{
    struct paths here;
    char work_folder[PATHS_MAX];
    char *usual = mem_printf("%s-broker", w->cluster);
    const char *home = opt_str(v, "broker-home") ? opt_str(v, "broker-home") : usual;
    int rc = paths_resolve(&here, &w->err);
    if (rc == 0 && !getcwd(work_folder, sizeof work_folder))
        rc = error_errno(&w->err, errno, "this folder has no path");
    if (rc == 0)
        rc = path_join(w->broker_home, sizeof w->broker_home, &w->err,
                       *home == '/' ? "" : work_folder, home, NULL);
    if (rc == 0)
        rc = path_join(w->broker, sizeof w->broker, &w->err, w->broker_home, "etc", NULL);
    mem_free(&usual);
    if (rc < 0)
        return rc;
    strcpy(w->admin, here.config);
    if (strcmp(w->admin, w->broker) != 0)
        return 0;
    return error_set(&w->err, -EINVAL,
                     "%s is your own home: your key must not lie beside the broker's. Name another "
                     "folder with --broker-home",
                     w->broker_home);
}

static void say_what_lies_where(struct work *w, const struct option_values *v)
{
    term_say(stdout,
             "Cluster '%s' is made; you are its administrator '%s'.\n\n"
             "  %s\n      your home: your key%s and certificate\n"
             "  %s\n      the broker's home; move it to the broker's machine\n\n"
             "Start the broker there with:  LONGBOAT_HOME=FOLDER lbbroker\n"
             "Others reach it at %s\n\n"
             "Keep a copy of %s/keys/sign.key%s\n"
             "away from all machines: without it nobody can be invited, renewed or revoked.\n",
             w->cluster, opt_str(v, "administrator"), w->admin,
             w->encrypted ? ", encrypted," : ", NOT encrypted,", w->broker_home,
             buf_str(&w->reached), w->admin, w->encrypted ? " and the passphrase" : "");
    if (!w->encrypted)
        term_say(stdout,
                 "Whoever reads that file owns the cluster: lbctl key passphrase encrypts it.\n");
}

int ctl_init(int argc, char **argv)
{
    struct option_values v = {0};
    struct work w = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "--cluster NAME [options]",
                                examples, 0, 0, &v, &first);
    if (code >= 0)
        return code;
    w.cluster = opt_str(&v, "cluster");
    if (!w.cluster) {
        error_set(&w.err, -EINVAL,
                  "--cluster NAME is missing: every certificate says to which cluster it belongs");
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &w.err);
    } else if (name_check_name("--cluster", span_str(w.cluster), &w.err) < 0 ||
               check_addresses(&v, "listen", true, &w.err) < 0 ||
               check_addresses(&v, "address", false, &w.err) < 0 || check_counts(&v, &w.err) < 0 ||
               trust_init(&w.err) < 0) {
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &w.err);
    } else {
        key_make(&w.admin_key);
        key_make(&w.broker_key);
        texts(&w, &v);
        int rc = folders(&w, &v);
        if (rc == 0)
            rc = certificates(&w, &v);
        if (rc == 0)
            rc = write_all(&w, &v);
        code = rc < 0 ? ctl_fail(argv, ctl_code(rc, REFUSAL_NONE), &w.err) : EXIT_DONE;
    }
    if (code == EXIT_DONE)
        say_what_lies_where(&w, &v);
    key_forget(&w.admin_key);
    key_forget(&w.broker_key);
    buf_free(&w.admin_certificate);
    buf_free(&w.broker_certificate);
    buf_free(&w.administrators);
    buf_free(&w.client_yaml);
    buf_free(&w.broker_yaml);
    buf_free(&w.reached);
    options_free(&v);
    return code;
}
