/* Arguments of the commands that pop elements: counts, and the tail of LMPOP, ZMPOP and their
 * waiting forms. */
#pragma once

#include "server/call.h"

/* "must be positive" is the error for everything that is no number or below 0. */
bool arg_positive(struct call *, int i, int64_t *ret_v);

struct mpop_args {
    const struct bytes *keys;
    int n;
    bool last; /* RIGHT or MAX */
    int64_t count;
};
/* numkeys key .. where [COUNT n] from argument `at` on; `first` and `last` are the words for the
 * ends. False after an error reply. */
bool arg_mpop(struct call *, int at, const char *first, const char *last,
              struct mpop_args *ret_args);
