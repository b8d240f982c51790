/* See list.h. A listpack is worked on as a list of one chunk that may neither split nor go
 * (`fixed`), so that every verb is written once. */
#include "server/types/list.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/sha.h"
#include "common/slab.h"
#include "server/types/list_inner.h"

enum { RING_MIN = 4, ESTIMATED_OVERHEAD = 8, SAFE_BYTES = 8192 };

/* ---- limits: list-max-listpack-size ---- */

struct fill {
    size_t bytes;   /* of a listpack at most */
    uint64_t count; /* elements at most */
};

static struct fill fill_of(const struct types_limits *limits)
{
    static const size_t levels[] = { 4096, 8192, 16384, 32768, 65536 };
    int size = limits->list_max_listpack_size;
    if (size >= 0)
        return (struct fill){ SAFE_BYTES, size == 0 ? 1 : (uint64_t)size };
    unsigned level = size < -5 ? 4 : (unsigned)(-1 - size);
    return (struct fill){ levels[level], UINT64_MAX };
}

static bool fits(const struct fill *f, size_t bytes, uint64_t count)
{
    return bytes <= f->bytes && count <= f->count;
}

static bool is_large(const struct fill *f, size_t n)
{
    return n > f->bytes;
}

static bool takes(const struct fill *f, const struct chunk *c, size_t n)
{
    return !c->plain && !is_large(f, n) &&
           fits(f, lp_bytes(c->data) + n + ESTIMATED_OVERHEAD, c->n + (uint64_t)1);
}

/* ---- chunks ---- */

static void chunk_free(struct chunk *c)
{
    if (c->plain)
        blob_unref(c->data);
    else
        lp_free(c->data);
}

static struct blob *blob_for(struct bytes s, struct blob *shared)
{
    if (shared)
        return blob_ref(shared);
    struct blob *b = blob_new(s.n, s.n);
    memcpy(b->data, s.p, s.n);
    return b;
}

static struct chunk chunk_new(const struct fill *f, struct bytes s, struct blob *shared)
{
    if (is_large(f, s.n))
        return (struct chunk){ blob_for(s, shared), 1, true };
    uint8_t *lp = lp_new();
    lp_append(&lp, s);
    return (struct chunk){ lp, 1, false };
}

static void ring_resize(struct list *l, uint32_t size)
{
    struct chunk *ring = mem_alloc(size * sizeof *ring);
    for (uint32_t i = 0; i < l->chunks; i++)
        ring[i] = *list_at(l, i);
    mem_free(l->ring);
    l->ring = ring;
    l->mask = size - 1;
    l->head = 0;
}

/* Puts a chunk in front of chunk i. The shorter side of the ring makes room. */
static void insert_chunk(struct list *l, uint32_t i, struct chunk c)
{
    ASSERT(!l->fixed && i <= l->chunks);
    if (l->chunks > l->mask) {
        ASSERT(l->mask < UINT32_MAX / 2);
        ring_resize(l, 2 * (l->mask + 1));
    }
    l->chunks++;
    if (i < l->chunks / 2) {
        l->head = (l->head - 1) & l->mask;
        for (uint32_t k = 0; k < i; k++)
            *list_at(l, k) = *list_at(l, k + 1);
    } else {
        for (uint32_t k = l->chunks - 1; k > i; k--)
            *list_at(l, k) = *list_at(l, k - 1);
    }
    *list_at(l, i) = c;
}

/* Takes chunk i out; what it holds is the caller's. */
static void take_chunk(struct list *l, uint32_t i)
{
    l->chunks--;
    if (i < l->chunks / 2) {
        for (uint32_t k = i; k > 0; k--)
            *list_at(l, k) = *list_at(l, k - 1);
        l->head = (l->head + 1) & l->mask;
    } else {
        for (uint32_t k = i; k < l->chunks; k++)
            *list_at(l, k) = *list_at(l, k + 1);
    }
    if (l->mask >= 8 * RING_MIN && l->chunks < (l->mask + 1) / 8)
        ring_resize(l, (l->mask + 1) / 2);
}

static void drop_chunk(struct list *l, uint32_t i)
{
    chunk_free(list_at(l, i));
    take_chunk(l, i);
}

