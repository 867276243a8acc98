/* test_loop_sources.c - whose turn it is in a loop: sources that the test
 * plays, which tell of their turns, in a time that it makes up. Real sockets
 * are in net/test_loop.c. */
#include "timed_loop.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* -- Sources --------------------------------------------------------------- */

static char turns[256];

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...) {
  va_list args;
  va_start(args, format);
  const size_t len = strlen(turns);
  vsnprintf(turns + len, sizeof(turns) - len, format, args);
  va_end(args);
}

#define assert_turns(expected)            \
  do {                                    \
    assert_string_equal(turns, expected); \
    turns[0] = '\0';                      \
  } while (0)

typedef struct player player;

/* A source that says its name when it gets a turn, with what it is about, and
 * then does what it is to. It has `events` events in each turn. */
struct player {
  ws__source source;
  char name;
  unsigned events, left;
  void (*act)(player *self);    /* In begin(). */
  void (*finish)(player *self); /* At the end of the turn. */
  player *other;
};

static void begin(ws__source *source, unsigned ready) {
  player *p = (player *)source;
  tell("%c", p->name);
  if ((ready & WS__POLLER_READ) != 0) tell("r");
  if ((ready & WS__POLLER_WRITE) != 0) tell("w");
  p->left = p->events;
  if (p->act != NULL) p->act(p);
}

static bool next(ws__source *source, ws_event *out_event) {
  player *p = (player *)source;
  if (p->left == 0) {
    if (p->finish != NULL) p->finish(p);
    return false;
  }
  p->left--;
  out_event->type = WS_EVENT_TASK;
  return true;
}

static void drop(ws__source *source) {
  tell("-%c", ((player *)source)->name);
  ws__loop_remove(loop, source);
}

static const ws__source_ops ops = {.begin = begin, .next = next, .drop = drop};

static player play(char name) {
  return (player){.source = {.ops = &ops, .node.fd = -1}, .name = name};
}

static void add(player *p) {
  assert_int_equal(ws__loop_add(loop, &p->source), 0);
}

/* One turn of the loop. Returns how many events it had. */
static unsigned turn(void) {
  unsigned events = 0;
  ws_event event;
  assert_int_equal(ws_loop_wait(loop, 0), 0);
  while (ws_loop_next(loop, &event))
    events++;
  return events;
}

static int set_up(void **state) {
  (void)state;
  turns[0] = '\0';
  timed_loop_set_up(7000);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  timed_loop_tear_down();
  return 0;
}

/* Before the sources, which are the test's own, go. */
static void end_loop(void) {
  ws_loop_free(loop);
  loop = NULL;
}

/* -- Scheduling ------------------------------------------------------------ */

static void schedule_other(player *self) {
  ws__loop_schedule(loop, &self->other->source);
}

static void schedule_self(player *self) {
  ws__loop_schedule(loop, &self->source);
}

static void schedule_self_later(player *self) {
  ws__loop_schedule_later(loop, &self->source);
}

static void scheduled_sources_get_one_turn_in_their_order(void **state) {
  (void)state;
  player a = play('a'), b = play('b'), c = play('c');
  a.events = 2;
  add(&a);
  add(&b);
  add(&c);
  ws__loop_schedule(loop, &c.source);
  ws__loop_schedule(loop, &a.source);
  ws__loop_schedule(loop, &c.source);
  ws__loop_schedule(loop, &b.source);
  assert_int_equal(turn(), 2);
  assert_turns("cab");
  assert_int_equal(turn(), 0);
  assert_turns("");
  end_loop();
}

static void a_source_may_have_another_take_its_turn_at_once(void **state) {
  (void)state;
  player a = play('a'), b = play('b');
  a.act = schedule_other;
  a.other = &b;
  add(&a);
  add(&b);
  ws__loop_schedule(loop, &a.source);
  turn();
  assert_turns("ab");
  /* Its own turn is under way, so that there is nothing to do. */
  a.act = schedule_self;
  ws__loop_schedule(loop, &a.source);
  turn();
  assert_turns("a");
  end_loop();
}

