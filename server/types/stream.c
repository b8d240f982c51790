/* Entries of streams (see stream.h). Groups are stream_group.c. */
#include "server/types/stream.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/sha.h"
#include "server/types/block.h"

enum { FLAG_DELETED = 1, FLAG_SAME_FIELDS = 2 };
enum { LP_COUNT_MAX = 11 }; /* bytes of an element that is a 64-bit integer, at most */

static uint64_t be64(uint64_t v)
{
    return __builtin_bswap64(v);
}

/* ---- the whole ---- */

struct stream *stream_new(void)
{
    struct stream *s = mem_zalloc(sizeof(*s));
    table_init(&s->groups);
    return s;
}

static void drop_node(struct stream *s, struct stream_id master, uint8_t *lp)
{
    s->node_bytes -= lp_memory(lp);
    id_tree_remove(&s->nodes, master);
    lp_free(lp);
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    for (struct id_at at = id_tree_first(&s->nodes); at.leaf; id_at_next(&at))
        lp_free(id_at_value(at));
    id_tree_done(&s->nodes);
    stream_groups_done(s);
    mem_free(s);
}

static void object_free(void *object, enum value_encoding enc)
{
    (void)enc;
    stream_free(object);
}

/* Nodes count as much as their elements would: some hundred each. */
static int object_free_some(void *object, enum value_encoding enc, unsigned effort)
{
    struct stream *s = object;
    (void)enc;
    for (unsigned done = 0; s->nodes.count && done < effort; done += 64) {
        struct id_at at = id_tree_first(&s->nodes);
        drop_node(s, id_at_id(at), id_at_value(at));
    }
    if (s->nodes.count || !stream_groups_free_some(s, effort))
        return false;
    stream_free(s);
    return true;
}

static void *object_copy(const void *object, enum value_encoding enc)
{
    const struct stream *from = object;
    struct stream *s = stream_new();
    (void)enc;
    s->length = from->length;
    s->last = from->last;
    s->first = from->first;
    s->max_deleted = from->max_deleted;
    s->entries_added = from->entries_added;
    s->node_bytes = from->node_bytes;
    for (struct id_at at = id_tree_first(&from->nodes); at.leaf; id_at_next(&at))
        id_tree_insert(&s->nodes, id_at_id(at), lp_copy(id_at_value(at)));
    stream_groups_copy(s, from);
    return s;
}

static uint64_t object_elements(const void *object, enum value_encoding enc)
{
    (void)enc;
    return ((const struct stream *)object)->length;
}

static uint64_t object_memory(const void *object, enum value_encoding enc, uint64_t samples)
{
    const struct stream *s = object;
    (void)enc;
    (void)samples; /* exact figures are kept */
    return mem_good_size(sizeof(*s)) + s->nodes.bytes + s->node_bytes + stream_groups_memory(s);
}

static void digest_add(struct sha1 *h, struct bytes b)
{
    uint64_t n = b.n;
    sha1_add(h, bytes_of(&n, sizeof n));
    sha1_add(h, b);
}

static void object_digest(const void *object, enum value_encoding enc,
                          unsigned char ret_bits[SHA1_BYTES])
{
    struct stream_walk w;
    struct sha1 h;
    (void)enc;
    sha1_init(&h);
    stream_walk_begin(&w, object, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_walk_next(&w)) {
        uint64_t id[3] = { be64(w.id.ms), be64(w.id.seq), w.fields };
        sha1_add(&h, bytes_of(id, sizeof id));
        for (uint32_t i = 0; i < w.fields; i++) {
            char scratch[ELEMENT_SCRATCH];
            struct element field, value;
            stream_walk_field(&w, &field, &value);
            digest_add(&h, element_text(&field, scratch));
            digest_add(&h, element_text(&value, scratch));
        }
    }
    sha1_done(&h, ret_bits);
}

const struct value_ops stream_value_ops = {
    .free = object_free,
    .free_some = object_free_some,
    .copy = object_copy,
    .elements = object_elements,
    .memory = object_memory,
    .digest = object_digest,
};

/* ---- reading a node ---- */

static int64_t number(const uint8_t *p)
{
    int64_t v;
    if (!lp_get_i64(p, &v))
        PANIC("a stream's node has text where a number should be");
    return v;
}

static const uint8_t *take_number(const uint8_t *p, int64_t *ret_v)
{
    *ret_v = number(p);
    return lp_skip(p);
}

struct master {
    int64_t count, deleted, fields;
    const uint8_t *field;   /* the first, or what comes instead */
    const uint8_t *entries; /* behind the master */
};

