/* Entries: making and changing them, and the accessors of keyspace.h (layout: entry.h). */
#include "server/keyspace/entry.h"

#include "common/alloc.h"
#include "common/num.h"

/* ---- values ---- */

struct entry_value entry_value_i64(int64_t v)
{
    unsigned form = v == (int16_t)v ? FORM_INT16 : v == (int32_t)v ? FORM_INT32 : ENC_INT;
    return (struct entry_value){ .type = TYPE_STRING, .form = form, .i = v };
}

struct entry_value entry_value_blob(struct blob *take)
{
    return (struct entry_value){ .type = TYPE_STRING, .form = FORM_BLOB, .pointer = take };
}

/* In the entry if that stays in the slabs, also when an expiry comes; or if the key has left them
 * already. */
bool entry_string_is_short(size_t n, size_t key_n)
{
    size_t rest = sizeof(struct entry) + EXPIRY_SHORT + key_size(key_n);
    return n < BLOB_MIN && (rest + short_size(n) <= SLAB_MAX || rest + sizeof(void *) > SLAB_MAX);
}

struct entry_value entry_value_string(struct bytes s, size_t key_n, enum value_encoding encoding)
{
    if (entry_string_is_short(s.n, key_n))
        return (struct entry_value){ .type = TYPE_STRING, .form = encoding, .s = s };
    struct blob *b = blob_new(s.n, s.n);
    memcpy(b->data, s.p, s.n);
    return entry_value_blob(b);
}

static uint8_t *write_value(uint8_t *p, const struct entry_value *v)
{
    if (form_is_short(v->form)) {
        if (v->s.n < LENGTH_ESCAPE) {
            *p++ = (uint8_t)v->s.n;
        } else {
            uint16_t n = (uint16_t)v->s.n;
            *p++ = LENGTH_ESCAPE;
            memcpy(p, &n, sizeof n);
            p += sizeof n;
        }
        if (v->s.n)
            memcpy(p, v->s.p, v->s.n);
        return p + v->s.n;
    }
    if (form_is_int(v->form)) {
        size_t n = value_size(v->form, 0); /* little-endian: the low bytes come first */
        memcpy(p, &v->i, n);
        return p + n;
    }
    memcpy(p, &v->pointer, sizeof v->pointer);
    return p + sizeof v->pointer;
}

/* ---- entries ---- */

static size_t class_of(size_t n)
{
    return n <= SLAB_MAX ? slab_good_size(n) : mem_good_size(n);
}

/* Whole classes are asked for, since a value may grow in place within one. */
static struct entry *entry_alloc(size_t n)
{
    return slab_alloc(class_of(n));
}

static uint8_t *write_expiry(struct entry *e, msec_t at)
{
    size_t n = expiry_size(at);
    if (n == 0) {
        e->head &= ~HEAD_EXPIRES;
        return e->rest;
    }
    e->head |= HEAD_EXPIRES;
    uint64_t w = n == EXPIRY_SHORT ? (uint64_t)at : EXPIRY_ESCAPE;
    memcpy(e->rest, &w, EXPIRY_SHORT);
    if (n == EXPIRY_LONG)
        memcpy(e->rest + EXPIRY_SHORT, &at, sizeof at);
    return e->rest + n;
}

static uint8_t *write_key(uint8_t *p, struct bytes key)
{
    if (key.n < LENGTH_ESCAPE) {
        *p++ = (uint8_t)key.n;
    } else {
        ASSERT(key.n <= UINT32_MAX);
        uint32_t n = (uint32_t)key.n;
        *p++ = LENGTH_ESCAPE;
        memcpy(p, &n, sizeof n);
        p += sizeof n;
    }
    if (key.n)
        memcpy(p, key.p, key.n);
    return p + key.n;
}

struct entry *entry_new(struct bytes key, msec_t expire, const struct entry_value *v,
                        uint32_t access)
{
    size_t n =
        sizeof(struct entry) + expiry_size(expire) + key_size(key.n) + value_size(v->form, v->s.n);
    struct entry *e = entry_alloc(n);
    e->head = head_make(v->type, v->form, access);
    (void)write_value(write_key(write_expiry(e, expire), key), v);
    return e;
}

void entry_free(struct entry *e)
{
    slab_free(e, entry_size(e));
}

bool entry_fits(const struct entry *e, msec_t expire, const struct entry_value *v)
{
    const uint8_t *value = value_at(e);
    unsigned form = head_form(e);
    size_t head_and_key = (size_t)(value - (const uint8_t *)e);
    size_t now = head_and_key + value_size(form, form_is_short(form) ? short_at(value).n : 0);
    size_t then =
        head_and_key - entry_expiry_size(e) + expiry_size(expire) + value_size(v->form, v->s.n);
    return class_of(now) == class_of(then);
}

/* Makes room for another size of expiry, or takes it away: moves the next `n` bytes. */
static void move_rest(struct entry *e, msec_t expire, size_t n)
{
    size_t old = entry_expiry_size(e), new = expiry_size(expire);
    if (old != new)
        memmove(e->rest + new, e->rest + old, n);
}

