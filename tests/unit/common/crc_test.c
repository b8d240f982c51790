/* Checksums: check values of their definitions, and bytewise models. */
#include <criterion/criterion.h>

#include "common/crc16.h"
#include "common/crc64.h"
#include "common/prng.h"

Test(crc, check_values)
{
    cr_assert_eq(crc16(BYTES("123456789")), 0x31c3);
    cr_assert_eq(crc16(BYTES("")), 0);
    cr_assert_eq(crc16(BYTES("foo")) % 16384, 12182); /* CLUSTER KEYSLOT foo */
    cr_assert_eq(crc16(BYTES("somekey")) % 16384, 11058);
    cr_assert_eq(crc64(0, BYTES("123456789")), 0xe9c6d914c4b8d9ca);
    cr_assert_eq(crc64(0, BYTES("")), 0);
}

static uint16_t crc16_by_bits(struct bytes s)
{
    unsigned crc = 0;
    for (size_t i = 0; i < s.n; i++) {
        crc ^= (unsigned)(unsigned char)s.p[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return (uint16_t)crc;
}

Test(crc, sixteen_bits_are_the_same_as_bit_by_bit_at_every_length)
{
    char data[100];
    struct prng r;
    prng_init(&r, 2);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)prng_u64(&r);
    for (size_t n = 0; n <= sizeof data; n++)
        cr_assert_eq(crc16(bytes_of(data, n)), crc16_by_bits(bytes_of(data, n)), "%zu", n);
}

static uint64_t crc64_by_bits(struct bytes s)
{
    uint64_t crc = 0;
    for (size_t i = 0; i < s.n; i++) {
        crc ^= (unsigned char)s.p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x95ac9329ac4bc9b5 : crc >> 1;
    }
    return crc;
}

Test(crc, eight_at_a_time_is_the_same_as_bit_by_bit_at_every_cut_and_alignment)
{
    char data[300];
    struct prng r;
    prng_init(&r, 1);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)prng_u64(&r);
    for (size_t from = 0; from < 16; from++)
        for (size_t n = 0; n < 64; n++)
            cr_assert_eq(crc64(0, bytes_of(data + from, n)),
                         crc64_by_bits(bytes_of(data + from, n)));
    uint64_t whole = crc64(0, bytes_of(data, sizeof data));
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        uint64_t first = crc64(0, bytes_of(data, cut));
        cr_assert_eq(crc64(first, bytes_of(data + cut, sizeof data - cut)), whole);
    }
}
