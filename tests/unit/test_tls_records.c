/* test_tls_records.c - records that travel together: those of one write leave
 * by one call of the system and what has come is taken by one, wherever the
 * system cuts, and no memory is kept for it. */
#include "test.h"
#include "test_alloc.h"

#include "tls_pair.h"
#include "tls_wire.h"

#include <stdlib.h>
#include <unistd.h>

#define HOST "a.test"

enum {
  RECORD = WS__TLS_RECORD_MAX,
  HUNDRED = 100 * 1024,
  TOTAL = 9 * RECORD,       /* More than one call sends. */
  ROOM = 256 * 1024,        /* As the receive buffer of a loop. */
  MOST_WAITING = 8 * RECORD /* What may be held of a write that is cut. */
};

static cert *leaf;
static uint8_t data[TOTAL];
static uint8_t got[ROOM];

/* -- Both ends ------------------------------------------------------------- */

static test_alloc memory;
static tls_pair pair;
static size_t idle; /* Bytes held when nothing is under way. */

static int make_certificate(void **state) {
  (void)state;
  leaf = cert_new(&(cert_spec){.common_name = "x", .alt_names = "DNS:" HOST});
  for (size_t i = 0; i < TOTAL; i++)
    data[i] = (uint8_t)(i * 7 + i / 251);
  return 0;
}

static int free_certificate(void **state) {
  (void)state;
  cert_free(leaf);
  return 0;
}

static void set_up(ws_tls_version version) {
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_client_options client = {.ca.text = leaf->certificate,
                                        .policy.max_version = version};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  net = (wire){0};
  test_alloc_init(&memory);
  tls_pair_init(&pair, &memory.allocator, &client, &server);
  tls_pair_open(&pair, HOST);
  /* All that a test writes before it reads fits. */
  const int large = 1 << 20;
  for (int i = 0; i < 2; i++) {
    const int fd = i == 0 ? pair.client_fd : pair.server_fd;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
  }
  assert_carried(pair.server, pair.client, "tickets");
  net = (wire){0};
  idle = memory.held;
}

static void tear_down(void) {
  tls_pair_free(&pair);
  assert_int_equal(memory.held, 0);
}

/* Writes `len` bytes from `at` on, which lie elsewhere each time. */
static ws__tls_status write_from(size_t at, size_t len, size_t *out_n) {
  uint8_t *moved = malloc(len);
  memcpy(moved, data + at, len);
  const size_t half = len / 2;
  const struct iovec pieces[] = {{moved, half}, {moved + half, len - half}};
  const ws__tls_status status = ws__tls_write(pair.client, pieces, 2, out_n);
  free(moved);
  return status;
}

static void assert_writes(size_t len) {
  size_t n;
  assert_int_equal(write_from(0, len, &n), WS__TLS_OK);
  assert_int_equal(n, len);
  assert_int_equal(memory.held, idle);
}

/* Reads into exactly `room` bytes. Returns how many came. */
static size_t read_to(size_t at, size_t room, ws__tls_status expected) {
  uint8_t *buf = malloc(room);
  size_t n;
  assert_int_equal(ws__tls_read(pair.server, buf, room, &n), expected);
  assert_true(n <= room && n <= sizeof(got) - at);
  memcpy(got + at, buf, n);
  free(buf);
  return n;
}

/* Reads `len` bytes, which must be those written. */
static void assert_got(size_t len, size_t room) {
  size_t at = 0;
  while (at < len)
    at += read_to(at, room, WS__TLS_OK);
  assert_int_equal(at, len);
  assert_memory_equal(got, data, len);
  assert_int_equal(memory.held, idle);
}

/* Runs it with both versions. */
static void with_each_version(void (*test)(void)) {
  for (ws_tls_version v = WS_TLS_VERSION_1_2; v <= WS_TLS_VERSION_1_3; v++) {
    set_up(v);
    test();
    tear_down();
  }
}

