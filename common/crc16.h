/* CRC-16/XMODEM (polynomial 0x1021, start 0, not reflected): the checksum behind cluster slots,
 * crc16(key) % 16384. */
#pragma once

#include "common/bytes.h"

uint16_t crc16(struct bytes); /* "123456789" gives 0x31c3 */
