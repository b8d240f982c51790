/* Slots, masters, loads (see model.h). */
#include "model.h"

#include <stdio.h>

#include "common/alloc.h"
#include "common/crc16.h"

const char *const metric_names[METRICS] = { "keys", "memory", "cpu", "ops" };
const char *const metric_units[METRICS] = { "keys", "bytes", "us", "ops" };

bool metric_parse(const char *text, enum metric *ret_metric)
{
    for (int i = 0; i < METRICS; i++) {
        if (strcmp(text, metric_names[i]) != 0)
            continue;
        *ret_metric = (enum metric)i;
        return true;
    }
    return false;
}

void slot_map_init(struct slot_map *m)
{
    memset(m, 0, sizeof(*m));
    for (int s = 0; s < SLOTS; s++)
        m->owner[s] = -1;
}

void slot_map_done(struct slot_map *m)
{
    mem_free(m->masters);
    m->masters = NULL;
    m->masters_n = 0;
}

int slot_map_add_master(struct slot_map *m, const char *id, const char *host, int port)
{
    if (m->masters_n == MASTERS_MAX)
        return -1;
    m->masters = mem_realloc(m->masters, (size_t)(m->masters_n + 1) * sizeof(*m->masters));
    struct master *one = &m->masters[m->masters_n];
    (void)snprintf(one->id, sizeof(one->id), "%s", id);
    (void)snprintf(one->host, sizeof(one->host), "%s", host);
    one->port = port;
    return m->masters_n++;
}

void slot_map_even(struct slot_map *m, int masters)
{
    slot_map_done(m);
    double share = (double)SLOTS / masters, at = 0;
    int first = 0;
    for (int i = 0; i < masters; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "node%d", i + 1);
        (void)slot_map_add_master(m, id, "", 0);
        at += share;
        int last = i == masters - 1 ? SLOTS - 1 : (int)(at - 1 + 0.5);
        for (int s = first; s <= last; s++)
            m->owner[s] = (int16_t)i;
        first = last + 1;
    }
}

struct bytes hash_tag(struct bytes key, bool *ret_tagged)
{
    *ret_tagged = false;
    const char *open = memchr(key.p, '{', key.n);
    if (!open)
        return key;
    open++;
    const char *end = memchr(open, '}', key.n - (size_t)(open - key.p));
    if (!end || end == open)
        return key;
    *ret_tagged = true;
    return bytes_of(open, (size_t)(end - open));
}

unsigned key_slot(struct bytes key)
{
    bool tagged;
    return crc16(hash_tag(key, &tagged)) % SLOTS;
}

double loads_by_master(const struct slot_map *m, const int16_t owner[SLOTS], enum metric by, double *ret_loads)
{
    double sum = 0;
    for (int i = 0; i < m->masters_n; i++)
        ret_loads[i] = 0;
    for (int s = 0; s < SLOTS; s++) {
        if (owner[s] < 0)
            continue;
        ret_loads[owner[s]] += m->loads[s].of[by];
        sum += m->loads[s].of[by];
    }
    return sum;
}

double max_over_mean(const double *loads, int n)
{
    double sum = 0, max = 0;
    for (int i = 0; i < n; i++) {
        sum += loads[i];
        max = loads[i] > max ? loads[i] : max;
    }
    return sum > 0 ? max * n / sum : 1;
}
