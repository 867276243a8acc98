/* test_cli_json.c - what the chat takes for JSON, from blocks of exactly their
 * size, and what it writes. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "json.h"

/* Reads `text`, of which the strings "a" and "b" are wanted. */
static bool read_object(const char *text, size_t len, json_member members[2],
                        const char **out_reason) {
  char *const exact = malloc(len > 0 ? len : 1);
  assert_non_null(exact);
  memcpy(exact, text, len);
  members[0] = (json_member){.name = "a"};
  members[1] = (json_member){.name = "b"};
  const bool is_good = json_read_object(exact, len, members, 2, out_reason);
  free(exact);
  return is_good;
}

static void assert_reads(const char *text, const char *a, size_t a_len) {
  json_member members[2];
  const char *reason = "";
  if (!read_object(text, strlen(text), members, &reason)) {
    fail_msg("%s: %s", text, reason);
  }
  assert_int_equal(members[0].is_there, a != NULL);
  if (a != NULL) {
    assert_int_equal(members[0].value.len, a_len);
    if (a_len > 0) assert_memory_equal(members[0].value.data, a, a_len);
  }
  json_free_members(members, 2);
}

static void assert_refuses(const char *text, const char *reason) {
  json_member members[2];
  const char *found = "";
  if (read_object(text, strlen(text), members, &found)) fail_msg("%s", text);
  assert_string_equal(found, reason);
  json_free_members(members, 2);
}

static void wanted_strings_are_read(void **state) {
  (void)state;
  json_member members[2];
  const char text[] = " { \"b\" : \"2\" , \"a\":\"1\",\"c\":\"3\" }\r\n\t";
  const char *reason;
  assert_true(read_object(text, sizeof(text) - 1, members, &reason));
  assert_true(members[0].is_there);
  assert_int_equal(members[0].value.len, 1);
  assert_memory_equal(members[0].value.data, "1", 1);
  assert_true(members[1].is_there);
  assert_memory_equal(members[1].value.data, "2", 1);
  json_free_members(members, 2);
  assert_false(members[0].is_there);
}

static void members_may_be_missing_or_empty(void **state) {
  (void)state;
  assert_reads("{}", NULL, 0);
  assert_reads("{\"aa\":\"1\",\"\":\"2\"}", NULL, 0);
  assert_reads("{\"a\":\"\"}", "", 0);
}

static void other_members_may_be_anything(void **state) {
  (void)state;
  assert_reads("{\"x\":null,\"y\":[true,false,[],{}],\"a\":\"1\"}", "1", 1);
  assert_reads("{\"x\":[0,-0,1.5,-12e3,1E+2,1e-2,10],\"a\":\"1\"}", "1", 1);
  assert_reads("{\"x\":{\"a\":1,\"a\":[\"b\"]},\"a\":\"1\"}", "1", 1);
  assert_reads("{\"x\":[{\"y\":{}},[[]],{\"z\":[{ } , [ ] ]}],\"a\":\"1\"}",
               "1", 1);
}

static void escapes_are_read(void **state) {
  (void)state;
  assert_reads("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "\"\\/\b\f\n\r\t", 8);
  assert_reads("{\"a\":\"\\u0000\"}", "\0", 1);
  assert_reads("{\"a\":\"\\u007f\\u00e9\\u20AC\"}", "\x7F\xC3\xA9\xE2\x82\xAC",
               6);
  assert_reads("{\"a\":\"\\ud83d\\ude00\"}", "\xF0\x9F\x98\x80", 4);
  assert_reads("{\"\\u0061\":\"1\"}", "1", 1); /* In names too. */
  assert_reads("{\"a\":\"\xC3\xA9\"}", "\xC3\xA9", 2);
}

static void what_is_no_object_is_refused(void **state) {
  (void)state;
  assert_refuses("", "it is no JSON object");
  assert_refuses("[]", "it is no JSON object");
  assert_refuses("\"a\"", "it is no JSON object");
  assert_refuses("hello", "it is no JSON object");
  assert_refuses("\xEF\xBB\xBF{}", "it is no JSON object");
  assert_refuses("{", "a string is missing");
  assert_refuses("{a:1}", "a string is missing");
  assert_refuses("{'a':1}", "a string is missing");
  assert_refuses("{\"a\"}", "':' is missing");
  assert_refuses("{\"x\":{\"y\" 1}}", "':' is missing");
  assert_refuses("{\"x\":}", "malformed number");
  assert_refuses("{\"x\":", "a value is missing");
  assert_refuses("{\"x\":1", "',' or '}' is missing");
  assert_refuses("{\"x\":1 \"y\":2}", "',' or '}' is missing");
  assert_refuses("{\"x\":1,}", "a string is missing");
  assert_refuses("{\"x\":[1,]}", "malformed number");
  assert_refuses("{\"x\":[1 2]}", "',' or ']' is missing");
  assert_refuses("{\"x\":[{}}", "',' or ']' is missing");
  assert_refuses("{\"x\":[[1,2],{\"y\":1,}]}", "a string is missing");
  assert_refuses("{\"x\":{\"y\":1]}", "',' or '}' is missing");
  assert_refuses("{} {}", "something stands behind the object");
}