/* Chunk i has lost elements. True when it is gone. */
static bool drop_if_empty(struct list *l, uint32_t i)
{
    if (l->fixed || list_at(l, i)->n > 0)
        return false;
    drop_chunk(l, i);
    return true;
}

/* ---- a listpack as a list of one chunk ---- */

struct opened {
    struct list one;
    struct chunk chunk;
};

static struct list *list_open(struct value_ref ref, struct opened *o)
{
    if (ref.enc == ENC_QUICKLIST)
        return ref.object;
    o->chunk = (struct chunk){ ref.object, lp_count(ref.object), false };
    o->one = (struct list){ .ring = &o->chunk, .chunks = 1, .count = o->chunk.n, .fixed = true };
    return &o->one;
}

static void list_close(struct value_ref *ref, const struct opened *o)
{
    if (ref->enc == ENC_LISTPACK)
        ref->object = o->chunk.data;
}

/* ---- the whole ---- */

static struct list *chunks_new(uint32_t expected)
{
    uint32_t size = RING_MIN;
    while (size < expected)
        size *= 2;
    struct list *l = slab_alloc(sizeof *l);
    *l = (struct list){ .ring = mem_alloc(size * sizeof(struct chunk)), .mask = size - 1 };
    return l;
}

struct value_ref list_new(void)
{
    return (struct value_ref){ lp_new(), ENC_LISTPACK };
}

static int object_free_some(void *object, enum value_encoding enc, unsigned effort)
{
    if (enc == ENC_LISTPACK) {
        lp_free(object);
        return true;
    }
    struct list *l = object;
    for (uint64_t done = 0; l->chunks > 0 && done <= effort;) {
        struct chunk *c = list_at(l, --l->chunks);
        done += 1 + c->n / 8; /* elements of a listpack go together */
        chunk_free(c);
    }
    if (l->chunks > 0)
        return false;
    mem_free(l->ring);
    slab_free(l, sizeof *l);
    return true;
}

static void object_free(void *object, enum value_encoding enc)
{
    while (object && !object_free_some(object, enc, UINT32_MAX))
        ;
}

static void *object_copy(const void *object, enum value_encoding enc)
{
    if (enc == ENC_LISTPACK)
        return lp_copy(object);
    const struct list *from = object;
    struct list *to = chunks_new(from->chunks);
    for (uint32_t i = 0; i < from->chunks; i++) {
        struct chunk c = *list_at(from, i);
        c.data = c.plain ? (void *)blob_ref(c.data) : lp_copy(c.data);
        *list_at(to, i) = c;
    }
    to->chunks = from->chunks;
    to->count = from->count;
    return to;
}

static uint64_t object_elements(const void *object, enum value_encoding enc)
{
    return enc == ENC_LISTPACK ? lp_count(object) : ((const struct list *)object)->count;
}

static uint64_t object_memory(const void *object, enum value_encoding enc, uint64_t samples)
{
    if (enc == ENC_LISTPACK)
        return lp_memory(object);
    const struct list *l = object;
    uint64_t sum = 0, elements = 0;
    for (uint32_t i = 0; i < l->chunks && (samples == 0 || elements < samples); i++) {
        const struct chunk *c = list_at(l, i);
        sum += c->plain ? mem_good_size(sizeof(struct blob) + ((const struct blob *)c->data)->cap)
                        : lp_memory(c->data);
        elements += c->n;
    }
    if (elements > 0 && elements < l->count)
        sum = (uint64_t)((double)sum * (double)l->count / (double)elements);
    return slab_good_size(sizeof *l) + mem_good_size((l->mask + (size_t)1) * sizeof(struct chunk)) +
           sum;
}

static void object_digest(const void *object, enum value_encoding enc, unsigned char ret_bits[20])
{
    struct list_walk w;
    struct element e;
    struct sha1 h;
    sha1_init(&h);
    list_walk_begin(&w, (struct value_ref){ (void *)object, enc }, 0, false);
    while (list_walk_next(&w, &e)) {
        char scratch[ELEMENT_SCRATCH];
        struct bytes s = element_text(&e, scratch);
        uint64_t n = s.n; /* keeps "ab" "c" and "a" "bc" apart */
        sha1_add(&h, bytes_of(&n, sizeof n));
        sha1_add(&h, s);
    }
    sha1_done(&h, ret_bits);
}