static void master_read(const uint8_t *lp, struct master *m)
{
    const uint8_t *p = take_number(lp_begin(lp), &m->count);
    p = take_number(p, &m->deleted);
    p = take_number(p, &m->fields);
    m->field = p;
    for (int64_t i = 0; i < m->fields; i++)
        p = lp_skip(p);
    m->entries = lp_skip(p);
}

/* ---- walking ---- */

static void walk_enter(struct stream_walk *w)
{
    struct master m;
    w->lp = id_at_value(w->at);
    w->master = id_at_id(w->at);
    master_read(w->lp, &m);
    w->master_field = m.field;
    w->master_fields = (uint32_t)m.fields;
    w->entries = m.entries;
    w->p = w->reverse ? lp_end(w->lp) : m.entries;
}

/* The first element of the entry that ends in front of `end`. */
static const uint8_t *entry_before(const uint8_t *lp, const uint8_t *end)
{
    const uint8_t *p = lp_prev(lp, end);
    for (int64_t n = number(p); n > 0; n--)
        p = lp_prev(lp, p);
    return p;
}

/* Reads the entry at p (its ID, flags, where its fields are), gives its flags. */
static int64_t read_entry(struct stream_walk *w, const uint8_t *p)
{
    int64_t flags, ms, seq, fields = w->master_fields;
    p = take_number(p, &flags);
    p = take_number(p, &ms);
    p = take_number(p, &seq);
    w->id = (struct stream_id){ w->master.ms + (uint64_t)ms, w->master.seq + (uint64_t)seq };
    w->same = flags & FLAG_SAME_FIELDS;
    if (!w->same)
        p = take_number(p, &fields);
    w->fields = (uint32_t)fields;
    w->field = w->master_field;
    w->value = p;
    return flags;
}

/* Readers of what is new start near the end of the last node: that is found from behind. */
static void skip_from_behind(struct stream_walk *w)
{
    const uint8_t *p = lp_end(w->lp);
    while (p != w->entries) {
        const uint8_t *before = entry_before(w->lp, p);
        read_entry(w, before);
        if (stream_id_cmp(w->id, w->start) < 0)
            break;
        p = before;
    }
    w->p = p;
}

void stream_walk_begin(struct stream_walk *w, const struct stream *s, struct stream_id start,
                       struct stream_id end, bool reverse)
{
    *w = (struct stream_walk){ .start = start, .end = end, .reverse = reverse };
    if (stream_id_cmp(start, end) > 0)
        return;
    w->at = id_tree_le(&s->nodes, reverse ? end : start);
    if (!w->at.leaf && !reverse)
        w->at = id_tree_first(&s->nodes);
    if (!w->at.leaf)
        return;
    walk_enter(w);
    if (!reverse && stream_id_cmp(start, w->master) > 0 &&
        w->lp == id_at_value(id_tree_last(&s->nodes)))
        skip_from_behind(w);
}

/* Steps over the entry just read: its values are still ahead. */
static const uint8_t *behind_entry(const struct stream_walk *w)
{
    const uint8_t *p = w->value;
    for (uint32_t n = w->same ? w->fields : 2 * w->fields; n > 0; n--)
        p = lp_skip(p);
    return lp_skip(p); /* the number of elements */
}

static bool next_node(struct stream_walk *w)
{
    if (w->reverse)
        id_at_prev(&w->at);
    else
        id_at_next(&w->at);
    if (!w->at.leaf)
        return false;
    walk_enter(w);
    return true;
}

bool stream_walk_next(struct stream_walk *w)
{
    while (w->at.leaf) {
        if (w->reverse ? w->p == w->entries : lp_is_end(w->p)) {
            if (!next_node(w))
                return false;
            continue;
        }
        int64_t flags;
        if (w->reverse) {
            w->p = entry_before(w->lp, w->p);
            flags = read_entry(w, w->p);
        } else {
            flags = read_entry(w, w->p);
            w->p = behind_entry(w);
        }
        if (stream_id_cmp(w->id, w->start) < 0) {
            if (w->reverse)
                break;
            continue;
        }
        if (stream_id_cmp(w->id, w->end) > 0) {
            if (!w->reverse)
                break;
            continue;
        }
        if (!(flags & FLAG_DELETED))
            return true;
    }
    w->at = (struct id_at){ 0 };
    return false;
}

void stream_walk_field(struct stream_walk *w, struct element *ret_field, struct element *ret_value)
{
    if (w->same) {
        lp_get(w->field, ret_field);
        w->field = lp_skip(w->field);
    } else {
        lp_get(w->value, ret_field);
        w->value = lp_skip(w->value);
    }
    lp_get(w->value, ret_value);
    w->value = lp_skip(w->value);
}

