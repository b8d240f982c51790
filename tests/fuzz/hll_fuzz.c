/* HyperLogLogs from outside: whatever follows the header, counting, merging, raising and decoding
 * stay within the bytes, and what counts as sparse counts the same as dense. */
#include "server/types/hll.h"

#include "common/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_dense(const struct buf *sparse, uint64_t expected)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    uint64_t count;
    buf_append(&b, buf_bytes(sparse));
    ASSERT(hll_to_dense(&b) && hll_is(buf_bytes(&b)));
    ASSERT(hll_count(buf_bytes(&b), &count) && count == expected);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { RAISES = 8, SPARSE_MAX = 3000 };
    struct buf b = BUF_INIT(BUF_UNLIMITED), text = BUF_INIT(BUF_UNLIMITED);
    uint8_t registers[HLL_REGISTERS] = { 0 };
    uint64_t count;
    buf_append(&b, BYTES("HYLL\1\0\0\0"
                         "\0\0\0\0\0\0\0\x80"));
    buf_append(&b, bytes_of(data, size));
    ASSERT(hll_is(buf_bytes(&b)));
    bool counts = hll_count(buf_bytes(&b), &count);
    ASSERT(hll_merge(buf_bytes(&b), registers) == counts);
    if (counts) {
        ASSERT(hll_count_registers(registers) == count);
        check_dense(&b, count);
    }
    hll_decode(buf_bytes(&b), &text);
    for (unsigned i = 0; i < RAISES && i < size; i++) {
        struct hll_place p = { (data[i] * 64u + i) % HLL_REGISTERS,
                               (uint8_t)(1 + data[i] % HLL_REGISTER_MAX) };
        enum hll_set r = hll_raise(&b, p, SPARSE_MAX);
        ASSERT(hll_is(buf_bytes(&b)));
        if (r == HLL_CORRUPT)
            break;
    }
    buf_done(&b);
    buf_done(&text);
    return 0;
}