static void who_wants_to_go_on_waits_for_the_next_turn(void **state) {
  (void)state;
  player a = play('a'), b = play('b');
  a.finish = b.finish = schedule_self_later;
  add(&a);
  add(&b);
  ws__loop_schedule(loop, &a.source);
  ws__loop_schedule(loop, &b.source);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(ws_loop_wait(loop, -1), 0); /* Does not wait. */
    turn();
    assert_turns("ab");
  }
  a.finish = b.finish = NULL;
  turn();
  assert_turns("ab");
  turn();
  assert_turns("");
  end_loop();
}

/* Two that schedule each other for ever do not keep the loop from waiting. */
static void a_turn_of_the_loop_ends(void **state) {
  (void)state;
  player a = play('a'), b = play('b');
  a.act = b.act = schedule_other;
  a.other = &b;
  b.other = &a;
  add(&a);
  add(&b);
  ws__loop_schedule(loop, &a.source);
  ws_event event;
  assert_int_equal(ws_loop_wait(loop, 0), 0);
  assert_false(ws_loop_next(loop, &event));
  assert_int_equal(strlen(turns), sizeof(turns) - 1); /* Many, and an end. */
  end_loop();
}

/* Wherever it stands in the queue, and whichever queue it is. */
static void a_source_that_leaves_gets_no_turn(void **state) {
  (void)state;
  for (int leaver = 0; leaver < 3; leaver++) {
    for (int is_later = 0; is_later < 2; is_later++) {
      player all[3] = {play('a'), play('b'), play('c')};
      for (int i = 0; i < 3; i++) {
        add(&all[i]);
        if (is_later) ws__loop_schedule_later(loop, &all[i].source);
        else ws__loop_schedule(loop, &all[i].source);
      }
      ws__loop_remove(loop, &all[leaver].source);
      ws__loop_remove(loop, &all[leaver].source); /* It is not in any more. */
      turn();
      assert_turns(leaver == 0 ? "bc" : leaver == 1 ? "ac" : "ab");
      for (int i = 0; i < 3; i++)
        ws__loop_remove(loop, &all[i].source);
    }
  }
}

static void remove_other(player *self) {
  ws__loop_remove(loop, &self->other->source);
}

static void remove_self(player *self) {
  ws__loop_remove(loop, &self->source);
}

static void a_source_may_leave_in_a_turn(void **state) {
  (void)state;
  player a = play('a'), b = play('b'), c = play('c');
  a.act = remove_other;
  a.other = &b;
  c.finish = remove_self;
  c.events = 1;
  add(&a);
  add(&b);
  add(&c);
  ws__loop_schedule(loop, &a.source);
  ws__loop_schedule(loop, &b.source);
  ws__loop_schedule(loop, &c.source);
  assert_int_equal(turn(), 1);
  assert_turns("ac");
  /* Between two of its events, as by a handler. */
  a.act = NULL;
  a.events = 2;
  ws__loop_schedule(loop, &a.source);
  ws_event event;
  assert_int_equal(ws_loop_wait(loop, 0), 0);
  assert_true(ws_loop_next(loop, &event));
  ws__loop_remove(loop, &a.source);
  assert_false(ws_loop_next(loop, &event));
  assert_turns("a");
}

/* -- Deadlines ------------------------------------------------------------- */

static void deadlines_come_in_their_order_and_once(void **state) {
  (void)state;
  player a = play('a'), b = play('b');
  add(&a);
  add(&b);
  ws__loop_set_deadline(loop, &a.source, now + 20);
  ws__loop_set_deadline(loop, &b.source, now + 10);
  now += 9;
  turn();
  assert_turns("");
  now += 100;
  turn();
  assert_turns("ba");
  turn();
  assert_turns("");
  ws__loop_set_deadline(loop, &a.source, now);
  ws__loop_set_deadline(loop, &a.source, WS_NO_DEADLINE);
  turn();
  assert_turns("");
  end_loop();
}

/* An early call does no harm; a late one would. */
static void a_lazy_deadline_only_moves_forward(void **state) {
  (void)state;
  player a = play('a');
  add(&a);
  ws__loop_set_deadline_lazily(loop, &a.source, now + 10);
  ws__loop_set_deadline_lazily(loop, &a.source, now + 50);
  now += 10;
  turn();
  assert_turns("a");
  ws__loop_set_deadline_lazily(loop, &a.source, now + 40);
  ws__loop_set_deadline_lazily(loop, &a.source, now + 5);
  now += 5;
  turn();
  assert_turns("a");
  now += 100;
  turn();
  assert_turns("");
  end_loop();
}

