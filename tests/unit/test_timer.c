/* test_timer.c - timers in a time that the test makes up. */
#include "timed_loop.h"

#include <stdio.h>

/* -- What rang ------------------------------------------------------------- */

static char rung[64];

static int set_up(void **state) {
  (void)state;
  rung[0] = '\0';
  timed_loop_set_up(5000);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  timed_loop_tear_down();
  return 0;
}

static void ring(void *name) {
  const size_t len = strlen(rung);
  snprintf(rung + len, sizeof(rung) - len, "%s ", (const char *)name);
}

static ws_timer *new_timer(uint64_t delay, char *name) {
  ws_timer *timer;
  assert_int_equal(ws_timer_new(loop, delay, ring, name, &timer), 0);
  return timer;
}

static char a[] = "a", b[] = "b", c[] = "c";

/* Has `ms` pass, then turns once. */
static void pass(uint64_t ms) {
  now += ms;
  assert_int_equal(ws_loop_dispatch(loop, 0), 0);
}

#define assert_rung(expected)            \
  do {                                   \
    assert_string_equal(rung, expected); \
    rung[0] = '\0';                      \
  } while (0)

/* -- Tests ----------------------------------------------------------------- */

static void a_timer_rings_once_and_not_too_early(void **state) {
  (void)state;
  new_timer(10, a);
  pass(9);
  assert_rung("");
  pass(1);
  assert_rung("a ");
  pass(1000);
  assert_rung("");
}

static void timers_ring_in_the_order_of_their_times(void **state) {
  (void)state;
  new_timer(30, c);
  new_timer(10, a);
  new_timer(20, b);
  pass(100);
  assert_rung("a b c ");
}

static void a_timer_can_be_set_anew(void **state) {
  (void)state;
  ws_timer *timer = new_timer(10, a);
  pass(5);
  ws_timer_set(timer, 10);
  pass(9);
  assert_rung("");
  pass(1);
  assert_rung("a ");
  ws_timer_set(timer, 3);
  pass(3);
  assert_rung("a ");
  ws_timer_set(timer, 10);
  ws_timer_set(timer, WS_NO_DEADLINE);
  pass(1000);
  assert_rung("");
}

/* A delay counts from the call, also when the loop has not turned for long. */
static void a_delay_begins_with_the_call(void **state) {
  (void)state;
  pass(0);
  now += 1000;
  new_timer(10, a);
  pass(9);
  assert_rung("");
  pass(1);
  assert_rung("a ");
}

static void delays_may_have_any_length(void **state) {
  (void)state;
  static const uint64_t delays[] = {
      0, 1, UINT64_MAX / 2, UINT64_MAX - 5001, UINT64_MAX - 1, UINT64_MAX};
  for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++) {
    ws_timer *timer = new_timer(delays[i], a);
    pass(0);
    assert_rung(i == 0 ? "a " : "");
    ws_timer_free(timer);
  }
}

static void only_timers_that_are_set_hold_the_loop(void **state) {
  (void)state;
  ws_timer *timer = new_timer(10, a);
  assert_true(ws_loop_is_alive(loop));
  ws_timer_set(timer, 20);
  ws_timer_set(timer, WS_NO_DEADLINE);
  assert_false(ws_loop_is_alive(loop));
  ws_timer_set(timer, WS_NO_DEADLINE);
  ws_timer_set(timer, 5);
  assert_true(ws_loop_is_alive(loop));
  pass(5);
  assert_false(ws_loop_is_alive(loop));
  ws_timer_set(timer, 5);
  ws_timer_free(timer);
  assert_false(ws_loop_is_alive(loop));
  ws_timer_free(NULL);
}

/* -- From inside ----------------------------------------------------------- */

typedef struct helper {
  ws_timer *self, *other;
} helper;

static void set_at_once(void *arg) {
  const helper *h = arg;
  ring(a);
  ws_timer_set(h->self, 0);
}

static void one_that_is_always_due_rings_once_in_a_turn(void **state) {
  (void)state;
  helper h;
  assert_int_equal(ws_timer_new(loop, 0, set_at_once, &h, &h.self), 0);
  pass(0);
  assert_rung("a ");
  pass(0);
  assert_rung(""); /* Its next turn is a millisecond away. */
  pass(1);
  assert_rung("a ");
}

static void free_both(void *arg) {
  const helper *h = arg;
  ring(a);
  ws_timer_free(h->other);
  ws_timer_free(h->self);
}

static void one_may_free_itself_and_another_that_is_due(void **state) {
  (void)state;
  helper h;
  assert_int_equal(ws_timer_new(loop, 5, free_both, &h, &h.self), 0);
  h.other = new_timer(6, b);
  new_timer(7, c);
  pass(10);
  assert_rung("a c ");
}

static void put_off_the_other(void *arg) {
  const helper *h = arg;
  ring(a);
  ws_timer_set(h->other, 5);
}

static void one_that_is_due_may_be_put_off(void **state) {
  (void)state;
  helper h;
  assert_int_equal(ws_timer_new(loop, 5, put_off_the_other, &h, &h.self), 0);
  h.other = new_timer(6, b);
  pass(10);
  assert_rung("a ");
  pass(5);
  assert_rung("b ");
}

/* -- Events ---------------------------------------------------------------- */

static void the_event_names_the_timer(void **state) {
  (void)state;
  ws_timer *timer;
  ws_event event;
  assert_int_equal(ws_timer_new(loop, 0, NULL, &now, &timer), 0);
  assert_int_equal(ws_loop_wait(loop, -1), 0);
  assert_true(ws_loop_next(loop, &event));
  assert_int_equal(event.type, WS_EVENT_TIMER);
  assert_ptr_equal(event.timer, timer);
  assert_null(event.socket);
  assert_null(event.server);
  assert_ptr_equal(event.task_arg, &now);
  ws_loop_handle(&event); /* Nothing to call. */
  assert_false(ws_loop_next(loop, &event));
}

static void without_memory_there_is_no_timer(void **state) {
  (void)state;
  for (size_t fails = 0; fails < 2; fails++) {
    ws_timer *timer;
    alloc.calls = 0;
    alloc.fail_at = fails;
    assert_int_equal(ws_timer_new(loop, 1, ring, a, &timer), WS_ERR_NO_MEMORY);
    assert_true(alloc.calls > fails);
    assert_false(ws_loop_is_alive(loop));
  }
  alloc.fail_at = SIZE_MAX;
  new_timer(1, a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_timer_rings_once_and_not_too_early),
      TEST(timers_ring_in_the_order_of_their_times),
      TEST(a_timer_can_be_set_anew),
      TEST(a_delay_begins_with_the_call),
      TEST(delays_may_have_any_length),
      TEST(only_timers_that_are_set_hold_the_loop),
      TEST(one_that_is_always_due_rings_once_in_a_turn),
      TEST(one_may_free_itself_and_another_that_is_due),
      TEST(one_that_is_due_may_be_put_off),
      TEST(the_event_names_the_timer),
      TEST(without_memory_there_is_no_timer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
