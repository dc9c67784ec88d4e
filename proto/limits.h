/* limits.h - each number that bounds what a peer can ask of a program, with its reason and its
 * consequence.
 *
 * A limit is checked before what it bounds is read, allocated or counted. */
#ifndef LB_PROTO_LIMITS_H
#define LB_PROTO_LIMITS_H

enum {
    /* The wire */
    /* one ZeroMQ message; ZMQ_MAXMSGSIZE cuts longer ones before we see them */
    LIMIT_FRAME = 1 << 20,
    LIMIT_DEPTH = 16,      /* nesting of a value; the reader recurses at most this deep */
    LIMIT_PACK = 64 << 10, /* messages are packed into one frame up to this many bytes */
    /* bytes sent on a session and not acknowledged; then its queue waits */
    LIMIT_WINDOW = 512 << 10,
    /* the same in frames; SNDHWM is a little above, so that it never decides */
    LIMIT_WINDOW_FRAMES = 64,
    /* bytes that wait behind a full window; a peer that lets more gather is dropped */
    LIMIT_SESSION_QUEUE = 4 << 20,

    /* Names and texts */
    LIMIT_NAME = 64,    /* servers, pools, jobs, packages, steps, principals */
    LIMIT_ADDRESS = 64, /* a server's or a pool's name */
    LIMIT_JOB = 80,     /* a job's name, or "package:" and a package's */
    LIMIT_KEY = 200,    /* a call's key: parent-run/task/index/try fits with 64-byte names */
    LIMIT_TEXT = 4096,  /* a sentence for people: messages of children, reasons */
    LIMIT_SHORT = 255,  /* versions, host names, patterns, grants */
    LIMIT_PATH = 1024,  /* a file's path inside a package */

    /* Bodies */
    LIMIT_PARAMETERS = 256 << 10, /* all parameters of a call */
    /* one parameter in the environment (LB_PARAM_x); longer ones only in the JSON file */
    LIMIT_PARAMETER_ENV = 32 << 10,
    LIMIT_VALUES = 1000,      /* entries of one parameter or output map */
    LIMIT_OUTPUTS = 64 << 10, /* what a step may write to $LB_OUTPUTS */
    LIMIT_CALL = 320 << 10,   /* a signed call: parameters and its other fields */
    LIMIT_PROOF = 32,         /* hashes from a call to its batch's root: 2^32 calls in a batch */
    LIMIT_CERTIFICATE = 16 << 10, /* with the invitation in it */
    LIMIT_POOLS = 64,             /* pools of one server */
    LIMIT_GRANTS = 128,           /* grants of one principal */
    LIMIT_REVOKED = 20000,        /* serials in the revocation list: a frame holds them */
    LIMIT_JOB_BODY = 256 << 10,   /* a compiled job */
    LIMIT_STEPS = 100,            /* steps of a job */
    LIMIT_TRIES = 100,            /* tries of one step */
    LIMIT_OUTCOME = 512 << 10,    /* an outcome record with the outputs of all its steps */
    LIMIT_GROUPS = 64,            /* supplementary groups of a child */
    LIMIT_CONTEXT = 128 << 10,    /* what a proxy gives a step: above all its environment */
    LIMIT_PROXY = 96 << 10,       /* a compiled proxy or subsystem: a context holds what it gives */
    LIMIT_FINGERPRINTED = 1 << 17, /* files and folders of an installed package */
    LIMIT_EXECUTION = 64 << 10,    /* what is on record of how a step was run */
    LIMIT_EXECUTIONS = 128 << 10, /* the same of all tries of an attempt; older ones are left out */
    /* a server's signature of a result: names, key and the longest proof fit */
    LIMIT_RESULT_SIGNATURE = 2048,
    LIMIT_SECRETS = 1000,           /* secrets of a cluster, and marks of dropped ones */
    LIMIT_SECRET_VALUE = 64 << 10,  /* bytes of a secret's value */
    LIMIT_SECRET_SEALED = 65 << 10, /* the same, padded and encrypted */
    LIMIT_SECRET = 640 << 10,       /* a signed secret, sealed to LIMIT_SERVERS servers */
    LIMIT_SECRET_USES = 320 << 10,  /* all sealed values of a step */
    /* attempts of one run; far above what lost_after allows in a year */
    LIMIT_ATTEMPTS = 1000000,

    /* Logs and packages */
    LIMIT_LOG_CHUNK = 64 << 10, /* bytes of output in one message */
    /* bytes of output sent and not acknowledged, half of the window; the piece that reaches it may
       go beyond by its own length */
    LIMIT_LOG_CREDIT = 256 << 10,
    LIMIT_LOG_STEP = 16 << 20,  /* default cap of a step's output; more is counted and cut */
    LIMIT_CHUNK = 256 << 10,    /* bytes of a package in one message */
    LIMIT_MANIFEST = 256 << 10, /* a package's manifest as canonical JSON */
    LIMIT_SIGNATURE = 1024,     /* a minisign signature file */

    /* Lists */
    LIMIT_JOBS = 2000,   /* job versions one server attests, also its packages */
    LIMIT_NEEDS = 200,   /* conditions one server probes */
    LIMIT_ROWS = 500,    /* rows in one page of a query */
    LIMIT_EVENTS = 500,  /* events in one message */
    LIMIT_SLOTS = 4096,  /* children at a time on one server */
    LIMIT_PREFETCH = 64, /* attempts that wait at a server beyond its slots */
    /* attempts for each slot that wait for their next try and take none; more of them count as if
       they ran, so that no server can gather runs by saying that they wait */
    LIMIT_WAITS = 16,
    LIMIT_SERVERS = 2000,  /* servers in one listing */
    LIMIT_TASKS = 100000,  /* tasks of a parent */
    LIMIT_PLAN = 16 << 20, /* a plan's bytes (sent in chunks) */
    LIMIT_CHILDREN = 1000  /* children listed in one message */
};

/* Times, in milliseconds */
enum {
    HEARTBEAT_MS = 2000, /* a session that has nothing to say says so this often */
    /* seven heartbeats; six may be late. Longer: an unreachable server is noticed later */
    LEASE_MS = 15000,
    LOST_AFTER_MS = 300000, /* only then is an attempt lost and on_lost acts */
    /* what asks for less gets this: a fence TERMs at half of it, and must see renewals */
    LOST_AFTER_MIN_MS = 8000,
    /* the broker waits this much longer than the fence: clock rates differ by under 1 % */
    LOST_MARGIN_PERCENT = 5,
    START_WITHIN_MS = 86400000, /* a run that nobody can take ends `unreachable` after this */
    HANDSHAKE_MS = 3000,        /* a peer that has not finished its handshake is cut off */
    KILL_GRACE_MS = 10000,      /* between TERM and KILL */
    BUSY_RETRY_MS = 1000        /* what a `busy` answer asks for at the least */
};

#define LOST_AFTER_NEVER 0 /* in a call: the cluster's lost_after */

#endif
