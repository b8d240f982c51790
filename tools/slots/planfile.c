/* Plans on disk (see planfile.h). Text: a head line, "seed HOST PORT", "move SLOT FROM TO", later "done SLOT". */
#include "planfile.h"

#include <errno.h>
#include <stdio.h>

#include "common/alloc.h"

static const char head[] = "ouro-slots plan 1";

int planfile_write(FILE *f, const struct slot_map *map, const struct plan *plan, const char *seed_host, int seed_port)
{
    fprintf(f, "%s\nseed %s %d\n", head, seed_host, seed_port);
    for (int i = 0; i < plan->moves_n; i++) {
        const struct move *m = &plan->moves[i];
        fprintf(f, "move %d %s %s\n", m->slot, m->from < 0 ? "-" : map->masters[m->from].id, map->masters[m->to].id);
    }
    return fflush(f) == 0 && !ferror(f) ? 0 : -errno;
}

static bool read_line(struct planfile *p, const char *line)
{
    struct planned_move m = { .done = false };
    int slot;
    if (sscanf(line, "seed %255s %d", p->seed_host, &p->seed_port) == 2)
        return p->seed_port > 0 && p->seed_port < 65536;
    if (sscanf(line, "move %d %40s %40s", &slot, m.from, m.to) == 3) {
        if (slot < 0 || slot >= SLOTS || p->moves_n == SLOTS)
            return false;
        m.slot = (uint16_t)slot;
        p->moves[p->moves_n++] = m;
        return true;
    }
    if (sscanf(line, "done %d", &slot) != 1)
        return false;
    for (int i = 0; i < p->moves_n; i++)
        if (p->moves[i].slot == slot)
            return p->moves[i].done = true;
    return false;
}

bool planfile_read(FILE *f, struct planfile *p, long *ret_line)
{
    char line[512];
    *p = (struct planfile){ .moves = mem_alloc(SLOTS * sizeof(*p->moves)) };
    for (*ret_line = 1; fgets(line, sizeof(line), f); ++*ret_line) {
        size_t n = strcspn(line, "\r\n");
        if (line[n] == '\0')
            break; /* cut off while it was written */
        line[n] = '\0';
        bool ok = *ret_line == 1 ? strcmp(line, head) == 0 : read_line(p, line);
        if (!ok)
            return false;
    }
    return *ret_line > 2 && p->seed_port && !ferror(f);
}

void planfile_done(struct planfile *p)
{
    mem_free(p->moves);
    p->moves = NULL;
}
