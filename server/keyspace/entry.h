/* A key with its value in one allocation.
 *
 *   head  4 bytes:  type 3 bits | form 4 | has an expiry 1 | access 24 (LRU clock, or LFU minutes
 * and counter) expiry 0, 6 or 14 bytes: ms since 1970 in 48 bits; all ones: the next 8 bytes have
 * it (times beyond the year 10889) key    1 byte length (255: 4 more bytes have it), bytes value by
 * form: short string (1 byte length, 255: 2 more; bytes), integer of 2, 4 or 8 bytes, or an 8-byte
 * pointer
 *
 * Nothing is aligned but the head. The size follows from the content, so nothing tells the
 * allocator's class; a value is changed in place only when the class stays the same. Access bits
 * and all else are only written when they change, so that reads leave a page as it is. */
#pragma once

#include "common/hash.h"
#include "common/slab.h"
#include "common/table.h"
#include "server/keyspace/keyspace.h"

struct entry {
    uint32_t head;
    uint8_t rest[];
};

/* Encodings of values, and those that only the entry knows. */
enum entry_form {
    FORM_BLOB = ENCODINGS_N, /* a raw string that is in a blob */
    FORM_INT16,
    FORM_INT32,
};
STATIC_ASSERT(FORM_INT32 < 16, "a form has 4 bits");
STATIC_ASSERT(TYPES_N <= 8, "a type has 3 bits");
STATIC_ASSERT(sizeof(struct entry) == 4, "the head");

#define HEAD_EXPIRES      (1u << 7)
#define HEAD_ACCESS_SHIFT 8
#define EXPIRY_SHORT      6
#define EXPIRY_LONG       14
#define EXPIRY_ESCAPE     0xFFFFFFFFFFFFull
#define LENGTH_ESCAPE     255u

static inline uint32_t head_make(enum value_type type, unsigned form, uint32_t access)
{
    return (uint32_t)type | form << 3 | access << HEAD_ACCESS_SHIFT;
}

static inline enum value_type head_type(const struct entry *e)
{
    return (enum value_type)(e->head & 7);
}

static inline unsigned head_form(const struct entry *e)
{
    return e->head >> 3 & 15;
}

static inline uint32_t head_access(const struct entry *e)
{
    return e->head >> HEAD_ACCESS_SHIFT;
}

static inline void head_set_access(struct entry *e, uint32_t access)
{
    uint32_t head = (e->head & ((1u << HEAD_ACCESS_SHIFT) - 1)) | access << HEAD_ACCESS_SHIFT;
    if (e->head != head)
        e->head = head;
}

/* ---- expiry ---- */

static inline uint64_t expiry_word(const struct entry *e)
{
    uint32_t low;
    uint16_t high;
    memcpy(&low, e->rest, sizeof low);
    memcpy(&high, e->rest + sizeof low, sizeof high);
    return (uint64_t)high << 32 | low;
}

static inline msec_t expiry_get(const struct entry *e)
{
    if (!(e->head & HEAD_EXPIRES))
        return NO_EXPIRE;
    uint64_t w = expiry_word(e);
    if (__builtin_expect(w != EXPIRY_ESCAPE, 1))
        return (msec_t)w;
    msec_t at;
    memcpy(&at, e->rest + EXPIRY_SHORT, sizeof at);
    return at;
}

/* Bytes that an expiry takes. */
static inline size_t expiry_size(msec_t at)
{
    if (at == NO_EXPIRE)
        return 0;
    return (uint64_t)at < EXPIRY_ESCAPE ? EXPIRY_SHORT : EXPIRY_LONG;
}

static inline __attribute__((always_inline)) size_t entry_expiry_size(const struct entry *e)
{
    if (!(e->head & HEAD_EXPIRES))
        return 0;
    return expiry_word(e) != EXPIRY_ESCAPE ? EXPIRY_SHORT : EXPIRY_LONG;
}

/* The table's time for it. */
static inline int64_t due_of(msec_t expire)
{
    return expire == NO_EXPIRE ? TABLE_NOT_DUE : expire;
}

/* ---- key ---- */

static inline __attribute__((always_inline)) struct bytes key_of(const struct entry *e)
{
    const uint8_t *p = e->rest + entry_expiry_size(e);
    if (__builtin_expect(*p != LENGTH_ESCAPE, 1))
        return bytes_of(p + 1, *p);
    uint32_t n;
    memcpy(&n, p + 1, sizeof n);
    return bytes_of(p + 1 + sizeof n, n);
}

