/* Ids of histories and marks of transfers: 40 hex digits from a secret seed, that tell nothing about it or each other
 * (a client that knows the id must not be able to guess the mark that ends a payload). */
#pragma once

#include "replication/repl.h"

struct ids {
    unsigned char seed[REPL_SEED_BYTES];
    uint64_t n;
};

void ids_next(struct ids *, struct repl_id *ret_id);
bool ids_parse(struct bytes, struct repl_id *ret_id); /* exactly 40 hex digits, made lower case */
#define IDS_ZERO "0000000000000000000000000000000000000000"
