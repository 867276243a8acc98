/* test_cli_options.c - command lines, good and bad, and the help. What is wrong
 * is also said on stderr. */
#include "test.h"

#include <stdio.h>

#include "options.h"

typedef struct sample {
  bool flag;
  const char *text;
  option_list list;
  option_switch on_or_off;
  uint32_t count;
  uint32_t port;
  uint64_t size;
  uint32_t seconds;
} sample;

#define FIELD(name) offsetof(sample, name)

static const option options[] = {
    {OPTION_HEADING, 0, NULL, 0, NULL, "All kinds"},
    {OPTION_FLAG, 'f', "flag", FIELD(flag), NULL, "a flag"},
    {OPTION_TEXT, 't', "text", FIELD(text), "TEXT", "some text"},
    {OPTION_LIST, 'l', "list", FIELD(list), "TEXT", "some texts"},
    {OPTION_SWITCH, 0, "switch", FIELD(on_or_off), "on|off", "on or off"},
    {OPTION_COUNT, 0, "count", FIELD(count), "N", "how many"},
    {OPTION_PORT, 0, "port", FIELD(port), "N", "where"},
    {OPTION_SIZE, 0, "size", FIELD(size), "SIZE", "how long"},
    {OPTION_SECONDS, 0, "seconds", FIELD(seconds), "SECONDS", "how long"},
};

static const command_line with_argument = {
    .name = "sample",
    .argument = "URL",
    .summary = "Does nothing.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

static const command_line without_argument = {
    .name = "sample",
    .summary = "Does nothing.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

#define MAX_ARGUMENTS 8

/* Reads up to MAX_ARGUMENTS arguments that stand in one string, divided by
 * spaces. The string has to live as long as what is read. */
static options_result read_line(const command_line *line, char *text,
                                sample *out, const char **out_argument) {
  char *arguments[MAX_ARGUMENTS];
  int count = 0;
  for (char *at = strtok(text, " "); at != NULL; at = strtok(NULL, " "))
    arguments[count++] = at;
  *out = (sample){0};
  return options_read(line, count, arguments, out, out_argument);
}

static void assert_good(const char *text, sample *out) {
  static char copy[256];
  const char *argument;
  snprintf(copy, sizeof(copy), "%s", text);
  if (read_line(&without_argument, copy, out, &argument) != OPTIONS_READ) {
    fail_msg("%s", text);
  }
}

static void assert_wrong(const char *text) {
  char copy[256];
  sample s;
  const char *argument;
  snprintf(copy, sizeof(copy), "%s", text);
  if (read_line(&without_argument, copy, &s, &argument) != OPTIONS_WRONG) {
    fail_msg("%s", text);
  }
  options_free(&without_argument, &s);
}

static void values_follow_or_are_joined(void **state) {
  (void)state;
  sample s;
  assert_good("--flag --text a --count=7 -t b", &s);
  assert_true(s.flag);
  assert_string_equal(s.text, "b"); /* The last counts. */
  assert_int_equal(s.count, 7);
  assert_good("--text=--flag", &s);
  assert_string_equal(s.text, "--flag");
  assert_false(s.flag);
  assert_good("--text --flag", &s); /* Whatever it looks like. */
  assert_string_equal(s.text, "--flag");
  assert_good("--text=", &s);
  assert_string_equal(s.text, "");
  assert_good("--text=a=b", &s);
  assert_string_equal(s.text, "a=b");
}

static void lists_grow_and_end_in_null(void **state) {
  (void)state;
  sample s;
  assert_good("-l a --list b --list=c", &s);
  assert_int_equal(s.list.count, 3);
  assert_string_equal(s.list.values[0], "a");
  assert_string_equal(s.list.values[2], "c");
  assert_null(s.list.values[3]);
  options_free(&without_argument, &s);
  assert_null(s.list.values);
  assert_good("", &s);
  assert_null(s.list.values);
}

static void numbers_have_their_range(void **state) {
  (void)state;
  sample s;
  assert_good("--port 0", &s);
  assert_int_equal(s.port, 0);
  assert_good("--port 65535 --count 1000000", &s);
  assert_int_equal(s.port, 65535);
  assert_int_equal(s.count, 1000000);
  assert_wrong("--port 65536");
  assert_wrong("--port 99999999999999999999");
  assert_wrong("--port -1");
  assert_wrong("--port +1");
  assert_wrong("--port 1x");
  assert_wrong("--port 0x10");
  assert_wrong("--port=");
  assert_wrong("--count 0");
  assert_wrong("--count 1000001");
}

static void sizes_have_units(void **state) {
  (void)state;
  sample s;
  assert_good("--size 1", &s);
  assert_int_equal(s.size, 1);
  assert_good("--size 64K", &s);
  assert_int_equal(s.size, 65536);
  assert_good("--size 16M", &s);
  assert_int_equal(s.size, 16 << 20);
  assert_good("--size 2G", &s);
  assert_true(s.size == UINT64_C(2) << 30);
  assert_good("--size unlimited", &s);
  assert_true(s.size == UINT64_MAX);
  assert_good("--size 18446744073709551614", &s);
  assert_true(s.size == UINT64_MAX - 1);
  assert_wrong("--size 18446744073709551615");
  assert_wrong("--size 17179869184G"); /* 2^64 */
  assert_wrong("--size 0");
  assert_wrong("--size K");
  assert_wrong("--size 1KB");
  assert_wrong("--size 1.5M");
}

static void seconds_have_thousandths(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint32_t ms;
  } cases[] = {
      {"0", 0},          {"1", 1000},
      {"0.25", 250},     {".5", 500},
      {"1.2345", 1234},  {"4294966", 4294966000},
      {"10.001", 10001}, {"forever", OPTION_FOREVER},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[64];
    sample s;
    snprintf(text, sizeof(text), "--seconds %s", cases[i].text);
    assert_good(text, &s);
    assert_int_equal(s.seconds, cases[i].ms);
  }
  assert_wrong("--seconds 4294967");
  assert_wrong("--seconds -1");
  assert_wrong("--seconds 1.");
  assert_wrong("--seconds .");
  assert_wrong("--seconds 1s");
  assert_wrong("--seconds never");
}

static void switches_are_on_or_off(void **state) {
  (void)state;
  sample s;
  assert_good("", &s);
  assert_int_equal(s.on_or_off, SWITCH_UNSET);
  assert_good("--switch on", &s);
  assert_int_equal(s.on_or_off, SWITCH_ON);
  assert_good("--switch on --switch off", &s);
  assert_int_equal(s.on_or_off, SWITCH_OFF);
  assert_wrong("--switch yes");
}

static void what_is_unknown_or_incomplete_is_wrong(void **state) {
  (void)state;
  assert_wrong("--unknown");
  assert_wrong("--fla");
  assert_wrong("--flags");
  assert_wrong("--flag=1");
  assert_wrong("-x");
  assert_wrong("-ff");
  assert_wrong("--text");
  assert_wrong("-t");
  assert_wrong("argument");
  assert_wrong("-"); /* An argument, of which there is none. */
}

static void the_argument_stands_anywhere(void **state) {
  (void)state;
  static const char *const lines[] = {"url --flag", "--flag url",
                                      "--flag -- url"};
  for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
    char copy[64];
    sample s;
    const char *argument;
    snprintf(copy, sizeof(copy), "%s", lines[i]);
    assert_int_equal(read_line(&with_argument, copy, &s, &argument),
                     OPTIONS_READ);
    assert_true(s.flag);
    assert_string_equal(argument, "url");
  }
}