static inline size_t key_size(size_t n)
{
    return n < LENGTH_ESCAPE ? 1 + n : 1 + sizeof(uint32_t) + n;
}

/* ---- value ---- */

static inline uint8_t *value_at(const struct entry *e)
{
    struct bytes key = key_of(e);
    return (uint8_t *)key.p + key.n;
}

static inline bool form_is_short(unsigned form) /* the string is in the entry */
{
    return form == ENC_RAW || form == ENC_EMBSTR;
}

static inline bool form_is_int(unsigned form)
{
    return form == ENC_INT || form == FORM_INT16 || form == FORM_INT32;
}

static inline bool entry_has_pointer(const struct entry *e) /* to a blob or an object */
{
    unsigned form = head_form(e);
    return head_type(e) != TYPE_STRING || form == FORM_BLOB;
}

static inline struct bytes short_at(const uint8_t *value)
{
    if (*value != LENGTH_ESCAPE)
        return bytes_of(value + 1, *value);
    uint16_t n;
    memcpy(&n, value + 1, sizeof n);
    return bytes_of(value + 1 + sizeof n, n);
}

static inline int64_t int_at(const uint8_t *value, unsigned form)
{
    if (form == FORM_INT16) {
        int16_t v;
        memcpy(&v, value, sizeof v);
        return v;
    }
    if (form == FORM_INT32) {
        int32_t v;
        memcpy(&v, value, sizeof v);
        return v;
    }
    int64_t v;
    memcpy(&v, value, sizeof v);
    return v;
}

static inline void *pointer_at(const uint8_t *value)
{
    void *p;
    memcpy(&p, value, sizeof p);
    return p;
}

static inline size_t short_size(size_t n)
{
    return n < LENGTH_ESCAPE ? 1 + n : 1 + sizeof(uint16_t) + n;
}

/* Bytes of a value of this form; `n` matters for short strings only. */
static inline size_t value_size(unsigned form, size_t n)
{
    if (form_is_short(form))
        return short_size(n);
    return form == FORM_INT16 ? 2 : form == FORM_INT32 ? 4 : 8;
}

static inline size_t entry_size(const struct entry *e)
{
    const uint8_t *value = value_at(e);
    unsigned form = head_form(e);
    size_t n = form_is_short(form) ? short_at(value).n : 0;
    return (size_t)(value - (const uint8_t *)e) + value_size(form, n);
}

/* ---- making and changing (entry.c) ---- */

/* A value on its way into an entry. */
struct entry_value {
    enum value_type type;
    unsigned form;
    struct bytes s; /* short strings; may not lie in the entry that it goes to */
    int64_t i;      /* integers */
    void *pointer;  /* blobs and objects */
};

struct entry_value entry_value_i64(int64_t v);
/* Bytes that become the value: embedded, or copied to a blob when too long for that next to a key
 * of key_n bytes. */
struct entry_value entry_value_string(struct bytes s, size_t key_n, enum value_encoding);
struct entry_value entry_value_blob(struct blob *take);
bool entry_string_is_short(size_t n, size_t key_n); /* a string of n bytes would be embedded */

struct entry *entry_new(struct bytes key, msec_t expire, const struct entry_value *,
                        uint32_t access);
void entry_free(struct entry *); /* without its value's blob or object */
/* True when the entry could take this expiry and value in place. */
bool entry_fits(const struct entry *, msec_t expire, const struct entry_value *);
/* Bytes set aside for it and, of a string, for its blob. */
size_t entry_own_bytes(const struct entry *);
/* Writes them; what the old value pointed to is the caller's. */
void entry_overwrite(struct entry *, msec_t expire, const struct entry_value *, uint32_t access);
/* Another expiry: in place if it fits, else a new entry that has all of the old one (which is
 * freed). */
struct entry *entry_with_expire(struct entry *take, msec_t expire);
/* The same value, expiry and access under another key; the old entry is freed. */
struct entry *entry_with_key(struct entry *take, struct bytes key);

static inline bool entry_is_expired(const struct entry *e, msec_t now)
{
    return e->head & HEAD_EXPIRES && now > expiry_get(e);
}

/* The table's view of entries. */
static inline __attribute__((always_inline)) struct bytes entry_table_key(const void *item)
{
    return key_of(item);
}

static inline int64_t entry_table_due(const void *item)
{
    return due_of(expiry_get(item));
}

static const struct table_kind entry_kind = { entry_table_key, hash_bytes, entry_table_due };