/* -- Out ------------------------------------------------------------------- */

static void write_and_count(void) {
  assert_writes(HUNDRED);
  assert_int_equal(net.sends, 1);
  assert_true(net.sent > HUNDRED && net.sent < HUNDRED + 7 * 64);
  assert_got(HUNDRED, ROOM);
  assert_int_equal(net.recvs, 1);
  assert_int_equal(net.received, net.sent);

  net = (wire){0};
  assert_writes(TOTAL);
  assert_int_equal(net.sends, 2); /* Eight records at once. */
  assert_got(TOTAL, ROOM);
}

static void records_of_one_write_leave_together(void **state) {
  (void)state;
  with_each_version(write_and_count);
}

static void a_single_record_needs_no_memory(void **state) {
  (void)state;
  set_up(WS_TLS_VERSION_DEFAULT);
  memory.calls = 0;
  assert_writes(RECORD);
  assert_int_equal(net.sends, 1);
  assert_int_equal(memory.calls, 0);
  assert_got(RECORD, ROOM);
  tear_down();
}

static void without_memory_records_leave_one_by_one(void **state) {
  (void)state;
  set_up(WS_TLS_VERSION_DEFAULT);
  memory.fail_at = memory.calls;
  memory.keep_failing = true;
  assert_writes(3 * RECORD);
  assert_int_equal(net.sends, 3);
  assert_got(3 * RECORD, ROOM);
  tear_down();
}

/* The system takes `cut` bytes at a time, until it has all. */
static void write_in_cuts(size_t len, size_t cut) {
  net = (wire){0};
  size_t taken = 0, in = 0;
  while (taken < len) {
    size_t n;
    net.is_blocked = true;
    net.room = cut;
    const ws__tls_status status = write_from(taken, len - taken, &n);
    taken += n;
    assert_int_equal(status, taken < len ? WS__TLS_WANT_WRITE : WS__TLS_OK);
    assert_true(taken <= net.sent);
    assert_true(memory.held - idle <= MOST_WAITING);
    if (status == WS__TLS_OK) assert_int_equal(memory.held, idle);
    const bool has_come = net.sent > net.received;
    uint8_t *buf = malloc(ROOM);
    if (has_come && ws__tls_read(pair.server, buf, ROOM, &n) == WS__TLS_OK) {
      memcpy(got + in, buf, n);
      in += n;
    }
    free(buf);
  }
  assert_int_equal(in, len);
  assert_memory_equal(got, data, len);
}

static void write_in_all_cuts(void) {
  static const size_t cuts[] = {997, 16383, 16384, 16406, 16413, 40000, 49170};
  for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
    write_in_cuts(3 * RECORD, cuts[i]);
    write_in_cuts(TOTAL, cuts[i]);
  }
}

/* What was encrypted counts as taken when it leaves, not before. */
static void what_the_system_does_not_take_waits(void **state) {
  (void)state;
  with_each_version(write_in_all_cuts);
}

/* Nothing has left: none is taken, and all of it is held. */
static void what_waits_is_not_taken(void **state) {
  (void)state;
  set_up(WS_TLS_VERSION_DEFAULT);
  net.is_blocked = true;
  size_t n;
  assert_int_equal(write_from(0, TOTAL, &n), WS__TLS_WANT_WRITE);
  assert_int_equal(n, 0);
  assert_true(memory.held > idle + 7 * RECORD);
  /* Nor is it encrypted again. */
  net.sends = 0;
  assert_int_equal(write_from(0, TOTAL, &n), WS__TLS_WANT_WRITE);
  assert_int_equal(net.sends, 1);
  net.room = 1000;
  assert_int_equal(write_from(0, TOTAL, &n), WS__TLS_WANT_WRITE);
  assert_true(n > 0 && n <= 1000);
  const size_t taken = n;
  net.is_blocked = false;
  assert_int_equal(write_from(taken, TOTAL - taken, &n), WS__TLS_OK);
  assert_int_equal(n, TOTAL - taken);
  assert_got(TOTAL, ROOM);
  tear_down();
}