static void set_deadline_now(player *self) {
  ws__loop_set_deadline(loop, &self->source, loop->now);
}

static void who_is_always_due_does_not_keep_the_loop(void **state) {
  (void)state;
  player a = play('a');
  a.act = set_deadline_now;
  add(&a);
  ws__loop_set_deadline(loop, &a.source, now);
  for (int i = 0; i < 3; i++) {
    turn();
    assert_turns("a");
    now++;
  }
  end_loop();
}

/* -- Descriptors ----------------------------------------------------------- */

static void descriptors_come_first(void **state) {
  (void)state;
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  player a = play('a'), b = play('b'), c = play('c');
  c.source.node.fd = fds[0];
  add(&a);
  add(&b);
  add(&c);
  ws__loop_schedule(loop, &a.source);
  ws__loop_set_deadline(loop, &b.source, now);
  assert_int_equal(ws__loop_watch(loop, &c.source, WS__POLLER_WRITE), 0);
  turn();
  assert_turns("cwba");
  assert_int_equal(ws__loop_watch(loop, &c.source, WS__POLLER_READ), 0);
  turn();
  assert_turns("");
  assert_int_equal(write(fds[1], "x", 1), 1);
  turn();
  assert_turns("cr");
  ws__loop_remove(loop, &c.source); /* Watched no longer. */
  turn();
  assert_turns("");
  assert_int_equal(ws__loop_watch(loop, &a.source, WS__POLLER_READ), 0);
  close(fds[0]);
  close(fds[1]);
  end_loop();
}

/* -- Going on -------------------------------------------------------------- */

static bool had_time;

static void ask_for_time(player *self) {
  (void)self;
  had_time = ws__loop_has_time(loop);
}

static void wait_and_ask_for_time(player *self) {
  now++;
  had_time = ws__loop_has_time(loop);
  now++;
  assert_false(ws__loop_has_time(loop));
  self->act = ask_for_time;
}

/* `a` asks while `b`, `c` and `d` wait, each in a way of its own. */
static void who_goes_on_keeps_nobody_waiting(void **state) {
  (void)state;
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  player a = play('a'), b = play('b'), c = play('c'), d = play('d');
  a.source.node.fd = fds[0];
  d.source.node.fd = fds[1];
  a.act = ask_for_time;
  add(&a);
  add(&b);
  add(&c);
  add(&d);
  assert_int_equal(ws__loop_watch(loop, &a.source, WS__POLLER_WRITE), 0);
  turn();
  assert_true(had_time);

  ws__loop_schedule(loop, &b.source);
  turn();
  assert_false(had_time);
  ws__loop_set_deadline(loop, &c.source, now);
  turn();
  assert_false(had_time);
  assert_turns("awawbawc");

  assert_int_equal(ws__loop_watch(loop, &d.source, WS__POLLER_WRITE), 0);
  turn();
  const bool was_first = turns[0] == 'a';
  assert_int_equal(had_time, !was_first); /* The system orders descriptors. */
  ws__loop_remove(loop, &d.source);

  a.act = wait_and_ask_for_time;
  turn();
  assert_true(had_time); /* After one millisecond, but not after two. */
  close(fds[0]);
  close(fds[1]);
  turns[0] = '\0';
  end_loop();
}

/* -- Another loop that watches --------------------------------------------- */

static bool is_readable(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  assert_true(poll(&p, 1, 0) >= 0);
  return p.revents != 0;
}

/* What is left to do outside of turns, or at their end, is seen. */
static void the_descriptor_tells_of_what_is_scheduled(void **state) {
  (void)state;
  int fd;
  if (ws_loop_fd(loop, &fd) == WS_ERR_INVALID_STATE)
    skip(); /* poll() has no descriptor of its own. */
  player a = play('a'), b = play('b');
  add(&a);
  add(&b);
  turn();
  assert_false(is_readable(fd));
  ws__loop_schedule(loop, &a.source);
  assert_true(is_readable(fd));
  a.finish = schedule_self_later;
  turn();
  assert_true(is_readable(fd));
  a.finish = NULL;
  turn();
  assert_turns("aa");
  turn();
  assert_false(is_readable(fd));
  /* The poller's timer runs by the real clock, for which all of this is past.
   */
  ws__loop_set_deadline(loop, &b.source, 1);
  assert_true(is_readable(fd));
  turn();
  assert_turns("b");
  assert_false(is_readable(fd));
  end_loop();
}

