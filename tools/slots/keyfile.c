/* Reading files of keys and slots (see keyfile.h). */
#include "keyfile.h"

#include <stdlib.h>

/* What is behind the last TAB, as a number that is not negative; cuts it off. False: that is no number. */
static bool cut_number(char *line, size_t *n, double *ret_v)
{
    char *tab = memrchr(line, '\t', *n), *end;
    if (!tab || tab + 1 == line + *n)
        return false;
    double v = strtod(tab + 1, &end);
    if (end != line + *n || !(v >= 0 && v < 1e18))
        return false;
    *n = (size_t)(tab - line);
    *ret_v = v;
    return true;
}

static bool add_line(char *line, size_t n, struct tags *tags, struct slot_map *map, bool *memory, bool *ops)
{
    struct load l = { .of = { [BY_KEYS] = 1 } };
    size_t tabs = 0;
    for (size_t i = 0; i < n; i++)
        tabs += line[i] == '\t';
    if (tabs > 2 || (tabs == 2 && !cut_number(line, &n, &l.of[BY_OPS])) ||
        (tabs >= 1 && !cut_number(line, &n, &l.of[BY_MEMORY])))
        return false;
    *memory |= tabs >= 1;
    *ops |= tabs == 2;
    tags_add(tags, bytes_of(line, n), &l, map);
    return true;
}

bool keyfile_read(FILE *from, struct tags *tags, struct slot_map *map, bool *ret_has_memory, bool *ret_has_ops,
                  long *ret_line)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    bool ok = true;
    *ret_has_memory = *ret_has_ops = false;
    *ret_line = 0;
    while (ok && (got = getline(&line, &cap, from)) >= 0) {
        size_t n = (size_t)got;
        ++*ret_line;
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            line[--n] = '\0';
        if (n)
            ok = add_line(line, n, tags, map, ret_has_memory, ret_has_ops);
    }
    free(line);
    if (!ok)
        return false;
    *ret_line = 0;
    return !ferror(from);
}

static int owner_of(struct slot_map *map, const char *word)
{
    if (strcmp(word, "-") == 0)
        return -1;
    for (int i = 0; i < map->masters_n; i++)
        if (strcmp(map->masters[i].id, word) == 0)
            return i;
    return slot_map_add_master(map, word, "", 0);
}

bool slotfile_read(FILE *from, struct slot_map *map, long *ret_line)
{
    char line[512], word[41];
    for (*ret_line = 1; fgets(line, sizeof(line), from); ++*ret_line) {
        int slot;
        double v[METRICS] = { 0 };
        if (line[strspn(line, " \t\r\n")] == '\0' || line[0] == '#')
            continue;
        int n = sscanf(line, "%d %40s %lf %lf %lf %lf", &slot, word, &v[0], &v[1], &v[2], &v[3]);
        if (n < 3 || slot < 0 || slot >= SLOTS || map->owner[slot] >= 0)
            return false;
        for (int m = 0; m < METRICS; m++)
            if (!(v[m] >= 0 && v[m] < 1e18))
                return false;
        int owner = owner_of(map, word);
        if (owner < 0 && strcmp(word, "-") != 0)
            return false;
        map->owner[slot] = (int16_t)owner;
        memcpy(map->loads[slot].of, v, sizeof(v));
    }
    *ret_line = 0;
    return !ferror(from) && map->masters_n > 0;
}