const struct value_ops list_value_ops = {
    .free = object_free,
    .free_some = object_free_some,
    .copy = object_copy,
    .elements = object_elements,
    .memory = object_memory,
    .digest = object_digest,
};

void list_free(struct value_ref list)
{
    object_free(list.object, list.enc);
}

uint64_t list_count(struct value_ref list)
{
    return object_elements(list.object, list.enc);
}

/* ---- the encoding ---- */

static void become_chunks(struct value_ref *list)
{
    struct list *l = chunks_new(0);
    uint32_t n = lp_count(list->object);
    if (n > 0) {
        insert_chunk(l, 0, (struct chunk){ list->object, n, false });
        l->count = n;
    } else {
        lp_free(list->object);
    }
    *list = (struct value_ref){ l, ENC_QUICKLIST };
}

void list_expect(struct value_ref *list, const struct bytes *elements, size_t n,
                 const struct types_limits *limits)
{
    if (list->enc != ENC_LISTPACK)
        return;
    const struct fill f = fill_of(limits);
    size_t bytes = lp_bytes(list->object);
    for (size_t i = 0; i < n; i++) {
        if (__builtin_add_overflow(bytes, elements[i].n, &bytes))
            bytes = SIZE_MAX;
    }
    if (!fits(&f, bytes, lp_count(list->object) + n))
        become_chunks(list);
}

void list_relax(struct value_ref *list, const struct types_limits *limits)
{
    if (list->enc != ENC_QUICKLIST)
        return;
    struct list *l = list->object;
    if (l->chunks != 1)
        return;
    struct chunk *c = list_at(l, 0);
    const struct fill f = fill_of(limits);
    if (c->plain || c->n > f.count / 2 ||
        (f.count == UINT64_MAX && lp_bytes(c->data) > f.bytes / 2))
        return;
    uint8_t *lp = c->data;
    l->chunks = 0;
    list_free(*list);
    *list = (struct value_ref){ lp, ENC_LISTPACK };
}

/* ---- places ---- */

/* The chunk that holds an element and where in it; the index is valid. */
static uint32_t chunk_of(const struct list *l, uint64_t index, uint32_t *ret_within)
{
    uint32_t i;
    if (index <= l->count / 2) {
        for (i = 0; index >= list_at(l, i)->n; i++)
            index -= list_at(l, i)->n;
        *ret_within = (uint32_t)index;
        return i;
    }
    uint64_t from_end = l->count - index; /* 1: the last */
    for (i = l->chunks - 1; from_end > list_at(l, i)->n; i--)
        from_end -= list_at(l, i)->n;
    *ret_within = (uint32_t)(list_at(l, i)->n - from_end);
    return i;
}

static bool index_of(uint64_t count, int64_t index, uint64_t *ret_index)
{
    if (index < 0)
        index += (int64_t)count;
    if (index < 0 || (uint64_t)index >= count)
        return false;
    *ret_index = (uint64_t)index;
    return true;
}

/* ---- pushing ---- */

void list_push(struct value_ref *list, enum list_end end, struct bytes s, struct blob *shared,
               const struct types_limits *limits)
{
    if (list->enc == ENC_LISTPACK) {
        uint8_t *lp = list->object;
        if (end == LIST_TAIL)
            lp_append(&lp, s);
        else
            lp_prepend(&lp, s);
        list->object = lp;
        return;
    }
    struct list *l = list->object;
    const struct fill f = fill_of(limits);
    uint32_t i = end == LIST_HEAD ? 0 : l->chunks - 1;
    l->count++;
    if (l->chunks == 0 || !takes(&f, list_at(l, i), s.n)) {
        insert_chunk(l, end == LIST_HEAD ? 0 : l->chunks, chunk_new(&f, s, shared));
        return;
    }
    struct chunk *c = list_at(l, i);
    uint8_t *lp = c->data;
    if (end == LIST_TAIL)
        lp_append(&lp, s);
    else
        lp_prepend(&lp, s);
    c->data = lp;
    c->n++;
}

/* ---- inserting in the middle ---- */