static void the_end_is_said_after_what_waits(void **state) {
  (void)state;
  set_up(WS_TLS_VERSION_DEFAULT);
  net.is_blocked = true;
  net.room = RECORD;
  size_t n;
  assert_int_equal(write_from(0, HUNDRED, &n), WS__TLS_WANT_WRITE);
  net.is_blocked = false;
  net.sends = 0;
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
  assert_int_equal(net.sends, 0);
  const size_t taken = n;
  assert_int_equal(write_from(taken, HUNDRED - taken, &n), WS__TLS_OK);
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
  assert_got(HUNDRED, ROOM);
  assert_int_equal(read_to(0, 1, WS__TLS_EOF), 0);
  tear_down();
}

/* A connection may be freed with records that wait, or fail with them. */
static void what_waits_goes_with_its_connection(void **state) {
  (void)state;
  for (int fails = 0; fails < 2; fails++) {
    set_up(WS_TLS_VERSION_DEFAULT);
    net.is_blocked = true;
    net.room = 3 * RECORD;
    size_t n;
    assert_int_equal(write_from(0, HUNDRED, &n), WS__TLS_WANT_WRITE);
    if (fails) {
      net = (wire){.send_error = EPIPE};
      const size_t taken = n;
      assert_int_equal(write_from(taken, HUNDRED - taken, &n), WS__TLS_FAILED);
      assert_int_equal(ws__tls_system_error(pair.client), EPIPE);
    }
    tls_pair_end_client(&pair);
    assert_int_equal(read_to(0, ROOM, WS__TLS_OK), 2 * RECORD);
    assert_int_equal(read_to(0, ROOM, WS__TLS_TRUNCATED), 0);
    tear_down();
  }
}

/* -- In -------------------------------------------------------------------- */

static void read_in_all_rooms(void) {
  static const size_t rooms[] = {1000,  5000,  16383, 16384,  16385,
                                 20479, 20480, 20481, 20500,  36863,
                                 36864, 40960, 65536, 100000, ROOM};
  for (size_t i = 0; i < sizeof(rooms) / sizeof(*rooms); i++) {
    assert_writes(TOTAL);
    assert_got(TOTAL, rooms[i]);
    /* Also when reading begins in the middle of a record. */
    assert_writes(TOTAL);
    const size_t first = read_to(0, 777, WS__TLS_OK);
    for (size_t at = first; at < TOTAL;)
      at += read_to(at, rooms[i], WS__TLS_OK);
    assert_memory_equal(got, data, TOTAL);
  }
}

static void any_room_gets_what_was_written(void **state) {
  (void)state;
  with_each_version(read_in_all_rooms);
}

/* Whatever the system hands over at once. */
static void read_in_all_parts(void) {
  static const size_t parts[] = {1000, 16384, 17000, 33333, 65536};
  for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
    assert_writes(TOTAL);
    net.most = parts[i];
    assert_got(TOTAL, ROOM);
    net.most = 0;
  }
}

static void any_part_that_comes_is_read(void **state) {
  (void)state;
  with_each_version(read_in_all_parts);
}

/* What does not fit stays with the system, but for the record at hand. */
static void no_more_is_read_than_there_is_room_for(void **state) {
  (void)state;
  set_up(WS_TLS_VERSION_DEFAULT);
  assert_writes(TOTAL);
  const size_t n = read_to(0, 3 * RECORD, WS__TLS_OK);
  assert_int_equal(n, 3 * RECORD);
  assert_true(net.received < 5 * RECORD);
  for (size_t at = n; at < TOTAL;)
    at += read_to(at, 3 * RECORD, WS__TLS_OK);
  assert_memory_equal(got, data, TOTAL);
  assert_false(ws__tls_pending(pair.server));
  tear_down();
}

