/* Counting replies in a stream of RESP2 or RESP3, as cheaply as can be: nothing is kept but how far
 * the stream has got. Nesting needs no stack: an aggregate of n elements just adds n to the number
 * of elements still missing.
 *
 * Pushes (RESP3 '>') are passed over: they answer no request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLIES_TEXT_MAX 120

struct replies {
    uint64_t skip;    /* bytes of a bulk, with its CRLF, still to pass over */
    uint64_t missing; /* elements of the current reply still to come; 0 = between replies */
    uint64_t number;  /* of the line under way */
    bool in_line, negative, push, failed, broken;
    char type; /* of the line under way */
    uint8_t text_n;
    char text[REPLIES_TEXT_MAX]; /* of the error line under way or just read */
};

struct replies_errors {
    /* The `nth` reply (from 0) of this call to replies_scan was an error or contains one. */
    void (*on_error)(void *ctx, uint64_t nth, const char *text, size_t n);
    void *ctx;
};

/* Takes all n bytes; returns how many replies became complete. After r->broken the stream is not
 * RESP. */
uint64_t replies_scan(struct replies *, const char *p, size_t n, const struct replies_errors *);
