#include "replication/psync.h"

#include "common/assert.h"

enum psync_answer psync_decide(const struct psync_history *h, struct bytes replid, int64_t offset)
{
    ASSERT(h->first <= h->end);

    if (bytes_is(replid, "?"))
        return PSYNC_ASKED_FULL;
    if (!bytes_is(replid, h->replid)) {
        if (h->second_offset < 0 || !bytes_is(replid, h->replid2))
            return PSYNC_ID_UNKNOWN;
        if (offset > h->second_offset)
            return PSYNC_OFFSET_FOREIGN;
    }
    if (!h->backlog)
        return PSYNC_NO_BACKLOG;
    if (offset < h->first + 1)
        return PSYNC_TOO_OLD;
    if (offset - 1 > h->end)
        return PSYNC_FROM_FUTURE;
    return PSYNC_CONTINUE;
}
