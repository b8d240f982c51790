#include "tests/sim/checks.h"

#include "common/alloc.h"
#include "common/crc64.h"

struct seen {
    uint64_t key, digest; /* key 0 = free */
    int host;
};

struct checks {
    struct world *world;
    struct seen *table;
    size_t n, cap;
};

struct checks *checks_new(struct world *w)
{
    struct checks *c = mem_zalloc(sizeof(*c));
    c->world = w;
    c->cap = 1 << 12;
    c->table = mem_zalloc(c->cap * sizeof(*c->table));
    return c;
}

void checks_free(struct checks *c)
{
    mem_free(c->table);
    mem_free(c);
}

static struct seen *slot(const struct checks *c, uint64_t key)
{
    size_t i = key & (c->cap - 1);
    while (c->table[i].key && c->table[i].key != key)
        i = (i + 1) & (c->cap - 1);
    return &c->table[i];
}

static void grow(struct checks *c)
{
    struct seen *old = c->table;
    size_t n = c->cap;
    c->cap *= 2;
    c->table = mem_zalloc(c->cap * sizeof(*c->table));
    for (size_t i = 0; i < n; i++)
        if (old[i].key)
            *slot(c, old[i].key) = old[i];
    mem_free(old);
}

void checks_state(struct checks *c, int host, const char *id, int64_t offset, uint64_t digest)
{
    uint64_t key = crc64(crc64(1, bytes_of(id, REPL_ID_LEN)), bytes_of(&offset, sizeof(offset))) | 1;
    struct seen *s = slot(c, key);
    if (!s->key) {
        *s = (struct seen){ key, digest, host };
        if (++c->n > c->cap / 2)
            grow(c);
    } else if (s->digest != digest) {
        world_fail(c->world, "%s:%lld means one thing on %s and another on %s", id, (long long)offset,
                   world_name(c->world, host), world_name(c->world, s->host));
    }
}

void checks_monotone(struct checks *c, int host, const char *id_before, int64_t before, const char *id, int64_t after)
{
    if (memcmp(id_before, id, REPL_ID_LEN) == 0 && after < before)
        world_fail(c->world, "the offset of %s went back from %lld to %lld within %s", world_name(c->world, host),
                   (long long)before, (long long)after, id);
}

uint64_t checks_states(const struct checks *c)
{
    return c->n;
}
