/* A small open-addressed table of pointers, for names of nodes and numbers of links. */
#include "cluster/machine.h"

#include "common/alloc.h"
#include "common/assert.h"

void map_done(struct map *m)
{
    mem_free(m->v);
    *m = (struct map){ 0 };
}

static void insert(struct map *m, uint64_t hash, void *item)
{
    size_t i = hash & (m->cap - 1);
    while (m->v[i].item)
        i = (i + 1) & (m->cap - 1);
    m->v[i] = (struct map_slot){ hash, item };
}

void map_put(struct map *m, uint64_t hash, void *item)
{
    if ((m->n + 1) * 2 > m->cap) {
        struct map old = *m;
        m->cap = old.cap ? old.cap * 2 : 16;
        m->v = mem_zalloc(m->cap * sizeof *m->v);
        for (size_t i = 0; i < old.cap; i++)
            if (old.v[i].item)
                insert(m, old.v[i].hash, old.v[i].item);
        mem_free(old.v);
    }
    insert(m, hash, item);
    m->n++;
}

void *map_find(const struct map *m, uint64_t hash, bool (*is)(const void *, const void *), const void *key)
{
    if (!m->cap)
        return NULL;
    for (size_t i = hash & (m->cap - 1); m->v[i].item; i = (i + 1) & (m->cap - 1))
        if (m->v[i].hash == hash && is(m->v[i].item, key))
            return m->v[i].item;
    return NULL;
}

/* What stands behind the gap moves up if its way from home leads over it. */
void map_remove(struct map *m, uint64_t hash, const void *item)
{
    ASSERT(m->cap > 0);
    size_t gap = hash & (m->cap - 1);
    while (m->v[gap].item != item) {
        ASSERT(m->v[gap].item != NULL);
        gap = (gap + 1) & (m->cap - 1);
    }
    for (size_t i = (gap + 1) & (m->cap - 1); m->v[i].item; i = (i + 1) & (m->cap - 1)) {
        size_t from_home = (i - m->v[i].hash) & (m->cap - 1), from_gap = (i - gap) & (m->cap - 1);
        if (from_home >= from_gap) {
            m->v[gap] = m->v[i];
            gap = i;
        }
    }
    m->v[gap].item = NULL;
    m->n--;
}
