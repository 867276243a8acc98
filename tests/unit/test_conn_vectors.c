/* test_conn_vectors.c - every case of tests/data/frames.txt, for both roles, in
 * every way that bytes can be cut, lent and handed over.
 *
 * The way must not matter: the transcript is the one the table asks for,
 * whether the input comes whole, in single bytes, or cut at any one or two
 * places (security.md 2.1, short reads at every byte boundary). */
#include <stdio.h>
#include <stdlib.h>

#include "player.h"
#include "test.h"

/* Longer inputs are cut near their ends only. */
#define MAX_CUT_EVERYWHERE 2000
#define NEAR_ENDS          24

/* Longer inputs are not cut at every pair of places. */
#define MAX_CUT_TWICE 200

typedef struct run {
  const vector_case *c;
  ws_role role;
} run;

/* One case in one role, and what must come of it. */
typedef struct context {
  const vector_case *c;
  ws_role role;
  ws_conn_config *config;
  transcript expected;
  transcript actual;
} context;

static void check(context *x, const driver_mode *mode, const char *name) {
  transcript_clear(&x->actual);
  player_play(x->c, x->role, x->config, mode, &x->actual);
  const char *expected = transcript_text(&x->expected);
  const char *actual = transcript_text(&x->actual);
  if (strcmp(expected, actual) == 0) return;
  fail_msg("%s (%s), %s, cut at %zu and %zu\nexpected:\n%sactual:\n%s",
           x->c->name, x->role == WS_ROLE_CLIENT ? "client" : "server", name,
           mode->cuts[0], mode->cuts[1], expected, actual);
}

static void check_ways(context *x) {
  static const struct {
    const char *name;
    driver_mode mode;
  } ways[] = {
      {"whole", {0}},
      {"output after each event", {.is_prompt = true}},
      {"single bytes", {.chunk = 1}},
      {"streaming", {.is_streaming = true}},
      {"streaming single bytes", {.is_streaming = true, .chunk = 1}},
      {"streaming in threes", {.is_streaming = true, .chunk = 3}},
      {"kept input", {.keeps_input = true}},
      {"kept input in fives", {.keeps_input = true, .chunk = 5}},
      {"kept input, streaming", {.keeps_input = true, .is_streaming = true}},
      {"input in place", {.fills_place = true}},
      {"input in place in threes", {.fills_place = true, .chunk = 3}},
      {"input in place, single bytes", {.fills_place = true, .chunk = 1}},
      {"input in place, streaming",
       {.fills_place = true, .is_streaming = true, .chunk = 7}},
      {"output byte by byte", {.trickles = true}},
      {"output byte by byte, single bytes", {.trickles = true, .chunk = 1}},
      {"a lent buffer", {.lent_size = 4096}},
      {"a small lent buffer", {.lent_size = 96}},
      {"a tiny lent buffer", {.lent_size = 1}},
      {"a lent buffer, single bytes", {.lent_size = 128, .chunk = 1}},
  };
  for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
    check(x, &ways[i].mode, ways[i].name);
  }
}

static void check_cuts(context *x) {
  const size_t size = player_input_size(x->c, x->role);
  for (size_t cut = 1; cut < size; cut++) {
    if (size > MAX_CUT_EVERYWHERE && cut == NEAR_ENDS) cut = size - NEAR_ENDS;
    check(x, &(driver_mode){.cuts = {cut}}, "one cut");
  }
  if (size >= MAX_CUT_TWICE) return;
  for (size_t first = 1; first < size; first++) {
    for (size_t second = first + 1; second < size; second++) {
      check(x, &(driver_mode){.cuts = {first, second}}, "two cuts");
    }
  }
}

static void play(void **state) {
  const run *r = *state;
  context x = {.c = r->c, .role = r->role};
  x.config = player_config(r->c, r->role, NULL);
  player_expect(r->c, &x.expected);
  check_ways(&x);
  check_cuts(&x);
  ws_conn_config_free(x.config);
  transcript_free(&x.expected);
  transcript_free(&x.actual);
}

int main(void) {
  vector_table table;
  vector_table_read(&table, TEST_DATA_DIR "/frames.txt");
  struct CMUnitTest *tests = calloc(2 * table.count, sizeof(*tests));
  run *runs = calloc(2 * table.count, sizeof(*runs));
  if (tests == NULL || runs == NULL) abort();

  size_t count = 0;
  for (size_t i = 0; i < 2 * table.count; i++) {
    const vector_case *c = &table.cases[i / 2];
    const ws_role role = i % 2 == 0 ? WS_ROLE_CLIENT : WS_ROLE_SERVER;
    if (!player_has_role(c, role)) continue;
    runs[count] = (run){c, role};
    tests[count] = (struct CMUnitTest){
        .name = c->name, .test_func = play, .initial_state = &runs[count]};
    count++;
  }
  const int failed =
      _cmocka_run_group_tests("frames.txt", tests, count, NULL, NULL);
  free(tests);
  free(runs);
  vector_table_free(&table);
  return failed;
}
