/* CRC-64 of RDB files and DUMP payloads (Jones' polynomial 0xad93d23594c935a9, reflected, start 0,
 * no final xor). */
#pragma once

#include "common/bytes.h"

/* Continues from `crc` (0 to begin with): crc64(crc64(0, a), b) is the sum of a followed by b.
 * "123456789" gives 0xe9c6d914c4b8d9ca. */
uint64_t crc64(uint64_t crc, struct bytes);