bool stream_has(const struct stream *s, struct stream_id id)
{
    struct stream_walk w;
    stream_walk_begin(&w, s, id, id, false);
    return stream_walk_next(&w);
}

bool stream_last_valid(const struct stream *s, struct stream_id *ret_id)
{
    struct stream_walk w;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, true);
    if (!stream_walk_next(&w))
        return false;
    *ret_id = w.id;
    return true;
}

/* ---- appending ---- */

/* Whether the fields are the master's. */
static bool has_fields(const struct master *m, const struct bytes *fields, int n)
{
    if (m->fields != n / 2)
        return false;
    const uint8_t *p = m->field;
    for (int i = 0; i < n; i += 2, p = lp_skip(p)) {
        if (!lp_equals(p, fields[i]))
            return false;
    }
    return true;
}

/* Bytes of all fields and values, or false when they are more than a listpack may have. */
static bool total_bytes(const struct bytes *fields, int n, size_t *ret_n)
{
    size_t sum = 0;
    for (int i = 0; i < n; i++) {
        if (fields[i].n >= LP_MAX || (sum += fields[i].n) >= LP_MAX)
            return false;
    }
    *ret_n = sum;
    return true;
}

/* Whether an entry of `more` bytes goes to this node. */
static bool node_takes(const uint8_t *lp, const struct master *m, size_t more,
                       const struct types_limits *limits)
{
    size_t max = LP_MAX;
    if (limits->stream_node_max_bytes > 0 && (uint64_t)limits->stream_node_max_bytes < LP_MAX)
        max = (size_t)limits->stream_node_max_bytes;
    if (lp_bytes(lp) + more >= max)
        return false;
    return limits->stream_node_max_entries <= 0 ||
           m->count + m->deleted < limits->stream_node_max_entries;
}

static uint8_t *master_new(const struct bytes *fields, int n)
{
    uint8_t *lp = lp_new();
    lp_append_i64(&lp, 0);
    lp_append_i64(&lp, 0);
    lp_append_i64(&lp, n / 2);
    for (int i = 0; i < n; i += 2)
        lp_append(&lp, fields[i]);
    lp_append_i64(&lp, 0);
    return lp;
}

/* Appends the entry's elements. */
static void entry_write(uint8_t **lp, struct stream_id master, struct stream_id id,
                        const struct bytes *fields, int n, bool same)
{
    lp_append_i64(lp, same ? FLAG_SAME_FIELDS : 0);
    lp_append_i64(lp, (int64_t)(id.ms - master.ms));
    lp_append_i64(lp, (int64_t)(id.seq - master.seq));
    if (!same)
        lp_append_i64(lp, n / 2);
    for (int i = same; i < n; i += 1 + same)
        lp_append(lp, fields[i]);
    lp_append_i64(lp, same ? n / 2 + 3 : n + 4);
}

enum stream_added stream_append(struct stream *s, struct stream_id id, const struct bytes *fields,
                                int n, const struct types_limits *limits)
{
    size_t more;
    struct master m;
    ASSERT(n > 0 && n % 2 == 0 && stream_id_cmp(id, s->last) > 0);
    if (!total_bytes(fields, n, &more) || more + (size_t)n * LP_OVERHEAD_MAX >= LP_MAX / 2)
        return STREAM_TOO_LARGE;
    struct id_at at = id_tree_last(&s->nodes);
    struct stream_id master = id;
    uint8_t *lp = NULL;
    bool same = true;
    if (at.leaf) {
        lp = id_at_value(at);
        master = id_at_id(at);
        master_read(lp, &m);
        if (node_takes(lp, &m, more, limits))
            same = has_fields(&m, fields, n);
        else
            lp = NULL;
    }
    if (lp) {
        s->node_bytes -= lp_memory(lp);
    } else {
        master = id;
        lp = master_new(fields, n);
        m = (struct master){ 0 };
        id_tree_insert(&s->nodes, id, lp);
        at = id_tree_last(&s->nodes);
    }
    entry_write(&lp, master, id, fields, n, same);
    lp_replace_i64(&lp, lp_begin(lp), m.count + 1);
    id_at_set(at, lp);
    s->node_bytes += lp_memory(lp);
    if (s->length++ == 0)
        s->first = id;
    s->last = id;
    s->entries_added++;
    return STREAM_ADDED;
}

/* ---- removing ---- */

