/* The slow log: the last commands that took longer than slowlog-log-slower-than. */
#pragma once

#include "common/list.h"
#include "server/call.h"
#include "server/client.h"
#include "server/options.h"

struct slowlog;

struct slowlog_entry {
    struct list_node in_log;
    int64_t id;
    int64_t at_s;        /* s since 1970 */
    usec_t us;           /* duration */
    char *peer, *name;   /* of the client */
    int argc;
    struct bytes argv[]; /* cut: at most 32, of at most 128 bytes and a remark */
};

struct slowlog *slowlog_new(const struct monitor_config *borrowed);
void slowlog_free(struct slowlog *);
/* After a command; `us` is its duration. */
void slowlog_note(struct slowlog *, struct client *, int argc, const struct bytes *argv, usec_t us, msec_t now);
void slowlog_trim(struct slowlog *); /* after slowlog-max-len changed */
void slowlog_reset(struct slowlog *);
int64_t slowlog_len(const struct slowlog *);
const struct slowlog_entry *slowlog_first(const struct slowlog *); /* the newest; NULL when empty */
const struct slowlog_entry *slowlog_next(const struct slowlog *, const struct slowlog_entry *); /* an older one, NULL */
