/* JSON output (see json.h). */
#include "json.h"

#include <math.h>

static void put_string(FILE *to, struct bytes s);

static void begin(struct json *j, const char *name)
{
    if (j->comma)
        fputc(',', j->to);
    j->comma = true;
    if (!name)
        return;
    put_string(j->to, bytes_of_str(name));
    fputc(':', j->to);
}

/* Bytes of a UTF-8 character at p, 0: it is none. */
static size_t utf8(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80                   ? 1
                 : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
                 : (p[0] & 0xF0) == 0xE0       ? 3
                 : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                               : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    bool too_long = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool beyond = (p[0] == 0xED && p[1] >= 0xA0) || (p[0] == 0xF4 && p[1] >= 0x90);
    return too_long || beyond ? 0 : len;
}

static void put_string(FILE *to, struct bytes s)
{
    fputc('"', to);
    for (size_t i = 0; i < s.n;) {
        const unsigned char *p = (const unsigned char *)s.p + i;
        size_t len = utf8(p, s.n - i);
        if (len == 0)
            fputs("\\ufffd", to);
        else if (*p < 0x20)
            fprintf(to, "\\u%04x", *p);
        else if (*p == '"' || *p == '\\')
            fprintf(to, "\\%c", *p);
        else
            fwrite(p, 1, len, to);
        i += len ? len : 1;
    }
    fputc('"', to);
}

void json_object(struct json *j, const char *name)
{
    begin(j, name);
    fputc('{', j->to);
    j->comma = false;
}

void json_array(struct json *j, const char *name)
{
    begin(j, name);
    fputc('[', j->to);
    j->comma = false;
}

void json_end_object(struct json *j)
{
    fputc('}', j->to);
    j->comma = true;
}

void json_end_array(struct json *j)
{
    fputc(']', j->to);
    j->comma = true;
}

void json_text(struct json *j, const char *name, struct bytes s)
{
    begin(j, name);
    put_string(j->to, s);
}

void json_number(struct json *j, const char *name, double v)
{
    begin(j, name);
    if (!isfinite(v))
        fputs("null", j->to);
    else if (v == floor(v) && fabs(v) < 1e15)
        fprintf(j->to, "%.0f", v);
    else
        fprintf(j->to, "%.6g", v);
}

void json_bool(struct json *j, const char *name, bool v)
{
    begin(j, name);
    fputs(v ? "true" : "false", j->to);
}
