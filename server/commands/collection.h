/* What the families of collections share: the way from an entry to a value_ref and back, replies of
 * elements, the options of HSCAN, SSCAN and ZSCAN, and chance. */
#pragma once

#include "common/prng.h"
#include "server/call.h"
#include "server/types/value.h"

static inline struct value_ref ref_of(const struct entry *e)
{
    return (struct value_ref){ entry_object(e), entry_encoding(e) };
}

/* After a verb: what the entry has now. Nothing is freed: verbs did that. */
static inline void ref_store(struct entry *e, struct value_ref r)
{
    if (entry_object(e) != r.object || entry_encoding(e) != r.enc)
        entry_set_object(e, r.object, r.enc);
}

static inline void reply_element(struct writer *w, const struct element *e)
{
    if (e->blob)
        resp_bulk_blob(w, e->blob);
    else if (e->s.p)
        resp_bulk(w, e->s);
    else
        resp_bulk_i64(w, e->i);
}

/* A change of n elements (n > 0) in one go: ks_changed counts one, the rest is counted here. */
static inline void changed_elements(struct call *c, struct bytes key, enum notify_class class,
                                    const char *event, uint64_t n)
{
    ks_changed(c->db, key, class, event);
    ks_stats(c->ks)->dirty += n - 1;
}

/* The collection has lost its last element: the key goes, its "del" event comes after the one of
 * the removal. */
void delete_empty(struct call *c, struct bytes key);
/* How values go that a command replaces or empties. */
enum ks_del deleted_by_server(const struct call *);

/* For HRANDFIELD, SPOP, ...: seeded from the system at first use. */
struct prng *command_prng(void);

/* How many elements a random read may be asked for: with a negative count the reply grows without
 * bound. */
#define DRAWS_MAX ((int64_t)UINT32_MAX)

/* ---- HSCAN, SSCAN, ZSCAN ---- */
struct scan_state {
    struct call *c;
    uint64_t count; /* elements to look at */
    bool by_pattern;
    struct bytes pattern;
    uint64_t seen;   /* elements looked at */
    int64_t replied; /* bulks written */
    struct writer_mark cursor_mark, array_mark;
};
/* Parses `key cursor [MATCH p] [COUNT n]`, looks the key up. False when the reply is done: an
 * error, or no such key. Else the reply has been begun: write elements, then scan_end. */
bool scan_begin(struct call *, enum value_type, struct scan_state *ret_state, uint64_t *ret_cursor,
                struct entry **ret_entry);
/* Whether this element is wanted (its name matches); counts it as seen. */
bool scan_wants(struct scan_state *, const struct element *name);
/* Whether one more step is due: the walk is not over, not enough was seen. `steps` counts them,
 * from 0. */
bool scan_goes_on(const struct scan_state *, uint64_t cursor, uint64_t *steps);
void scan_end(struct scan_state *, uint64_t cursor);
