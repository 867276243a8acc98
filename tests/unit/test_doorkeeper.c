/* Bounds on connections, in all and by address. */
#include "test.h"

#include "api/doorkeeper.h"

static ws__addr addr_of(const char *host) {
  ws__addr addr;
  assert_true(ws__addr_from_ip(&addr, host, 1234));
  return addr;
}

static bool enter(ws__doorkeeper *keeper, const char *host,
                  ws__guest **out_guest) {
  const ws__addr addr = addr_of(host);
  return ws__doorkeeper_enter(keeper, &addr, out_guest);
}

static void without_bounds_everybody_enters_uncounted(void **state) {
  (void)state;
  ws__doorkeeper keeper;
  assert_int_equal(ws__doorkeeper_init(&keeper, 0, 0), 0);
  for (int i = 0; i < 100; i++) {
    ws__guest *guest;
    assert_true(enter(&keeper, "127.0.0.1", &guest));
    assert_null(guest);
  }
  assert_int_equal(atomic_load(&keeper.count), 100);
  for (int i = 0; i < 100; i++)
    ws__doorkeeper_leave(&keeper, NULL);
  assert_int_equal(atomic_load(&keeper.count), 0);
  ws__doorkeeper_free(&keeper);
}

static void no_more_than_the_bound_are_in(void **state) {
  (void)state;
  ws__doorkeeper keeper;
  ws__guest *guest;
  assert_int_equal(ws__doorkeeper_init(&keeper, 2, 0), 0);
  assert_true(enter(&keeper, "127.0.0.1", &guest));
  assert_true(enter(&keeper, "::1", &guest));
  assert_false(enter(&keeper, "127.0.0.2", &guest));
  ws__doorkeeper_leave(&keeper, NULL);
  assert_true(enter(&keeper, "127.0.0.2", &guest));
  ws__doorkeeper_leave(&keeper, NULL);
  ws__doorkeeper_leave(&keeper, NULL);
  ws__doorkeeper_free(&keeper);
}

/* RFC 4291 2.5.4: an IPv6 host has a net of 2^64 addresses. */
static void addresses_have_bounds_of_their_own(void **state) {
  (void)state;
  ws__doorkeeper keeper;
  ws__guest *a, *b, *c, *d, *none;
  assert_int_equal(ws__doorkeeper_init(&keeper, 0, 2), 0);
  assert_true(enter(&keeper, "10.0.0.1", &a));
  assert_true(enter(&keeper, "10.0.0.1", &b));
  assert_false(enter(&keeper, "10.0.0.1", &none));
  assert_null(none);
  assert_int_equal(atomic_load(&keeper.count), 2);
  assert_true(enter(&keeper, "2001:db8::1", &c));
  assert_true(enter(&keeper, "2001:db8::ffff:1", &d));
  assert_false(enter(&keeper, "2001:db8::2", &none));
  ws__doorkeeper_leave(&keeper, a);
  assert_true(enter(&keeper, "10.0.0.1", &a));
  ws__guest *other;
  assert_true(enter(&keeper, "2001:db8:0:1::1", &other));
  ws__doorkeeper_leave(&keeper, other);
  ws__doorkeeper_leave(&keeper, a);
  ws__doorkeeper_leave(&keeper, b);
  ws__doorkeeper_leave(&keeper, c);
  ws__doorkeeper_leave(&keeper, d);
  assert_int_equal(atomic_load(&keeper.count), 0);
  ws__doorkeeper_free(&keeper);
}

/* Or whoever has such a net could keep out the one with that address. */
static void no_net_counts_for_an_ipv4_address(void **state) {
  (void)state;
  ws__doorkeeper keeper;
  ws__guest *a, *b, *c;
  assert_int_equal(ws__doorkeeper_init(&keeper, 0, 1), 0);
  assert_true(enter(&keeper, "2001:db8::1", &a));
  assert_true(enter(&keeper, "32.1.13.184", &b)); /* 20 01 0d b8 */
  assert_true(enter(&keeper, "::1", &c));
  ws__doorkeeper_leave(&keeper, a);
  ws__doorkeeper_leave(&keeper, b);
  ws__doorkeeper_leave(&keeper, c);
  ws__doorkeeper_free(&keeper);
}

static void a_unix_socket_has_no_address(void **state) {
  (void)state;
  ws__doorkeeper keeper;
  ws__addr addr;
  assert_int_equal(ws__addr_from_path(&addr, "/tmp/x"), 0);
  assert_int_equal(ws__doorkeeper_init(&keeper, 0, 1), 0);
  for (int i = 0; i < 3; i++) {
    ws__guest *guest;
    assert_true(ws__doorkeeper_enter(&keeper, &addr, &guest));
    assert_null(guest);
  }
  for (int i = 0; i < 3; i++)
    ws__doorkeeper_leave(&keeper, NULL);
  ws__doorkeeper_free(&keeper);
}

static void many_addresses_come_and_go(void **state) {
  (void)state;
  enum {
    MANY = 5000 /* More than there are buckets. */
  };
  static ws__guest *guests[MANY];
  ws__doorkeeper keeper;
  assert_int_equal(ws__doorkeeper_init(&keeper, 0, 1), 0);
  for (unsigned i = 0; i < MANY; i++) {
    ws__addr addr = addr_of("10.0.0.1");
    addr.as.in.sin_addr.s_addr += htonl(i);
    assert_true(ws__doorkeeper_enter(&keeper, &addr, &guests[i]));
  }
  for (unsigned i = 0; i < MANY; i += 2)
    ws__doorkeeper_leave(&keeper, guests[i]);
  for (unsigned i = 0; i < MANY; i++) {
    ws__addr addr = addr_of("10.0.0.1");
    addr.as.in.sin_addr.s_addr += htonl(i);
    ws__guest *guest;
    assert_int_equal(ws__doorkeeper_enter(&keeper, &addr, &guest), i % 2 == 0);
    if (i % 2 == 0) guests[i] = guest;
  }
  for (unsigned i = 0; i < MANY; i++)
    ws__doorkeeper_leave(&keeper, guests[i]);
  ws__doorkeeper_free(&keeper);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_bounds_everybody_enters_uncounted),
      cmocka_unit_test(no_more_than_the_bound_are_in),
      cmocka_unit_test(addresses_have_bounds_of_their_own),
      cmocka_unit_test(no_net_counts_for_an_ipv4_address),
      cmocka_unit_test(a_unix_socket_has_no_address),
      cmocka_unit_test(many_addresses_come_and_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