static void malformed_values_are_refused(void **state) {
  (void)state;
  static const char *const numbers[] = {"-",  "+1",  ".5",  "1.", "1.e1",
                                        "1e", "1e+", "NaN", "--1"};
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    char text[32];
    snprintf(text, sizeof(text), "{\"x\":%s}", numbers[i]);
    assert_refuses(text, "malformed number");
  }
  assert_refuses("{\"x\":01}", "',' or '}' is missing");
  assert_refuses("{\"x\":tru}", "unknown word");
  assert_refuses("{\"x\":nul", "unknown word");
  assert_refuses("{\"a\":\"", "unfinished string");
  assert_refuses("{\"a\":\"\\", "unfinished string");
  assert_refuses("{\"a\":\"\\u12", "unfinished string");
  assert_refuses("{\"a\":\"\n\"}", "control character in a string");
  assert_refuses("{\"a\":\"\\x41\"}", "unknown escape in a string");
  assert_refuses("{\"a\":\"\\u12g4\"}", "\\u needs four hexadecimal digits");
}

static void surrogates_need_their_pairs(void **state) {
  (void)state;
  static const char *const texts[] = {
      "\\ud800",        "\\udc00",        "\\ud800x",      "\\ud800\\n",
      "\\ud800\\ud800", "\\udc00\\ud800", "\\ud800\\u0041"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    char text[64];
    snprintf(text, sizeof(text), "{\"a\":\"%s\"}", texts[i]);
    assert_refuses(text, "surrogate without its pair");
  }
}

static void wanted_members_are_strings_and_come_once(void **state) {
  (void)state;
  assert_refuses("{\"a\":1}", "a member that must be a string is none");
  assert_refuses("{\"a\":[\"b\"]}", "a member that must be a string is none");
  assert_refuses("{\"a\":\"1\",\"a\":\"1\"}", "a member comes twice");
}

static void nesting_is_bounded(void **state) {
  (void)state;
  char text[512] = "{\"x\":";
  char *const nested = text + strlen(text);
  memset(nested, '[', JSON_MAX_DEPTH);
  memset(nested + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
  nested[2 * JSON_MAX_DEPTH] = '}';
  assert_reads(text, NULL, 0);

  memset(nested, '[', JSON_MAX_DEPTH + 1);
  assert_refuses(text, "nested too deep");
}

static void every_beginning_of_an_object_is_refused(void **state) {
  (void)state;
  static const char text[] = "{\"a\":\"\\u00e9\\ud83d\\ude00\",\"x\":[1.5e3,{"
                             "\"y\":true}],\"b\":\"\"}";
  for (size_t len = 0; len < sizeof(text) - 1; len++) {
    json_member members[2];
    const char *reason = NULL;
    assert_false(read_object(text, len, members, &reason));
    assert_non_null(reason);
    json_free_members(members, 2);
  }
}

static void objects_are_written(void **state) {
  (void)state;
  static const char expected[] =
      "{\"text\":\"a\\\"\\\\\\n\\u0001\\u0000\xC3\xA9\",\"empty\":\"\","
      "\"bytes\":\"AP8=\",\"count\":18446744073709551615,\"part\":0.5,"
      "\"yes\":true,\"no\":false}";
  buffer out = {0};
  json_begin(&out);
  json_add_string(&out, "text", "a\"\\\n\x01\0\xC3\xA9", 8);
  json_add_text(&out, "empty", "");
  json_add_base64(&out, "bytes", (const uint8_t *)"\0\xFF", 2);
  json_add_integer(&out, "count", UINT64_MAX);
  json_add_number(&out, "part", 0.5);
  json_add_bool(&out, "yes", true);
  json_add_bool(&out, "no", false);
  json_end(&out);
  assert_false(out.has_failed);
  assert_int_equal(out.len, sizeof(expected) - 1);
  assert_memory_equal(out.data, expected, out.len);
  buffer_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wanted_strings_are_read),
      cmocka_unit_test(members_may_be_missing_or_empty),
      cmocka_unit_test(other_members_may_be_anything),
      cmocka_unit_test(escapes_are_read),
      cmocka_unit_test(what_is_no_object_is_refused),
      cmocka_unit_test(malformed_values_are_refused),
      cmocka_unit_test(surrogates_need_their_pairs),
      cmocka_unit_test(wanted_members_are_strings_and_come_once),
      cmocka_unit_test(nesting_is_bounded),
      cmocka_unit_test(every_beginning_of_an_object_is_refused),
      cmocka_unit_test(objects_are_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