static void exactly_one_argument_is_taken(void **state) {
  (void)state;
  sample s;
  const char *argument;
  char none[] = "--flag";
  char two[] = "a b";
  char dashes[] = "-- --flag";
  assert_int_equal(read_line(&with_argument, none, &s, &argument),
                   OPTIONS_WRONG);
  assert_int_equal(read_line(&with_argument, two, &s, &argument),
                   OPTIONS_WRONG);
  assert_int_equal(read_line(&with_argument, dashes, &s, &argument),
                   OPTIONS_READ);
  assert_string_equal(argument, "--flag");
}

static void help_is_all_that_happens(void **state) {
  (void)state;
  sample s;
  const char *argument;
  char lines[][32] = {"--help", "-h", "a --help b c", "--flag --help --wrong"};
  for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
    assert_int_equal(read_line(&with_argument, lines[i], &s, &argument),
                     OPTIONS_HELP);
  }
}

static void help_names_every_option_within_80_columns(void **state) {
  (void)state;
  static char text[4096];
  FILE *const out = tmpfile();
  assert_non_null(out);
  options_print_help(&with_argument, out);
  rewind(out);
  text[fread(text, 1, sizeof(text) - 1, out)] = '\0';
  fclose(out);
  assert_non_null(strstr(text, "Usage: libws sample [options] URL\n"));
  assert_non_null(strstr(text, "\nAll kinds:\n"));
  assert_non_null(strstr(text, "  -f, --flag                a flag\n"));
  assert_non_null(strstr(text, "      --seconds SECONDS     how long\n"));
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
    assert_true(strlen(line) < 80);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_follow_or_are_joined),
      cmocka_unit_test(lists_grow_and_end_in_null),
      cmocka_unit_test(numbers_have_their_range),
      cmocka_unit_test(sizes_have_units),
      cmocka_unit_test(seconds_have_thousandths),
      cmocka_unit_test(switches_are_on_or_off),
      cmocka_unit_test(what_is_unknown_or_incomplete_is_wrong),
      cmocka_unit_test(the_argument_stands_anywhere),
      cmocka_unit_test(exactly_one_argument_is_taken),
      cmocka_unit_test(help_is_all_that_happens),
      cmocka_unit_test(help_names_every_option_within_80_columns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
