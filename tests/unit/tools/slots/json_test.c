/* JSON as it goes out. */
#include "tools/slots/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

Test(slots_json, nested_things_and_awkward_texts)
{
    char *text = NULL;
    size_t n = 0;
    struct json j = { open_memstream(&text, &n), false };
    json_object(&j, NULL);
    json_text(&j, "a", BYTES("q\"b\\\n\x01 \xc3\xa4 \xff \xed\xa0\x80 \xc3"));
    json_array(&j, "b");
    json_number(&j, NULL, 1);
    json_number(&j, NULL, -0.5);
    json_number(&j, NULL, 1e18);
    json_number(&j, NULL, NAN);
    json_object(&j, NULL);
    json_end_object(&j);
    json_end_array(&j);
    json_bool(&j, "c", true);
    json_end_object(&j);
    fclose(j.to);
    cr_expect_str_eq(text, "{\"a\":\"q\\\"b\\\\\\u000a\\u0001 \xc3\xa4 \\ufffd \\ufffd\\ufffd\\ufffd \\ufffd\","
                           "\"b\":[1,-0.5,1e+18,null,{}],\"c\":true}");
    free(text);
}
