/* Flat encodings that Redis wrote before listpacks: only read, and turned into listpacks (server/types/listpack.h),
 * which the types then check as any other. */
#pragma once

#include "common/bytes.h"

/* Whether arbitrary bytes are one, whole; *ret_lp is then a listpack of its elements, the caller's. */
bool rdb_ziplist_to_listpack(struct bytes, uint8_t **ret_lp);
bool rdb_zipmap_to_listpack(struct bytes, uint8_t **ret_lp); /* fields and values in turn */