/* Cuts chunk i in front of its element `within`; both parts have some. */
static void split_chunk(struct list *l, uint32_t i, uint32_t within)
{
    struct chunk *c = list_at(l, i);
    uint8_t *lp = c->data;
    uint8_t *tail = lp_split(&lp, lp_seek(lp, within));
    struct chunk rest = { tail, c->n - within, false };
    c->data = lp;
    c->n = within;
    insert_chunk(l, i + 1, rest);
}

/* Joins chunks i and i + 1 if one may hold both. */
static bool merge_chunks(struct list *l, const struct fill *f, uint32_t i)
{
    if (i + 1 >= l->chunks)
        return false;
    struct chunk *a = list_at(l, i), *b = list_at(l, i + 1);
    if (a->plain || b->plain ||
        !fits(f, lp_bytes(a->data) + lp_bytes(b->data) - LP_EMPTY, a->n + (uint64_t)b->n))
        return false;
    uint8_t *lp = a->data;
    const uint8_t *first = lp_begin(b->data);
    lp_append_entries(&lp, first, (size_t)(lp_end(b->data) - first), b->n);
    a->data = lp;
    a->n += b->n;
    drop_chunk(l, i + 1);
    return true;
}

/* Chunk i came from a split: it and its neighbours may be small. */
static void merge_around(struct list *l, const struct fill *f, uint32_t i)
{
    if (i >= 2 && merge_chunks(l, f, i - 2))
        i--;
    if (i + 2 < l->chunks)
        merge_chunks(l, f, i + 1);
    if (i >= 1 && merge_chunks(l, f, i - 1))
        i--;
    merge_chunks(l, f, i);
}

static void insert_in_chunk(struct list *l, uint32_t i, uint32_t within, struct bytes s)
{
    struct chunk *c = list_at(l, i);
    uint8_t *lp = c->data;
    lp_insert(&lp, within == c->n ? lp_end(lp) : lp_seek(lp, within), s);
    c->data = lp;
    c->n++;
}

/* Inserts in front of element `within` of chunk i (or behind its last). */
static void insert_at(struct list *l, uint32_t i, uint32_t within, struct bytes s,
                      struct blob *shared, const struct fill *f)
{
    l->count++;
    struct chunk *c = list_at(l, i);
    if (l->fixed || takes(f, c, s.n)) {
        insert_in_chunk(l, i, within, s);
    } else if (within == c->n && i + 1 < l->chunks && takes(f, list_at(l, i + 1), s.n)) {
        insert_in_chunk(l, i + 1, 0, s);
    } else if (within == 0 && i > 0 && takes(f, list_at(l, i - 1), s.n)) {
        insert_in_chunk(l, i - 1, list_at(l, i - 1)->n, s);
    } else if (within == 0 || within == c->n) {
        insert_chunk(l, within == 0 ? i : i + 1, chunk_new(f, s, shared));
    } else {
        split_chunk(l, i, within);
        if (is_large(f, s.n)) {
            insert_chunk(l, i + 1, chunk_new(f, s, shared));
        } else {
            insert_in_chunk(l, i, within, s);
            merge_around(l, f, i);
        }
    }
}

bool list_insert(struct value_ref *list, struct bytes pivot, bool after, struct bytes s,
                 struct blob *shared, const struct types_limits *limits)
{
    struct opened o;
    struct list *l = list_open(*list, &o);
    const struct fill f = fill_of(limits);
    const struct list_needle needle = list_needle_of(pivot);
    for (uint32_t i = 0; i < l->chunks; i++) {
        const struct chunk *c = list_at(l, i);
        uint32_t within = 0;
        if (c->plain) {
            if (!bytes_eq(blob_bytes(c->data), pivot))
                continue;
        } else {
            const uint8_t *p = lp_begin(c->data);
            struct element e;
            for (; !lp_is_end(p); p = lp_skip(p), within++) {
                lp_get(p, &e);
                if (list_matches(&e, &needle))
                    break;
            }
            if (lp_is_end(p))
                continue;
        }
        insert_at(l, i, within + after, s, shared, &f);
        list_close(list, &o);
        return true;
    }
    return false;
}

/* ---- deleting and replacing ---- */

static void delete_in_chunk(struct list *l, uint32_t i, uint32_t within, uint32_t n)
{
    struct chunk *c = list_at(l, i);
    c->n -= n;
    l->count -= n;
    if (!c->plain) {
        uint8_t *lp = c->data;
        lp_delete(&lp, lp_seek(lp, within), n);
        c->data = lp;
    }
}

