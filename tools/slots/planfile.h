/* A plan as a file that `run` works off: lines appended as slots are done, so that it can be stopped anywhere. */
#pragma once

#include <stdio.h>

#include "plan.h"

struct planned_move {
    uint16_t slot;
    char from[41], to[41]; /* node ids; from "-": nobody's */
    bool done;
};

struct planfile {
    char seed_host[256];
    int seed_port;
    struct planned_move *moves;
    int moves_n;
};

/* 0 or -errno of the stream. */
int planfile_write(FILE *, const struct slot_map *, const struct plan *, const char *seed_host, int seed_port);
/* False: it is no plan (line in ret_line). planfile_done either way. */
bool planfile_read(FILE *, struct planfile *ret_file, long *ret_line);
void planfile_done(struct planfile *);
