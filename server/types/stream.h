/* Streams: entries of fields and values in the order of their IDs, and the groups that consume
 * them.
 *
 * Entries live in listpacks of Redis' layout (they travel in RDB and DUMP as they are), found by
 * their first ID in an id_tree. A node's listpack:
 *
 *   master   count | deleted | fields | field .. | 0
 *   entry    flags | ms - master's | seq - master's | [fields] | field, value .. or value .. |
 * elements before this one flags    1: deleted (it stays, counted in `deleted`), 2: the master's
 * fields, so that only values follow
 *
 * When a node is full, and what approximate trimming removes, is as in Redis 7.2:
 * stream-node-max-bytes and -entries.
 *
 * Groups and consumers are items of tables by name. A pending entry (delivered, not acknowledged)
 * is one allocation that the group's tree and its consumer's tree both point to. */
#pragma once

#include "common/clock.h"
#include "common/table.h"
#include "server/types/id_tree.h"
#include "server/types/limits.h"
#include "server/types/listpack.h"
#include "server/types/value.h"

#define STREAM_READ_UNKNOWN ((int64_t)-1) /* entries_read of a group: not known */

struct stream {
    struct id_tree nodes; /* uint8_t * listpacks by the ID of their master */
    uint64_t length;      /* entries that are there */
    struct stream_id last, first,
        max_deleted; /* first: of what is there, 0-0 when empty; last: ever given */
    uint64_t entries_added;
    struct table groups; /* struct stream_group */
    size_t node_bytes;   /* memory of the listpacks */
    uint64_t groups_freed;      /* of a stream that is freed in parts: where in `groups` it is */
    struct stream_group *dying; /* and the groups taken out of there */
};

struct stream_name {
    uint32_t n;
    char s[];
};

struct stream_group {
    struct stream_name *name;
    struct stream_id last;  /* delivered */
    int64_t entries_read;   /* or STREAM_READ_UNKNOWN */
    struct id_tree pending; /* struct stream_pending */
    struct table consumers; /* struct stream_consumer */
    struct stream_group *next_dying;
};

struct stream_consumer {
    struct stream_name *name;
    msec_t seen, active; /* last attempt, last success (-1: never) */
    struct id_tree pending;
};

struct stream_pending {
    struct stream_consumer *consumer;
    msec_t delivered;
    uint64_t deliveries;
};

extern const struct value_ops stream_value_ops;

struct stream *stream_new(void);
void stream_free(struct stream *);

static inline struct stream *stream_of(struct value_ref r)
{
    return r.object;
}

/* ---- entries ---- */
enum stream_added { STREAM_ADDED, STREAM_TOO_LARGE };
/* Appends an entry: fields and values in turn, n of them (even, > 0). The ID must be above s->last
 * (asserted). */
enum stream_added stream_append(struct stream *, struct stream_id, const struct bytes *fields,
                                int n, const struct types_limits *);
bool stream_delete(struct stream *,
                   struct stream_id); /* true: it was there. Keeps `first` and `max_deleted` true */
bool stream_has(const struct stream *, struct stream_id);

struct stream_trim {
    enum { STREAM_TRIM_NONE, STREAM_TRIM_MAXLEN, STREAM_TRIM_MINID } by;
    bool approximate; /* whole nodes only */
    uint64_t maxlen;
    struct stream_id minid;
    uint64_t limit; /* entries to remove at most, 0 = any; approximate only */
};
uint64_t stream_trim(struct stream *, const struct stream_trim *); /* entries removed */
/* IDs that are there; false when there is none. */
bool stream_last_valid(const struct stream *, struct stream_id *ret_id);

/* ---- walking ----
 * Entries with start <= ID <= end, in order or (reverse) from the end. The stream may not change
 * meanwhile. */
struct stream_walk {
    struct stream_id id; /* of the entry that next has found */
    uint32_t fields;     /* its pairs */
    /* the rest is the walk's own */
    struct id_at at;
    const uint8_t *lp, *p, *field, *value; /* p: what comes next (reverse: the end of what comes) */
    const uint8_t *entries;                /* behind the master */
    struct stream_id start, end, master;
    const uint8_t *master_field;
    uint32_t master_fields;
    bool reverse, same;
};
void stream_walk_begin(struct stream_walk *, const struct stream *, struct stream_id start,
                       struct stream_id end, bool reverse);
bool stream_walk_next(struct stream_walk *);
/* The fields of the entry, one after the other: w->fields times. */
void stream_walk_field(struct stream_walk *, struct element *ret_field, struct element *ret_value);

/* ---- groups (stream_group.c) ---- */
static inline struct bytes stream_name_bytes(const struct stream_name *n)
{
    return bytes_of(n->s, n->n);
}

struct stream_group *stream_group_find(const struct stream *,
                                       struct bytes name); /* NULL: not there */
/* NULL: there is one of this name. */
struct stream_group *stream_group_add(struct stream *, struct bytes name, struct stream_id last,
                                      int64_t entries_read);
void stream_group_remove(struct stream *, struct stream_group *);
void stream_groups_done(struct stream *);
/* True when no group is left. Between calls only this may be done to the stream. */
bool stream_groups_free_some(struct stream *, unsigned effort);
void stream_groups_copy(struct stream *to, const struct stream *from);
size_t stream_groups_memory(const struct stream *);
/* All of them in the order of their names; the array is of mem_alloc, the caller's. */
struct stream_group **stream_groups_sorted(const struct stream *, size_t *ret_n);

struct stream_consumer *stream_consumer_find(const struct stream_group *, struct bytes name);
struct stream_consumer *stream_consumer_add(struct stream_group *, struct bytes name,
                                            msec_t now); /* NULL: there is one */
uint64_t stream_consumer_remove(struct stream_group *,
                                struct stream_consumer *); /* with its pending entries: how many */
struct stream_consumer **stream_consumers_sorted(const struct stream_group *, size_t *ret_n);

/* Makes the entry pending, of this consumer alone from now on, whoever had it. */
struct stream_pending *stream_pend(struct stream_group *, struct stream_consumer *,
                                   struct stream_id);
bool stream_acknowledge(struct stream_group *, struct stream_id); /* true: it was pending */
/* How many entries a reader that has come to `id` has read, by what the stream knows; or
 * STREAM_READ_UNKNOWN. */
int64_t stream_entries_read(const struct stream *, struct stream_id id);
/* Some entry from `start` on may have been deleted. */
bool stream_has_tombstones(const struct stream *, struct stream_id start);
/* A group has been given the entry `id`, above all it had: its position and its counter move on. */
void stream_group_advance(const struct stream *, struct stream_group *, struct stream_id id);
bool stream_group_lag(const struct stream *, const struct stream_group *,
                      int64_t *ret_lag); /* false: not known */
