/* SHA-1 and SHA-256: the examples of FIPS 180-4 and their like, whole and in pieces. */
#include "common/sha.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "common/text.h"

static const struct {
    const char *text, *sha1, *sha256;
} cases[] = {
    { "", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    { "return 1", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
      "486d9affb60dbb0063b03d8e23a6ccf6364ce203dc3a9f56f20e750eb41ecade" },
};

Test(sha, examples)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char hex[65] = { 0 };
        sha1_hex(hex, bytes_of_str(cases[i].text));
        cr_assert_str_eq(hex, cases[i].sha1);
        sha256_hex(hex, bytes_of_str(cases[i].text));
        cr_assert_str_eq(hex, cases[i].sha256);
    }
}

Test(sha, a_million_times_a)
{
    char *text = malloc(1000000), hex[65] = { 0 };
    memset(text, 'a', 1000000);
    sha1_hex(hex, bytes_of(text, 1000000));
    cr_assert_str_eq(hex, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    sha256_hex(hex, bytes_of(text, 1000000));
    cr_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(text);
}

Test(sha, pieces_give_what_the_whole_gives_at_every_length)
{
    char text[200];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 31);
    for (size_t n = 0; n <= sizeof text; n++) {
        for (size_t cut = 0; cut <= n; cut += 1 + n / 9) {
            struct sha1 s;
            struct sha256 s2;
            unsigned char digest[SHA256_BYTES];
            char pieces[64], whole[64];
            sha1_init(&s);
            sha1_add(&s, bytes_of(text, cut));
            sha1_add(&s, bytes_of(text + cut, n - cut));
            sha1_done(&s, digest);
            text_hex(pieces, digest, SHA1_BYTES);
            sha1_hex(whole, bytes_of(text, n));
            cr_assert_eq(memcmp(pieces, whole, 2 * SHA1_BYTES), 0);
            sha256_init(&s2);
            sha256_add(&s2, bytes_of(text, cut));
            sha256_add(&s2, bytes_of(text + cut, n - cut));
            sha256_done(&s2, digest);
            text_hex(pieces, digest, SHA256_BYTES);
            sha256_hex(whole, bytes_of(text, n));
            cr_assert_eq(memcmp(pieces, whole, 2 * SHA256_BYTES), 0);
        }
    }
}
