/* Eight bytes a step: eight tables of 256 entries, filled before main(). table[k][b] is the checksum of byte b with k
 * zero bytes behind it, so that the bytes of a step are looked up independently. Every request of a cluster node comes
 * by here, with keys of some tens of bytes. */
#include "common/crc16.h"

static uint16_t table[8][256];

__attribute__((constructor)) static void fill_tables(void)
{
    for (unsigned i = 0; i < 256; i++) {
        unsigned crc = i << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        table[0][i] = (uint16_t)crc;
    }
    for (unsigned k = 1; k < 8; k++) {
        for (unsigned i = 0; i < 256; i++)
            table[k][i] = (uint16_t)(table[k - 1][i] << 8 ^ table[0][table[k - 1][i] >> 8]);
    }
}

uint16_t crc16(struct bytes s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    unsigned crc = 0;
    for (; end - p >= 8; p += 8)
        crc = (unsigned)(table[7][p[0] ^ crc >> 8] ^ table[6][p[1] ^ (crc & 0xff)] ^ table[5][p[2]] ^ table[4][p[3]] ^
                         table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]]);
    for (; p < end; p++)
        crc = (crc << 8 ^ table[0][crc >> 8 ^ *p]) & 0xffff;
    return (uint16_t)crc;
}