/* Marks the entry at p as deleted: the flags keep their size. */
static void mark_deleted(uint8_t *p)
{
    *p |= FLAG_DELETED;
}

/* Writes the master's counters; gives the block. */
static uint8_t *master_write(struct stream *s, struct id_at at, uint8_t *lp, int64_t count,
                             int64_t deleted)
{
    s->node_bytes -= lp_memory(lp);
    uint8_t *p = lp_replace_i64(&lp, lp_begin(lp), count);
    lp_replace_i64(&lp, lp_skip(p), deleted);
    s->node_bytes += lp_memory(lp);
    id_at_set(at, lp);
    return lp;
}

static void find_first(struct stream *s)
{
    struct stream_walk w;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    s->first = stream_walk_next(&w) ? w.id : STREAM_ID_MIN;
}

/* `n` entries of the node are marked as deleted. */
static void node_lost(struct stream *s, struct id_at at, int64_t n)
{
    struct master m;
    uint8_t *lp = id_at_value(at);
    master_read(lp, &m);
    if (m.count <= n)
        drop_node(s, id_at_id(at), lp);
    else
        master_write(s, at, lp, m.count - n, m.deleted + n);
    s->length -= (uint64_t)n;
}

bool stream_delete(struct stream *s, struct stream_id id)
{
    struct stream_walk w;
    stream_walk_begin(&w, s, id, id, true); /* reverse: w.p is the entry's begin */
    if (!stream_walk_next(&w))
        return false;
    mark_deleted((uint8_t *)w.p);
    node_lost(s, w.at, 1);
    if (stream_id_cmp(id, s->max_deleted) > 0)
        s->max_deleted = id;
    if (stream_id_cmp(id, s->first) == 0)
        find_first(s);
    return true;
}

/* The ID of the last entry of a node that is there, and whether there is one. */
static bool node_last(const uint8_t *lp, struct stream_id master, struct stream_id *ret_id)
{
    struct master m;
    struct stream_walk w = { .lp = lp, .master = master };
    master_read(lp, &m);
    for (const uint8_t *p = lp_end(lp); p != m.entries;) {
        p = entry_before(lp, p);
        if (!(read_entry(&w, p) & FLAG_DELETED)) {
            *ret_id = w.id;
            return true;
        }
    }
    return false;
}

/* Whether all that the node has is to go. */
static bool trims_node(const struct stream *s, const struct stream_trim *t, struct id_at at,
                       int64_t count)
{
    if (t->by == STREAM_TRIM_MAXLEN)
        return s->length - (uint64_t)count >= t->maxlen;
    struct stream_id last;
    return stream_id_cmp(id_at_id(at), t->minid) < 0 &&
           (!node_last(id_at_value(at), id_at_id(at), &last) || stream_id_cmp(last, t->minid) < 0);
}

/* Removes entry by entry from the front of the node what is too much. */
static uint64_t trim_within(struct stream *s, const struct stream_trim *t, struct id_at at)
{
    struct stream_walk w;
    int64_t removed = 0;
    stream_walk_begin(&w, s, id_at_id(at), STREAM_ID_MAX, false);
    walk_enter(&w);
    for (const uint8_t *p = w.p; !lp_is_end(p);) {
        uint8_t *entry = (uint8_t *)p;
        int64_t flags = read_entry(&w, p);
        p = behind_entry(&w);
        if (t->by == STREAM_TRIM_MAXLEN ? s->length - (uint64_t)removed <= t->maxlen
                                        : stream_id_cmp(w.id, t->minid) >= 0)
            break;
        if (!(flags & FLAG_DELETED)) {
            mark_deleted(entry);
            removed++;
        }
    }
    if (removed)
        node_lost(s, at, removed);
    return (uint64_t)removed;
}

uint64_t stream_trim(struct stream *s, const struct stream_trim *t)
{
    uint64_t removed = 0;
    if (t->by == STREAM_TRIM_NONE)
        return 0;
    while (s->nodes.count && !(t->by == STREAM_TRIM_MAXLEN && s->length <= t->maxlen)) {
        struct id_at at = id_tree_first(&s->nodes);
        struct master m;
        master_read(id_at_value(at), &m);
        if (t->limit && removed + (uint64_t)m.count > t->limit)
            break;
        if (trims_node(s, t, at, m.count)) {
            drop_node(s, id_at_id(at), id_at_value(at));
            s->length -= (uint64_t)m.count;
            removed += (uint64_t)m.count;
            continue;
        }
        if (!t->approximate)
            removed += trim_within(s, t, at);
        break;
    }
    if (removed)
        find_first(s);
    return removed;
}