static void an_end_behind_many_records_comes_last(void **state) {
  (void)state;
  for (int is_clean = 0; is_clean < 2; is_clean++) {
    set_up(WS_TLS_VERSION_DEFAULT);
    assert_writes(HUNDRED);
    if (is_clean) assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
    tls_pair_end_client(&pair);
    idle = memory.held;
    assert_got(HUNDRED, ROOM);
    assert_int_equal(net.recvs, 1);
    assert_int_equal(ws__tls_pending(pair.server), is_clean);
    for (int again = 0; again < 2; again++)
      read_to(0, ROOM, is_clean ? WS__TLS_EOF : WS__TLS_TRUNCATED);
    assert_int_equal(net.recvs, is_clean ? 1 : 2);
    tear_down();
  }
}

static void a_cut_in_what_was_read_ahead_is_a_cut(void **state) {
  (void)state;
  set_up(WS_TLS_VERSION_DEFAULT);
  net.is_blocked = true;
  net.room = 3 * RECORD;
  size_t n;
  assert_int_equal(write_from(0, HUNDRED, &n), WS__TLS_WANT_WRITE);
  tls_pair_end_client(&pair);
  assert_int_equal(read_to(0, ROOM, WS__TLS_OK), 2 * RECORD);
  assert_memory_equal(got, data, 2 * RECORD);
  read_to(0, ROOM, WS__TLS_TRUNCATED);
  tear_down();
}

/* What is behind a fault, or the end, is dropped with the room it lay in. */
static void a_fault_in_what_was_read_ahead_comes_after_the_rest(void **state) {
  (void)state;
  for (int is_end = 0; is_end < 2; is_end++) {
    set_up(WS_TLS_VERSION_DEFAULT);
    assert_writes(3 * RECORD);
    if (is_end) assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
    for (int i = 0; i < 100; i++)
      assert_int_equal(send(pair.client_fd, data, 1000, MSG_NOSIGNAL), 1000);
    assert_got(3 * RECORD, ROOM);
    assert_true(ws__tls_pending(pair.server));
    for (int again = 0; again < 2; again++)
      read_to(0, ROOM, is_end ? WS__TLS_EOF : WS__TLS_FAILED);
    assert_int_equal(ws__tls_error(pair.server), is_end ? 0 : WS_ERR_TLS);
    tear_down();
  }
}

/* */
static void a_count_that_cannot_be_of_many_records_fails(void **state) {
  (void)state;
  set_up(WS_TLS_VERSION_DEFAULT);
  assert_writes(HUNDRED);
  net.lie = ROOM;
  read_to(0, ROOM, WS__TLS_FAILED);
  assert_int_equal(ws__tls_system_error(pair.server), EIO);
  tear_down();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(records_of_one_write_leave_together),
      cmocka_unit_test(a_single_record_needs_no_memory),
      cmocka_unit_test(without_memory_records_leave_one_by_one),
      cmocka_unit_test(what_the_system_does_not_take_waits),
      cmocka_unit_test(what_waits_is_not_taken),
      cmocka_unit_test(the_end_is_said_after_what_waits),
      cmocka_unit_test(what_waits_goes_with_its_connection),
      cmocka_unit_test(any_room_gets_what_was_written),
      cmocka_unit_test(any_part_that_comes_is_read),
      cmocka_unit_test(no_more_is_read_than_there_is_room_for),
      cmocka_unit_test(an_end_behind_many_records_comes_last),
      cmocka_unit_test(a_cut_in_what_was_read_ahead_is_a_cut),
      cmocka_unit_test(a_fault_in_what_was_read_ahead_comes_after_the_rest),
      cmocka_unit_test(a_count_that_cannot_be_of_many_records_fails),
  };
  return cmocka_run_group_tests(tests, make_certificate, free_certificate);
}
