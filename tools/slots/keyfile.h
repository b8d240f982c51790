/* Files of keys and files of slots, as texts. */
#pragma once

#include <stdio.h>

#include "model.h"
#include "tags.h"

/* One key a line, then TAB bytes, TAB operations, both optional. ret_has_memory, ret_has_ops: whether any line had
 * them. False: a line is malformed (its number in ret_line), or a read error (0). */
bool keyfile_read(FILE *, struct tags *, struct slot_map *, bool *ret_has_memory, bool *ret_has_ops, long *ret_line);
/* A table of slots: slot, owner, keys, bytes, cpu, ops; owners are any words, "-": nobody. "#" begins a comment. */
bool slotfile_read(FILE *, struct slot_map *, long *ret_line);
