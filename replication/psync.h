/* May a replica go on from where it was? Pure: ids and positions only. */
#pragma once

#include "replication/repl.h"

struct psync_history {
    const char *replid, *replid2;
    int64_t second_offset;  /* first offset (counted from 1) that replid2 does not share; -1 = none */
    bool backlog;
    int64_t first, end;     /* positions that the backlog has */
};

enum psync_answer {
    PSYNC_CONTINUE,
    PSYNC_ASKED_FULL,       /* "?" */
    PSYNC_ID_UNKNOWN,
    PSYNC_OFFSET_FOREIGN,   /* the id was ours, but not that far */
    PSYNC_NO_BACKLOG,
    PSYNC_TOO_OLD,          /* bytes it misses have left the backlog */
    PSYNC_FROM_FUTURE,      /* it has bytes that we never wrote */
};

/* offset as on the wire: the first byte that the replica lacks, counted from 1. */
enum psync_answer psync_decide(const struct psync_history *, struct bytes replid, int64_t offset);
