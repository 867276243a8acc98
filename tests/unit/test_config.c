/* test_config.c - options: their defaults, their ranges, and who owns what.
 * every limit is on without any configuration. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/config.h"
#include "test.h"
#include "test_alloc.h"

static int no_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  (void)out;
  (void)len;
  return -1;
}

static ws_conn_config *make(ws_role role, const ws_conn_options *options) {
  ws_conn_config *config = NULL;
  const char *reason = NULL;
  assert_int_equal(ws_conn_config_new(role, options, &config, &reason), 0);
  assert_non_null(config);
  assert_null(reason);
  return config;
}

static void assert_limits_are_on(const ws_conn_options *o) {
  assert_true(o->max_message > 0 && o->max_message < WS_UNLIMITED);
  assert_true(o->max_fragments > 0 && o->max_fragments < WS_UNLIMITED);
  assert_true(o->max_send_queue > 0 && o->max_send_queue < WS_UNLIMITED);
  assert_true(o->send_high_water > 0 && o->send_high_water < WS_UNLIMITED);
  assert_true(o->max_head > 0 && o->max_head_line > 0 && o->max_headers > 0);
  assert_true(o->max_response_body > 0);
  assert_true(o->useless_burst > 0 && o->useless_burst < WS_NEVER);
  assert_true(o->useless_rate > 0);
  const uint32_t times[] = {o->handshake_timeout, o->ping_interval,
                            o->ping_timeout,      o->message_timeout,
                            o->send_timeout,      o->close_timeout};
  for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
    assert_true(times[i] > 0 && times[i] <= 60000);
  }
}

/* Row 345. */
static void a_server_has_every_limit_by_default(void **state) {
  (void)state;
  ws_conn_config *config = make(WS_ROLE_SERVER, NULL);
  const ws_conn_options *o = &config->options;
  assert_limits_are_on(o);
  assert_int_equal(o->max_message, 1024 * 1024);
  assert_int_equal(o->handshake_timeout, 10000);
  assert_int_equal(o->compression, WS_COMPRESSION_OFF); /* Row 310. */
  assert_false(config->rules.deflate.is_enabled);
  assert_null(o->origins);
  ws_conn_config_free(config);
}

/* Row 345. */
static void a_client_has_every_limit_by_default(void **state) {
  (void)state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.random = no_random;
  ws_conn_config *config = make(WS_ROLE_CLIENT, &options);
  const ws_conn_options *o = &config->options;
  assert_limits_are_on(o);
  assert_int_equal(o->max_message, 16 * 1024 * 1024);
  assert_int_equal(o->handshake_timeout, 30000);
  assert_int_equal(o->compression, WS_COMPRESSION_ON); /* Row 64. */
  assert_int_equal(o->server_max_window_bits, 12);
  assert_int_equal(o->client_max_window_bits, 12);
  ws_conn_config_free(config);
}

static void no_limit_has_to_be_asked_for(void **state) {
  (void)state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.max_message = WS_UNLIMITED;
  options.ping_interval = WS_NEVER;
  ws_conn_config *config = make(WS_ROLE_SERVER, &options);
  assert_true(config->options.max_message == WS_UNLIMITED);
  assert_true(config->options.ping_interval == WS_NEVER);
  ws_conn_config_free(config);
}

