/* One table of 256 entries, filled before main(): keys are short, so a bytewise loop is all it
 * takes. */
#include "common/crc16.h"

static uint16_t table[256];

__attribute__((constructor)) static void fill_table(void)
{
    for (unsigned i = 0; i < 256; i++) {
        unsigned crc = i << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        table[i] = (uint16_t)crc;
    }
}

uint16_t crc16(struct bytes s)
{
    unsigned crc = 0;
    for (size_t i = 0; i < s.n; i++)
        crc = (crc << 8 ^ table[(crc >> 8 ^ (unsigned char)s.p[i]) & 0xff]) & 0xffff;
    return (uint16_t)crc;
}
