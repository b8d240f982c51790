/* Digests (see debug_digest.h): SHA-1 of each key with its value, added up by xor, so that order does not matter. */
#include "server/commands/debug_digest.h"

#include "common/sha.h"
#include "common/text.h"

static void add(struct sha1 *h, struct bytes b)
{
    uint64_t n = b.n; /* lengths keep "ab"+"c" and "a"+"bc" apart */
    sha1_add(h, bytes_of(&n, sizeof(n)));
    sha1_add(h, b);
}

static void add_value(struct sha1 *h, const struct entry *e)
{
    char scratch[24];
    add(h, bytes_of_str(value_type_name(entry_type(e))));
    if (entry_type(e) == TYPE_STRING) {
        add(h, entry_string(e, scratch));
    } else {
        struct digest content = { { 0 } };
        value_ops(entry_type(e))->digest(entry_object(e), entry_encoding(e), content.bits);
        add(h, bytes_of(content.bits, sizeof(content.bits)));
    }
    msec_t at = entry_expire(e);
    if (at != NO_EXPIRE)
        add(h, bytes_of(&at, sizeof(at)));
}

void digest_value(const struct entry *e, struct digest *ret)
{
    struct sha1 h;
    sha1_init(&h);
    add_value(&h, e);
    sha1_done(&h, ret->bits);
}

struct sum {
    int db;
    struct digest *total;
};

static void add_key(void *ctx, struct entry *e)
{
    const struct sum *s = ctx;
    struct sha1 h;
    struct digest one;
    sha1_init(&h);
    add(&h, bytes_of(&s->db, sizeof(s->db)));
    add(&h, entry_key(e));
    add_value(&h, e);
    sha1_done(&h, one.bits);
    for (size_t i = 0; i < sizeof(one.bits); i++)
        s->total->bits[i] ^= one.bits[i];
}

void digest_keyspace(struct keyspace *ks, struct digest *ret)
{
    *ret = (struct digest){ { 0 } };
    for (int i = 0; i < ks_databases(ks); i++) {
        struct sum s = { i, ret };
        uint64_t cursor = 0;
        do { /* nothing changes in between: every key is seen exactly once */
            cursor = db_scan(ks_db(ks, i), cursor, add_key, &s);
        } while (cursor);
    }
}

void digest_hex(const struct digest *d, char text[static 41])
{
    text_hex(text, d->bits, sizeof(d->bits));
    text[40] = '\0';
}
