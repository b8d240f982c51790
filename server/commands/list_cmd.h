/* What the files of the list commands share: ends, popping with its events, moving, and what the
 * blocking forms do when they need not block. */
#pragma once

#include "server/commands/collection.h"
#include "server/commands/pop_args.h"
#include "server/types/list.h"

bool arg_list_end(struct call *, int i,
                  enum list_end *ret_end); /* LEFT or RIGHT, or a syntax error is replied */

/* Elements have left an end of a list that is not empty before: events, and the key goes with its
 * last one. */
void list_popped(struct call *, struct bytes key, struct entry *, enum list_end, uint64_t n);
/* Pops up to n > 0 elements, written as bulks (nothing around them); gives how many. */
uint64_t list_pop(struct call *, struct bytes key, struct entry *, enum list_end, uint64_t n);

/* LMOVE of the argv at these places, once the source is known to have something; replies. */
void list_move(struct call *, struct entry *source, struct bytes from, struct bytes to,
               enum list_end from_end, enum list_end to_end);

/* Pops from the first key that has something. False: none has, nothing replied. */
bool list_mpop(struct call *, const struct mpop_args *);