void list_delete(struct value_ref *list, uint64_t from, uint64_t n)
{
    struct opened o;
    struct list *l = list_open(*list, &o);
    ASSERT(from <= l->count && n <= l->count - from);
    if (n == 0)
        return;
    uint32_t within, i = chunk_of(l, from, &within);
    while (n > 0) {
        uint32_t there = list_at(l, i)->n - within, part = n < there ? (uint32_t)n : there;
        n -= part;
        if (part == list_at(l, i)->n && !l->fixed) {
            l->count -= part;
            drop_chunk(l, i);
        } else {
            delete_in_chunk(l, i, within, part);
            i++;
        }
        within = 0;
    }
    list_close(list, &o);
}

bool list_set(struct value_ref *list, int64_t at, struct bytes s, struct blob *shared,
              const struct types_limits *limits)
{
    struct opened o;
    struct list *l = list_open(*list, &o);
    const struct fill f = fill_of(limits);
    uint64_t index;
    uint32_t within;
    if (!index_of(l->count, at, &index))
        return false;
    uint32_t i = chunk_of(l, index, &within);
    struct chunk *c = list_at(l, i);
    if (!c->plain &&
        (l->fixed || (!is_large(&f, s.n) && lp_fits(c->data, s.n + LP_OVERHEAD_MAX)))) {
        uint8_t *lp = c->data;
        lp_replace(&lp, lp_seek(lp, within), s);
        c->data = lp;
    } else if (c->plain && i + 1 < l->chunks && takes(&f, list_at(l, i + 1), s.n)) {
        drop_chunk(l, i); /* what was large is not any more, and goes to its neighbour */
        insert_in_chunk(l, i, 0, s);
    } else if (c->n == 1) {
        struct chunk other = chunk_new(&f, s, shared);
        chunk_free(c);
        *c = other;
    } else {
        delete_in_chunk(l, i, within, 1);
        insert_at(l, i, within, s, shared, &f);
    }
    list_close(list, &o);
    return true;
}

static uint64_t remove_forwards(struct list *l, struct bytes s, uint64_t max)
{
    uint64_t removed = 0;
    for (uint32_t i = 0; i < l->chunks && removed < max;) {
        struct chunk *c = list_at(l, i);
        if (c->plain) {
            if (bytes_eq(blob_bytes(c->data), s)) {
                delete_in_chunk(l, i, 0, 1);
                removed++;
            }
        } else {
            uint8_t *lp = c->data, *p = lp_begin(lp);
            while (removed < max && (p = lp_find(p, s, 0))) {
                p = lp_delete(&lp, p, 1);
                c->n--;
                l->count--;
                removed++;
            }
            c->data = lp;
        }
        if (!drop_if_empty(l, i))
            i++;
    }
    return removed;
}

static uint64_t remove_backwards(struct list *l, struct bytes s, uint64_t max)
{
    const struct list_needle needle = list_needle_of(s);
    uint64_t removed = 0;
    for (uint32_t i = l->chunks; i-- > 0 && removed < max;) {
        struct chunk *c = list_at(l, i);
        if (c->plain) {
            if (bytes_eq(blob_bytes(c->data), s)) {
                delete_in_chunk(l, i, 0, 1);
                removed++;
            }
        } else {
            uint8_t *lp = c->data, *p = lp_last(lp);
            while (p && removed < max) {
                struct element e;
                lp_get(p, &e);
                if (list_matches(&e, &needle)) {
                    p = lp_delete(&lp, p, 1);
                    c->n--;
                    l->count--;
                    removed++;
                }
                p = lp_prev(lp, p);
            }
            c->data = lp;
        }
        drop_if_empty(l, i);
    }
    return removed;
}

uint64_t list_remove(struct value_ref *list, struct bytes s, enum list_end end, uint64_t max)
{
    struct opened o;
    struct list *l = list_open(*list, &o);
    if (max == 0)
        max = UINT64_MAX;
    uint64_t removed = end == LIST_HEAD ? remove_forwards(l, s, max) : remove_backwards(l, s, max);
    list_close(list, &o);
    return removed;
}

/* ---- reading ---- */