/* -- Failures -------------------------------------------------------------- */

static void the_latest_failure_is_kept_for_its_source(void **state) {
  (void)state;
  player a = play('a'), b = play('b');
  add(&a);
  add(&b);
  const int err = WS_ERR_TRANSPORT;
  assert_null(ws__loop_tell_failure(loop, &a.source, err));
  ws__loop_note_failure(loop, &a.source, err, "broken");
  assert_null(ws__loop_tell_failure(loop, &b.source, err));
  assert_null(ws__loop_tell_failure(loop, &a.source, WS_ERR_INVALID_OPCODE));
  const char *told = ws__loop_tell_failure(loop, &a.source, err);
  assert_string_equal(told, "broken");
  ws__loop_note_failure(loop, &b.source, err, "torn");
  assert_string_equal(told, "broken");
  assert_null(ws__loop_tell_failure(loop, &a.source, err));
  assert_string_equal(ws__loop_tell_failure(loop, &b.source, err), "torn");
  ws__loop_remove(loop, &b.source);
  add(&b);
  assert_null(ws__loop_tell_failure(loop, &b.source, err));
  ws__loop_note_failure(loop, &a.source, err, "broken");
  ws__loop_note_failure(loop, &a.source, err, NULL);
  assert_null(ws__loop_tell_failure(loop, &a.source, err));
  end_loop();
}

/* -- Stopping -------------------------------------------------------------- */

/* The wake-up of the call may have been seen by a turn between the two. */
static void a_stop_is_for_the_next_run(void **state) {
  (void)state;
  ws_timer *timer;
  assert_int_equal(
      ws_timer_new(loop, WS_NO_DEADLINE - now - 1, NULL, NULL, &timer), 0);
  ws_loop_stop(loop);
  assert_int_equal(ws_loop_dispatch(loop, 0), 0);
  assert_int_equal(ws_loop_run(loop), 0);
  assert_true(ws_loop_is_alive(loop));
}

/* -- Ending ---------------------------------------------------------------- */

static void a_loop_that_ends_drops_all(void **state) {
  (void)state;
  player all[3] = {play('a'), play('b'), play('c')};
  for (int i = 0; i < 3; i++)
    add(&all[i]);
  ws__loop_schedule(loop, &all[1].source);
  ws__loop_schedule(loop, &all[0].source);
  end_loop();
  assert_turns("-c-b-a");
}

static void without_memory_there_is_no_loop(void **state) {
  (void)state;
  ws_loop_options options;
  ws_loop_options_init(&options);
  test_alloc own;
  for (size_t n = 0;; n++) {
    test_alloc_init(&own);
    own.fail_at = n;
    options.allocator = own.allocator;
    ws_loop *made;
    ws_error error = {0};
    const int err = ws_loop_new(&options, &made, &error);
    if (own.calls <= n) {
      assert_int_equal(err, 0);
      ws_loop_free(made);
      assert_int_equal(own.held, 0);
      break;
    }
    assert_int_equal(err, WS_ERR_NO_MEMORY);
    assert_int_equal(error.code, WS_ERR_NO_MEMORY);
    assert_int_equal(own.held, 0);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(scheduled_sources_get_one_turn_in_their_order),
      TEST(a_source_may_have_another_take_its_turn_at_once),
      TEST(who_wants_to_go_on_waits_for_the_next_turn),
      TEST(a_turn_of_the_loop_ends),
      TEST(a_source_that_leaves_gets_no_turn),
      TEST(a_source_may_leave_in_a_turn),
      TEST(deadlines_come_in_their_order_and_once),
      TEST(a_lazy_deadline_only_moves_forward),
      TEST(who_is_always_due_does_not_keep_the_loop),
      TEST(descriptors_come_first),
      TEST(who_goes_on_keeps_nobody_waiting),
      TEST(the_descriptor_tells_of_what_is_scheduled),
      TEST(the_latest_failure_is_kept_for_its_source),
      TEST(a_stop_is_for_the_next_run),
      TEST(a_loop_that_ends_drops_all),
      TEST(without_memory_there_is_no_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
