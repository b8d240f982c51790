/* Slicing by eight: eight bytes a step, each looked up in a table of its own that says what it has
 * become by the time the step is over. Tables are filled before main(); 16 KiB. */
#include "common/crc64.h"

#define POLYNOMIAL 0x95ac9329ac4bc9b5 /* 0xad93d23594c935a9, bits reversed */
#define SLICES 8

static uint64_t table[SLICES][256];

__attribute__((constructor)) static void fill_tables(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        table[0][i] = crc;
    }
    for (unsigned i = 0; i < 256; i++)
        for (int s = 1; s < SLICES; s++)
            table[s][i] = table[s - 1][i] >> 8 ^ table[0][table[s - 1][i] & 0xff];
}

static inline uint64_t read_le64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

uint64_t crc64(uint64_t crc, struct bytes s)
{
    const char *p = s.p, *end = s.p + s.n;
    for (; end - p >= SLICES; p += SLICES) {
        crc ^= read_le64(p);
        crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^
              table[4][crc >> 24 & 0xff] ^ table[3][crc >> 32 & 0xff] ^ table[2][crc >> 40 & 0xff] ^
              table[1][crc >> 48 & 0xff] ^ table[0][crc >> 56];
    }
    for (; p < end; p++)
        crc = crc >> 8 ^ table[0][(crc ^ (unsigned char)*p) & 0xff];
    return crc;
}