static void assert_refused(ws_role role, const ws_conn_options *options,
                           const char *name) {
  ws_conn_config *config = NULL;
  const char *reason = NULL;
  assert_int_equal(ws_conn_config_new(role, options, &config, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_null(config);
  assert_non_null(reason);
  assert_memory_equal(reason, name, strlen(name));
  assert_int_equal(ws_conn_config_new(role, options, &config, NULL),
                   WS_ERR_INVALID_ARGUMENT);
}

static void options_out_of_range_are_named(void **state) {
  (void)state;
#define REFUSE(field, value)                          \
  do {                                                \
    ws_conn_options options;                          \
    ws_conn_options_init(&options);                   \
    options.field = (value);                          \
    assert_refused(WS_ROLE_SERVER, &options, #field); \
  } while (0)
  REFUSE(handshake_timeout, (uint32_t)INT32_MAX + 1);
  REFUSE(ping_interval, (uint32_t)INT32_MAX + 1);
  REFUSE(ping_timeout, (uint32_t)INT32_MAX + 1);
  REFUSE(message_timeout, WS_NEVER - 1);
  REFUSE(send_timeout, (uint32_t)INT32_MAX + 1);
  REFUSE(close_timeout, (uint32_t)INT32_MAX + 1);
  REFUSE(compression, (ws_compression)3);
  REFUSE(compression_level, 10);
  REFUSE(compression_memory, 10);
  REFUSE(server_max_window_bits, 7);
  REFUSE(server_max_window_bits, 16);
  REFUSE(client_max_window_bits, 7);
  REFUSE(client_max_window_bits, 16);
  REFUSE(size, 0);
  REFUSE(size, sizeof(ws_conn_options) + 1);
#undef REFUSE
  assert_refused((ws_role)2, NULL, "role");
}

static void a_client_needs_random_bytes(void **state) {
  (void)state;
  assert_refused(WS_ROLE_CLIENT, NULL, "random");
}

/* A caller built against an older header knows fewer options. */
static void options_that_a_caller_does_not_know_get_defaults(void **state) {
  (void)state;
  ws_conn_options options;
  memset(&options, 0xFF, sizeof(options));
  ws_conn_options_init(&options);
  options.size = offsetof(ws_conn_options, max_fragments);
  options.max_message = 7;
  memset((char *)&options + options.size, 0xFF, sizeof(options) - options.size);
  ws_conn_config *config = make(WS_ROLE_SERVER, &options);
  assert_int_equal(config->options.max_message, 7);
  assert_int_equal(config->options.max_fragments, 131072);
  assert_null(config->options.origins);
  ws_conn_config_free(config);
}

static void lists_are_copied(void **state) {
  (void)state;
  char origin[] = "https://a.example";
  char host[] = "b.example";
  const char *origins[] = {origin, "https://c", NULL};
  const char *hosts[] = {host, NULL};
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.origins = origins;
  options.hosts = hosts;
  ws_conn_config *config = make(WS_ROLE_SERVER, &options);
  origin[0] = host[0] = 'X';
  origins[1] = hosts[0] = NULL;
  assert_string_equal(config->rules.origins[0], "https://a.example");
  assert_string_equal(config->rules.origins[1], "https://c");
  assert_null(config->rules.origins[2]);
  assert_string_equal(config->rules.hosts[0], "b.example");
  assert_null(config->rules.hosts[1]);
  ws_conn_config_free(config);
}

static void a_connection_keeps_its_configuration_alive(void **state) {
  (void)state;
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.allocator = alloc.allocator;
  ws_conn_config *config = make(WS_ROLE_SERVER, &options);
  ws_conn *conns[2];
  assert_int_equal(ws_conn_new(config, 0, &conns[0]), 0);
  assert_int_equal(ws_conn_new(config, 0, &conns[1]), 0);
  ws_conn_config_free(config);
  ws_conn_free(conns[0]);
  assert_int_equal(ws_conn_role(conns[1]), WS_ROLE_SERVER);
  ws_conn_free(conns[1]);
  assert_int_equal(alloc.held, 0);
  ws_conn_config_free(NULL);
  ws_conn_free(NULL);
}

static void without_memory_there_is_no_configuration(void **state) {
  (void)state;
  test_alloc alloc;
  test_alloc_init(&alloc);
  alloc.fail_at = 0;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.allocator = alloc.allocator;
  ws_conn_config *config = NULL;
  assert_int_equal(ws_conn_config_new(WS_ROLE_SERVER, &options, &config, NULL),
                   WS_ERR_NO_MEMORY);
  assert_null(config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_server_has_every_limit_by_default),
      cmocka_unit_test(a_client_has_every_limit_by_default),
      cmocka_unit_test(no_limit_has_to_be_asked_for),
      cmocka_unit_test(options_out_of_range_are_named),
      cmocka_unit_test(a_client_needs_random_bytes),
      cmocka_unit_test(options_that_a_caller_does_not_know_get_defaults),
      cmocka_unit_test(lists_are_copied),
      cmocka_unit_test(a_connection_keeps_its_configuration_alive),
      cmocka_unit_test(without_memory_there_is_no_configuration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
