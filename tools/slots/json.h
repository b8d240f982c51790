/* JSON, written as it goes. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "common/bytes.h"

struct json {
    FILE *to;
    bool comma;
};

/* name NULL: an element of an array, or the whole. */
void json_object(struct json *, const char *name);
void json_array(struct json *, const char *name);
void json_end_object(struct json *);
void json_end_array(struct json *);
void json_text(struct json *, const char *name, struct bytes); /* bytes that are no UTF-8 become U+FFFD */
void json_number(struct json *, const char *name, double);
void json_bool(struct json *, const char *name, bool);
