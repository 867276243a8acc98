/* test_inbox.c - letters from other threads, with and without a loop to read
 * them. */
#include "test.h"

#include "base/list.h"
#include "io/inbox.h"

#include <pthread.h>

enum {
  THREADS = 4,
  LETTERS = 500 /* Of each thread. */
};

/* A letter that tells where and when it was opened. */
typedef struct note {
  ws__letter letter;
  unsigned thread;
  unsigned number;
  bool has_loop;
  unsigned opened; /* Which of all it was, counted from 1. */
} note;

static unsigned opened;

static bool open_note(ws__letter *letter, ws_loop *loop, ws_event *out_event) {
  (void)out_event;
  note *n = WS__CONTAINER_OF(letter, note, letter);
  n->has_loop = loop != NULL;
  n->opened = ++opened;
  return false;
}

/* Any address that is not NULL: letters here do not look at it. */
static int somewhere;
#define A_LOOP ((ws_loop *)(void *)&somewhere)

static void count_wake(void *ctx) {
  ++*(unsigned *)ctx;
}

static ws__inbox *new_inbox(unsigned *wakes) {
  ws__inbox *inbox;
  opened = 0;
  assert_int_equal(ws__inbox_new(count_wake, wakes, &inbox), 0);
  return inbox;
}

static void letters_are_taken_in_their_order(void **state) {
  (void)state;
  unsigned wakes = 0;
  ws__inbox *inbox = new_inbox(&wakes);
  assert_null(ws__inbox_take(inbox));
  note notes[3] = {{.letter.open = open_note},
                   {.letter.open = open_note},
                   {.letter.open = open_note}};
  for (int i = 0; i < 3; i++)
    assert_int_equal(ws__inbox_put(inbox, &notes[i].letter), 0);
  assert_int_equal(wakes, 3);
  const ws__letter *letter = ws__inbox_take(inbox);
  for (int i = 0; i < 3; i++) {
    assert_ptr_equal(letter, &notes[i].letter);
    letter = letter->next;
  }
  assert_null(letter);
  assert_null(ws__inbox_take(inbox));
  ws__inbox_close(inbox);
  assert_int_equal(opened, 0); /* Who takes them opens them. */
  ws__inbox_release(inbox);
}

static void a_closed_inbox_opens_what_it_has_and_takes_no_more(void **state) {
  (void)state;
  unsigned wakes = 0;
  ws__inbox *inbox = new_inbox(&wakes);
  note a = {.letter.open = open_note, .has_loop = true};
  note b = a, late = a;
  assert_int_equal(ws__inbox_put(inbox, &a.letter), 0);
  assert_int_equal(ws__inbox_put(inbox, &b.letter), 0);
  ws__inbox_close(inbox);
  assert_int_equal(a.opened, 1);
  assert_int_equal(b.opened, 2);
  assert_false(a.has_loop || b.has_loop);
  assert_int_equal(ws__inbox_put(inbox, &late.letter), WS_ERR_INVALID_STATE);
  assert_int_equal(late.opened, 0);
  assert_int_equal(wakes, 2); /* There may be nobody left to wake. */
  ws__inbox_close(inbox);
  ws__inbox_release(inbox);
  ws__inbox_release(NULL);
}

static void *ask_whose(void *arg) {
  ws__inbox *inbox = arg;
  return ws__inbox_is_mine(inbox) ? arg : NULL;
}

static bool is_of_another_thread(ws__inbox *inbox) {
  pthread_t thread;
  void *answer;
  assert_int_equal(pthread_create(&thread, NULL, ask_whose, inbox), 0);
  assert_int_equal(pthread_join(thread, &answer), 0);
  return answer != NULL;
}

static void an_inbox_is_of_the_thread_that_takes(void **state) {
  (void)state;
  unsigned wakes = 0;
  ws__inbox *inbox = new_inbox(&wakes);
  assert_false(ws__inbox_is_mine(inbox));
  assert_null(ws__inbox_take(inbox));
  assert_true(ws__inbox_is_mine(inbox));
  assert_false(is_of_another_thread(inbox));
  ws__inbox_close(inbox);
  assert_false(ws__inbox_is_mine(inbox));
  ws__inbox_release(inbox);
}

/* -- Many threads ---------------------------------------------------------- */

typedef struct writer {
  pthread_t thread;
  ws__inbox *inbox;
  note notes[LETTERS];
  bool was_refused; /* The inbox was closed meanwhile. */
} writer;

static void *write_letters(void *arg) {
  writer *w = arg;
  for (unsigned i = 0; i < LETTERS && !w->was_refused; i++)
    w->was_refused = ws__inbox_put(w->inbox, &w->notes[i].letter) != 0;
  ws__inbox_release(w->inbox);
  return NULL;
}

static writer writers[THREADS];

static void begin_writing(ws__inbox *inbox) {
  for (unsigned t = 0; t < THREADS; t++) {
    writers[t] = (writer){.inbox = ws__inbox_retain(inbox)};
    for (unsigned i = 0; i < LETTERS; i++) {
      writers[t].notes[i] =
          (note){.letter.open = open_note, .thread = t, .number = i};
    }
    assert_int_equal(
        pthread_create(&writers[t].thread, NULL, write_letters, &writers[t]),
        0);
  }
}

static void end_writing(void) {
  for (unsigned t = 0; t < THREADS; t++)
    assert_int_equal(pthread_join(writers[t].thread, NULL), 0);
}

/* Opens all there are, and checks the order of each thread's. */
static unsigned read_letters(ws__inbox *inbox, unsigned next[THREADS]) {
  unsigned count = 0;
  ws__letter *letter = ws__inbox_take(inbox);
  while (letter != NULL) {
    ws__letter *after = letter->next;
    const note *n = WS__CONTAINER_OF(letter, note, letter);
    assert_int_equal(n->number, next[n->thread]++);
    letter->open(letter, A_LOOP, NULL);
    letter = after;
    count++;
  }
  return count;
}

static void no_letter_of_many_threads_is_lost(void **state) {
  (void)state;
  unsigned wakes = 0, next[THREADS] = {0};
  ws__inbox *inbox = new_inbox(&wakes);
  begin_writing(inbox);
  unsigned count = 0;
  while (count < THREADS * LETTERS)
    count += read_letters(inbox, next);
  end_writing();
  assert_int_equal(wakes, THREADS * LETTERS);
  ws__inbox_close(inbox);
  ws__inbox_release(inbox);
}

/* What was taken is opened once; what was refused is not. */
static void an_inbox_may_close_while_threads_write(void **state) {
  (void)state;
  unsigned wakes = 0, next[THREADS] = {0};
  ws__inbox *inbox = new_inbox(&wakes);
  begin_writing(inbox);
  while (read_letters(inbox, next) == 0)
    continue;
  ws__inbox_close(inbox);
  ws__inbox_release(inbox);
  end_writing();
  unsigned count = 0;
  for (unsigned t = 0; t < THREADS; t++) {
    bool is_open = true;
    for (unsigned i = 0; i < LETTERS; i++) {
      const bool was_open = is_open;
      is_open = writers[t].notes[i].opened > 0;
      assert_true(was_open || !is_open);
      count += is_open;
    }
    assert_int_equal(is_open, !writers[t].was_refused);
  }
  assert_int_equal(count, opened);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(letters_are_taken_in_their_order),
      cmocka_unit_test(a_closed_inbox_opens_what_it_has_and_takes_no_more),
      cmocka_unit_test(an_inbox_is_of_the_thread_that_takes),
      cmocka_unit_test(no_letter_of_many_threads_is_lost),
      cmocka_unit_test(an_inbox_may_close_while_threads_write),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