struct list_needle list_needle_of(struct bytes s)
{
    struct list_needle n = { .s = s };
    n.integer = num_parse_i64(s, &n.i);
    return n;
}

static void get_blob(struct blob *b, struct element *ret)
{
    *ret = (struct element){ .s = blob_bytes(b), .blob = b };
}

bool list_get(struct value_ref list, int64_t at, struct element *ret)
{
    if (list.enc == ENC_LISTPACK) {
        const uint8_t *p = lp_seek(list.object, at);
        if (p)
            lp_get(p, ret);
        return p != NULL;
    }
    const struct list *l = list.object;
    uint64_t index;
    uint32_t within;
    if (!index_of(l->count, at, &index))
        return false;
    const struct chunk *c = list_at(l, chunk_of(l, index, &within));
    if (c->plain)
        get_blob(c->data, ret);
    else
        lp_get(lp_seek(c->data, within), ret);
    return true;
}

void list_walk_begin(struct list_walk *w, struct value_ref list, uint64_t index, bool backwards)
{
    *w = (struct list_walk){ .list = list, .backwards = backwards };
    if (list.enc == ENC_LISTPACK) {
        w->p = index > INT64_MAX ? NULL : lp_seek(list.object, (int64_t)index);
        return;
    }
    const struct list *l = list.object;
    uint32_t within;
    if (index >= l->count)
        return;
    w->chunk = chunk_of(l, index, &within);
    const struct chunk *c = list_at(l, w->chunk);
    w->p = c->plain ? c->data : lp_seek(c->data, within);
}

/* Goes on to the neighbour of a chunk that has been walked through. */
static const uint8_t *next_chunk(struct list_walk *w, const struct list *l)
{
    if (w->backwards ? w->chunk == 0 : w->chunk + 1 >= l->chunks)
        return NULL;
    w->chunk = w->backwards ? w->chunk - 1 : w->chunk + 1;
    const struct chunk *c = list_at(l, w->chunk);
    if (c->plain)
        return c->data;
    return w->backwards ? lp_last(c->data) : lp_first(c->data);
}

static const uint8_t *beside(const struct list_walk *w, const uint8_t *lp)
{
    return w->backwards ? lp_prev(lp, w->p) : lp_next(w->p);
}

bool list_walk_next(struct list_walk *w, struct element *ret)
{
    if (!w->p)
        return false;
    if (w->list.enc == ENC_LISTPACK) {
        lp_get(w->p, ret);
        w->p = beside(w, w->list.object);
        return true;
    }
    const struct list *l = w->list.object;
    const struct chunk *c = list_at(l, w->chunk);
    if (c->plain) {
        get_blob(c->data, ret);
        w->p = NULL;
    } else {
        lp_get(w->p, ret);
        w->p = beside(w, c->data);
    }
    if (!w->p)
        w->p = next_chunk(w, l);
    return true;
}

/* ---- saving and loading ---- */

uint32_t list_chunks(struct value_ref list)
{
    return list.enc == ENC_LISTPACK ? 1 : ((const struct list *)list.object)->chunks;
}

const uint8_t *list_chunk(struct value_ref list, uint32_t i, const struct blob **ret_blob)
{
    *ret_blob = NULL;
    if (list.enc == ENC_LISTPACK)
        return list.object;
    ASSERT(i < list_chunks(list));
    const struct chunk *c = list_at(list.object, i);
    if (!c->plain)
        return c->data;
    *ret_blob = c->data;
    return NULL;
}

bool list_load_listpack(struct value_ref *list, struct bytes b, const struct types_limits *limits)
{
    struct lp_facts facts;
    if (!lp_validate(b, &facts) || facts.count == 0)
        return false;
    const struct fill f = fill_of(limits);
    uint8_t *lp = lp_from_bytes(b, &facts);
    if (list->enc == ENC_LISTPACK && lp_is_empty(list->object) &&
        fits(&f, lp_bytes(lp), facts.count)) {
        lp_free(list->object);
        list->object = lp;
        return true;
    }
    if (list->enc == ENC_LISTPACK)
        become_chunks(list);
    struct list *l = list->object;
    insert_chunk(l, l->chunks, (struct chunk){ lp, facts.count, false });
    l->count += facts.count;
    return true;
}