void entry_overwrite(struct entry *e, msec_t expire, const struct entry_value *v, uint32_t access)
{
    uint8_t *value = value_at(e);
    size_t old = entry_expiry_size(e), new = expiry_size(expire);
    move_rest(e, expire, (size_t)(value - e->rest) - old);
    uint32_t expires = e->head & HEAD_EXPIRES;
    e->head = head_make(v->type, v->form, access) | expires;
    (void)write_expiry(e, expire);
    (void)write_value(value - old + new, v);
}

struct entry *entry_with_expire(struct entry *e, msec_t expire)
{
    size_t n = entry_size(e), old = entry_expiry_size(e), new = expiry_size(expire);
    size_t rest = n - sizeof *e - old;
    if (class_of(n) == class_of(n - old + new)) {
        move_rest(e, expire, rest);
        (void)write_expiry(e, expire);
        return e;
    }
    struct entry *moved = entry_alloc(n - old + new);
    moved->head = e->head;
    memcpy(write_expiry(moved, expire), e->rest + old, rest);
    slab_free(e, n);
    return moved;
}

struct entry *entry_with_key(struct entry *e, struct bytes key)
{
    size_t n = entry_size(e), expiry = entry_expiry_size(e), old = key_size(key_of(e).n);
    const uint8_t *value = value_at(e);
    struct entry *moved = entry_alloc(n - old + key_size(key.n));
    moved->head = e->head;
    memcpy(moved->rest, e->rest, expiry);
    memcpy(write_key(moved->rest + expiry, key), value, n - (size_t)(value - (uint8_t *)e));
    slab_free(e, n);
    return moved;
}

/* ---- accessors ---- */

struct bytes entry_key(const struct entry *e)
{
    return key_of(e);
}

enum value_type entry_type(const struct entry *e)
{
    return head_type(e);
}

enum value_encoding entry_encoding(const struct entry *e)
{
    unsigned form = head_form(e);
    if (form == FORM_BLOB)
        return ENC_RAW;
    return form_is_int(form) ? ENC_INT : (enum value_encoding)form;
}

msec_t entry_expire(const struct entry *e)
{
    return expiry_get(e);
}

struct bytes entry_string(const struct entry *e, char scratch[static 24])
{
    ASSERT(head_type(e) == TYPE_STRING);
    const uint8_t *value = value_at(e);
    unsigned form = head_form(e);
    if (form_is_short(form))
        return short_at(value);
    if (form == FORM_BLOB)
        return blob_bytes(pointer_at(value));
    return bytes_of(scratch, num_format_i64(scratch, int_at(value, form)));
}

size_t entry_string_len(const struct entry *e)
{
    ASSERT(head_type(e) == TYPE_STRING);
    const uint8_t *value = value_at(e);
    unsigned form = head_form(e);
    if (form_is_short(form))
        return short_at(value).n;
    if (form == FORM_BLOB)
        return ((struct blob *)pointer_at(value))->n;
    return num_len_i64(int_at(value, form));
}

bool entry_string_i64(const struct entry *e, int64_t *ret_v)
{
    ASSERT(head_type(e) == TYPE_STRING);
    const uint8_t *value = value_at(e);
    unsigned form = head_form(e);
    if (form_is_int(form)) {
        *ret_v = int_at(value, form);
        return true;
    }
    return form_is_short(form) && num_parse_i64(short_at(value), ret_v);
}

struct blob *entry_blob(const struct entry *e)
{
    return head_form(e) == FORM_BLOB ? pointer_at(value_at(e)) : NULL;
}

void *entry_object(const struct entry *e)
{
    ASSERT(head_type(e) != TYPE_STRING);
    return pointer_at(value_at(e));
}

void entry_set_object(struct entry *e, void *object, enum value_encoding encoding)
{
    ASSERT(head_type(e) != TYPE_STRING);
    memcpy(value_at(e), &object, sizeof object);
    entry_set_encoding(e, encoding);
}

void entry_set_encoding(struct entry *e, enum value_encoding encoding)
{
    unsigned form = head_form(e);
    if (form == FORM_BLOB && encoding == ENC_RAW)
        return;
    if (head_type(e) == TYPE_STRING) {
        ASSERT(form_is_short(form)); /* raw and embstr have the same layout, the others have not */
        ASSERT(form_is_short((unsigned)encoding));
    }
    e->head = (e->head & ~(15u << 3)) | (uint32_t)encoding << 3;
}

size_t entry_own_bytes(const struct entry *e)
{
    size_t n = class_of(entry_size(e));
    return head_form(e) == FORM_BLOB ? n + mem_usable(entry_blob(e)) : n;
}

size_t entry_memory(const struct entry *e, uint64_t samples)
{
    enum { TABLE_SHARE = 10 }; /* 64 bytes for 8 slots at 80 % */
    size_t n = class_of(entry_size(e)) + TABLE_SHARE;
    if (head_form(e) == FORM_BLOB)
        return n + mem_usable(entry_blob(e));
    if (head_type(e) == TYPE_STRING)
        return n;
    return n + value_ops(head_type(e))->memory(entry_object(e), entry_encoding(e), samples);
}
