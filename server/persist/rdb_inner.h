/* What the files that load values share. */
#pragma once

#include "server/persist/rdb_format.h"
#include "server/persist/rdb_load.h"

/* A stream of one of the three stream types. NULL: the reader tells why. */
struct stream *rdb_load_stream(struct rdb_reader *, unsigned type);

/* The name of a module from the id in front of its data: RDB_MODULE_NAME characters and a NUL. */
void rdb_module_name(uint64_t id, char name[RDB_MODULE_NAME + 1]);
