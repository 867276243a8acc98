/* test_conn_extremes.c - every case of tests/data/frames.txt with every limit
 * as large, and as small, as it can be. What is told then is not what
 * the table says; but it is the same however the input is cut, each connection
 * ends with one close event, and nothing is left of it. */
#include <stdlib.h>

#include "player.h"
#include "test.h"
#include "test_alloc.h"

/* 0 would be the default. */
enum {
  LEAST = 1
};

static void set_limits(ws_conn_options *o, uint64_t size, uint32_t count,
                       uint32_t ms) {
  o->max_message = o->max_send_queue = o->send_high_water = size;
  o->max_fragments = o->useless_burst = o->useless_rate = count;
  o->ping_interval = o->ping_timeout = o->message_timeout = ms;
  o->send_timeout = o->close_timeout = ms;
  o->compression_threshold = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
}

static void limits_at_their_most(ws_conn_options *options) {
  set_limits(options, WS_UNLIMITED, UINT32_MAX, WS_NEVER);
}

static void limits_at_their_least(ws_conn_options *options) {
  set_limits(options, LEAST, LEAST, LEAST);
}

static void play(const vector_case *c, ws_role role,
                 const ws_conn_options *options, const driver_mode *mode,
                 transcript *out) {
  ws_conn_config *config;
  const char *reason = "";
  if (ws_conn_config_new(role, options, &config, &reason) != 0)
    fail_msg("%s: %s", c->name, reason);
  player_torture(c, role, config, mode, out);
  ws_conn_config_free(config);
}

static void check(const vector_case *c, ws_role role,
                  void (*change)(ws_conn_options *options)) {
  static const driver_mode whole, bytes = {.chunk = 1},
                                  kept = {.keeps_input = true, .chunk = 3};
  static const driver_mode *const ways[] = {&bytes, &kept};
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws_conn_options options;
  player_options(c, &options);
  options.allocator = alloc.allocator;
  change(&options);
  transcript expected = {0}, actual = {0};
  play(c, role, &options, &whole, &expected);
  for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
    transcript_clear(&actual);
    play(c, role, &options, ways[i], &actual);
    if (strcmp(transcript_text(&expected), transcript_text(&actual)) != 0)
      fail_msg("%s\nwhole:\n%sin pieces:\n%s", c->name,
               transcript_text(&expected), transcript_text(&actual));
  }
  transcript_free(&expected);
  transcript_free(&actual);
  assert_int_equal(alloc.held, 0);
}

static void check_all(void (*change)(ws_conn_options *options)) {
  vector_table table;
  vector_table_read(&table, TEST_DATA_DIR "/frames.txt");
  for (size_t i = 0; i < table.count; i++) {
    for (int role = WS_ROLE_CLIENT; role <= WS_ROLE_SERVER; role++) {
      if (player_has_role(&table.cases[i], (ws_role)role))
        check(&table.cases[i], (ws_role)role, change);
    }
  }
  vector_table_free(&table);
}

static void every_case_ends_well_without_limits(void **state) {
  (void)state;
  check_all(limits_at_their_most);
}

static void every_case_ends_well_with_the_smallest_limits(void **state) {
  (void)state;
  check_all(limits_at_their_least);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_case_ends_well_without_limits),
      cmocka_unit_test(every_case_ends_well_with_the_smallest_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
