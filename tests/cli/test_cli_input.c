/* test_cli_input.c - lines out of bytes: from a pipe, and from keys. What is
 * drawn goes to stdout, where nobody looks at it here; test_cli.py does. */
#include "test.h"

#include <stdio.h>

#include "input.h"

static void type(input *in, const char *keys) {
  input_feed(in, keys, strlen(keys));
}

static void assert_next(input *in, const char *expected) {
  const char *line;
  size_t len;
  assert_true(input_next(in, &line, &len));
  assert_int_equal(len, strlen(expected));
  assert_memory_equal(line, expected, len);
}

static void assert_no_line(input *in) {
  const char *line;
  size_t len;
  assert_false(input_next(in, &line, &len));
}

/* An input that reads from nowhere: the test feeds it. */
static input new_input(bool is_terminal) {
  input in;
  input_begin(&in, false);
  in.is_terminal = is_terminal;
  return in;
}

static void free_input(input *in) {
  in->is_terminal = false; /* There are no settings to go back to. */
  in->is_shown = false;
  input_end(in);
}

static void lines_come_out_whole(void **state) {
  (void)state;
  input in = new_input(false);
  assert_no_line(&in);
  type(&in, "one\ntw");
  assert_next(&in, "one");
  assert_no_line(&in);
  type(&in, "o\n\nthree\r\n");
  assert_next(&in, "two");
  assert_next(&in, "");
  assert_next(&in, "three");
  assert_no_line(&in);
  free_input(&in);
}

static void the_last_line_needs_no_end(void **state) {
  (void)state;
  input in = new_input(false);
  type(&in, "one\ntwo");
  in.has_ended = true;
  assert_next(&in, "one");
  assert_next(&in, "two");
  assert_no_line(&in);
  free_input(&in);
}

static void too_long_a_line_ends_the_input(void **state) {
  (void)state;
  static char block[1 << 20];
  memset(block, 'x', sizeof(block));
  input in = new_input(false);
  for (int i = 0; i < 16; i++)
    input_feed(&in, block, sizeof(block));
  assert_false(in.has_ended);
  input_feed(&in, block, 1);
  assert_true(in.has_ended);
  assert_true(in.is_too_long);
  assert_no_line(&in);
  free_input(&in);
}

static void keys_edit_the_end_of_the_line(void **state) {
  (void)state;
  static const struct {
    const char *keys, *line;
  } cases[] = {
      {"abc\n", "abc"},
      {"abc\r", "abc"},
      {"abd\x7F"
       "c\n",
       "abc"},
      {"abd\b"
       "c\n",
       "abc"},
      {"\x7F\x7Fok\n", "ok"},
      {"\xC3\xA9\xE2\x82\xAC\x7F\n", "\xC3\xA9"}, /* A character, not a byte. */
      {"one two  \x17three\n", "one three"},
      {"one\x17\x17two\n", "two"},
      {"one\x15two\n", "two"},
      {"a\tb\n", "a\tb"},
      {"a\x01\x02\x0C"
       "b\n",
       "ab"},
      {"a\x1b[A\x1b[1;5C\x1bOHb\n", "ab"}, /* Arrows and Home. */
      {"a\x04"
       "b\n",
       "ab"}, /* Ctrl-D ends only an empty line. */
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    input in = new_input(true);
    type(&in, cases[i].keys);
    assert_next(&in, cases[i].line);
    assert_false(in.has_ended);
    free_input(&in);
  }
}

static void keys_do_not_reach_into_finished_lines(void **state) {
  (void)state;
  input in = new_input(true);
  type(&in, "one\n\x7F\x7F\x17\x15two\n");
  assert_next(&in, "one");
  assert_next(&in, "two");
  free_input(&in);
}

static void control_d_ends_the_input(void **state) {
  (void)state;
  input in = new_input(true);
  type(&in, "one\n\x04two\n");
  assert_true(in.has_ended);
  assert_next(&in, "one");
  assert_no_line(&in);
  free_input(&in);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_come_out_whole),
      cmocka_unit_test(the_last_line_needs_no_end),
      cmocka_unit_test(too_long_a_line_ends_the_input),
      cmocka_unit_test(keys_edit_the_end_of_the_line),
      cmocka_unit_test(keys_do_not_reach_into_finished_lines),
      cmocka_unit_test(control_d_ends_the_input),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
