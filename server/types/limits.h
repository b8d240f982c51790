/* Thresholds of the encodings, set by directives of the same names (hash-max-listpack-entries, ...). */
#pragma once

#include <stdint.h>

struct types_limits {
    int64_t hash_max_listpack_entries, hash_max_listpack_value;
    int64_t set_max_intset_entries, set_max_listpack_entries, set_max_listpack_value;
    int64_t zset_max_listpack_entries, zset_max_listpack_value;
    int list_max_listpack_size;  /* > 0 entries, -1..-5: 4, 8, 16, 32, 64 KiB */
    int list_compress_depth;
    int64_t stream_node_max_bytes, stream_node_max_entries; /* 0 = no limit */
    int64_t hll_sparse_max_bytes;
};
