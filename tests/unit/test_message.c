/* test_message.c - messages made for many: their two frames, and who holds
 * them. */
#include <stdlib.h>

#include "proto/deflate.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "test.h"
#include "test_alloc.h"

#define THRESHOLD 1024 /* The default. */

static test_alloc memory;

static int set_up(void **state) {
  (void)state;
  test_alloc_init(&memory);
  return 0;
}

static int nothing_is_held(void **state) {
  (void)state;
  return memory.held == 0 ? 0 : 1;
}

static int no_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  (void)out;
  (void)len;
  return -1;
}

static ws_conn_config *new_config(ws_role role, ws_compression compression) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.allocator = memory.allocator;
  options.random = no_random;
  options.compression = compression;
  ws_conn_config *config;
  assert_int_equal(ws_conn_config_new(role, &options, &config, NULL), 0);
  return config;
}

/* A message of `len` bytes that deflate well. It keeps its configuration. */
static ws_message *new_message(ws_role role, ws_compression compression,
                               size_t len, unsigned flags) {
  ws_conn_config *config = new_config(role, compression);
  uint8_t *data = malloc(len + 1);
  assert_non_null(data);
  memset(data, 'x', len);
  ws_message *message;
  assert_int_equal(ws_message_new(config, WS_TEXT, data, len, flags, &message),
                   0);
  free(data);
  ws_conn_config_free(config);
  return message;
}

/* Reads the head of a frame, and returns where its payload lies. */
static const uint8_t *read_head(ws_slice frame, ws__frame *out_head) {
  size_t size;
  assert_int_equal(
      ws__frame_read(frame.data, frame.len, false, true, out_head, &size), 0);
  assert_true(size > 0);
  assert_int_equal(out_head->len, frame.len - size);
  assert_true(out_head->is_final);
  return frame.data + size;
}

static void the_plain_frame_is_complete(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    ws_message *message =
        new_message(WS_ROLE_SERVER, WS_COMPRESSION_OFF, sizes[i], 0);
    ws__frame head;
    const uint8_t *payload = read_head(message->plain, &head);
    assert_int_equal(head.opcode, WS__OP_TEXT);
    assert_false(head.has_rsv1);
    assert_int_equal(head.len, sizes[i]);
    for (size_t k = 0; k < sizes[i]; k++)
      assert_int_equal(payload[k], 'x');

    size_t len;
    assert_ptr_equal(ws_message_get_data(message, &len), payload);
    assert_int_equal(len, sizes[i]);
    assert_int_equal(ws_message_get_type(message), WS_TEXT);
    assert_int_equal(message->deflated.len, 0);
    ws_message_free(message);
  }
}

static void assert_inflates(const ws_message *message) {
  ws__frame head;
  const uint8_t *payload = read_head(message->deflated, &head);
  assert_int_equal(head.opcode, WS__OP_TEXT);
  assert_true(head.has_rsv1);

  const ws__deflate_params params = {
      .server_max_window_bits = message->window_bits,
      .client_max_window_bits = 15,
  };
  ws__deflate *peer;
  assert_int_equal(
      ws__deflate_new(&memory.allocator, &params, false, 1, 1, &peer), 0);
  uint8_t *out = malloc(message->len + 1);
  assert_non_null(out);
  size_t left = (size_t)head.len;
  size_t out_len;
  bool done;
  assert_int_equal(ws__deflate_expand(peer, &payload, &left, true, out,
                                      message->len + 1, &out_len, &done),
                   0);
  assert_true(done);
  size_t len;
  const uint8_t *data = ws_message_get_data(message, &len);
  assert_int_equal(out_len, len);
  assert_memory_equal(out, data, len);
  free(out);
  ws__deflate_free(peer);
}

static void the_deflated_frame_is_complete(void **state) {
  (void)state;
  static const size_t sizes[] = {THRESHOLD, 200000, 5000000};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    ws_message *message =
        new_message(WS_ROLE_SERVER, WS_COMPRESSION_ON, sizes[i], 0);
    assert_true(message->deflated.len < message->plain.len / 10);
    assert_int_equal(message->window_bits, 12);
    assert_int_equal(message->packed.cap, message->packed.len);
    assert_inflates(message);
    ws_message_free(message);
  }
}

static void a_message_is_deflated_only_where_that_is_wanted(void **state) {
  (void)state;
  static const struct {
    ws_role role;
    ws_compression compression;
    size_t len;
    unsigned flags;
  } cases[] = {
      {WS_ROLE_SERVER, WS_COMPRESSION_ON, THRESHOLD - 1, 0},
      {WS_ROLE_SERVER, WS_COMPRESSION_OFF, THRESHOLD, 0},
      {WS_ROLE_SERVER, WS_COMPRESSION_ON, THRESHOLD, WS_SEND_UNCOMPRESSED},
      {WS_ROLE_CLIENT, WS_COMPRESSION_ON, THRESHOLD, 0},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ws_message *message = new_message(cases[i].role, cases[i].compression,
                                      cases[i].len, cases[i].flags);
    assert_int_equal(message->deflated.len, 0);
    assert_int_equal(message->flags, cases[i].flags | WS_SEND_VALID_UTF8);
    ws_message_free(message);
  }
}

static void what_deflate_does_not_shorten_goes_as_it_is(void **state) {
  (void)state;
  uint8_t noise[2000];
  uint32_t seed = 1;
  for (size_t i = 0; i < sizeof(noise); i++) {
    seed = seed * 1664525u + 1013904223u;
    noise[i] = (uint8_t)(seed >> 24);
  }
  ws_conn_config *config = new_config(WS_ROLE_SERVER, WS_COMPRESSION_ON);
  ws_message *message;
  assert_int_equal(
      ws_message_new(config, WS_BINARY, noise, sizeof(noise), 0, &message), 0);
  assert_int_equal(message->deflated.len, 0);
  assert_null(message->packed.data);
  assert_true((message->flags & WS_SEND_UNCOMPRESSED) != 0);
  ws_message_free(message);
  ws_conn_config_free(config);
}

static void what_cannot_be_sent_is_refused(void **state) {
  (void)state;
  ws_conn_config *config = new_config(WS_ROLE_SERVER, WS_COMPRESSION_OFF);
  ws_message *message = NULL;
  assert_int_equal(ws_message_new(config, WS_TEXT, "\xFF", 1, 0, &message),
                   WS_ERR_INVALID_UTF8);
  assert_int_equal(
      ws_message_new(config, (ws_message_type)8, "a", 1, 0, &message),
      WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(
      ws_message_new(config, WS_TEXT, "a", 1, WS_SEND_FRAGMENT, &message),
      WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws_message_new(config, WS_TEXT, "a", 1, 8, &message),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws_message_new(config, WS_BINARY, "", SIZE_MAX, 0, &message),
                   WS_ERR_NO_MEMORY);
  assert_null(message);
  assert_int_equal(
      ws_message_new(config, WS_TEXT, "\xFF", 1, WS_SEND_VALID_UTF8, &message),
      0);
  ws_message_free(message);
  ws_conn_config_free(config);
}

static void a_message_needs_no_configuration(void **state) {
  (void)state;
  char data[2000] = {0};
  ws_message *message;
  assert_int_equal(
      ws_message_new(NULL, WS_BINARY, data, sizeof(data), 0, &message), 0);
  assert_int_equal(message->plain.len, 4 + sizeof(data));
  assert_int_equal(message->deflated.len, 0);
  assert_int_equal(message->flags & WS_SEND_UNCOMPRESSED, 0);
  ws_message_free(message);
}

static void it_goes_with_its_last_reference(void **state) {
  (void)state;
  ws_message_free(NULL);
  ws_message *message =
      new_message(WS_ROLE_SERVER, WS_COMPRESSION_ON, THRESHOLD, 0);
  assert_ptr_equal(ws_message_retain(message), message);
  ws_message_free(message);
  assert_true(memory.held > 0);
  assert_int_equal(message->len, THRESHOLD);
  ws_message_free(message);
  assert_int_equal(memory.held, 0);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  ws_conn_config *config = new_config(WS_ROLE_SERVER, WS_COMPRESSION_ON);
  const size_t held = memory.held;
  uint8_t data[4096] = {0};
  int err;
  size_t n = 0;
  do {
    memory.calls = 0;
    memory.fail_at = n++;
    ws_message *message;
    err = ws_message_new(config, WS_BINARY, data, sizeof(data), 0, &message);
    assert_true(err == 0 || err == WS_ERR_NO_MEMORY);
    if (err == 0) ws_message_free(message);
    assert_int_equal(memory.held, held);
  } while (err != 0);
  assert_true(n > 4);
  ws_conn_config_free(config);
}

/* -- Runs ------------------------------------------------------------------ */

static ws_message *text(const char *data) {
  ws_message *message;
  assert_int_equal(
      ws_message_new(NULL, WS_TEXT, data, strlen(data), 0, &message), 0);
  return message;
}

static void assert_is_text(const ws_message *message, const char *expected) {
  ws__frame head;
  const uint8_t *payload = read_head(message->plain, &head);
  assert_int_equal(head.opcode, WS__OP_TEXT);
  assert_int_equal(head.len, strlen(expected));
  assert_memory_equal(payload, expected, head.len);
  size_t len;
  assert_ptr_equal(ws_message_get_data(message, &len), payload);
  assert_int_equal(len, head.len);
}

static void parts_of_a_run_lie_side_by_side(void **state) {
  (void)state;
  ws_message *first = text("first"), *second = text("2nd");
  ws_message *run = ws__run_new(16);
  assert_non_null(run);
  ws_message parts[3];
  assert_true(ws__run_add(run, first, &parts[0]));
  assert_true(ws__run_add(run, second, &parts[1]));
  assert_false(ws__run_add(run, second, &parts[2])); /* 4 bytes are left. */
  ws_message_free(first);
  ws_message_free(second);
  assert_is_text(&parts[0], "first");
  assert_is_text(&parts[1], "2nd");
  assert_ptr_equal(parts[0].plain.data + parts[0].plain.len,
                   parts[1].plain.data);
  assert_ptr_equal(parts[0].keeper, run);
  assert_ptr_equal(parts[1].keeper, run);
  assert_int_equal(run->plain.len, 7 + 5);
  ws_message_free(run);
}

#define TEST(name) \
  cmocka_unit_test_setup_teardown(name, set_up, nothing_is_held)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_plain_frame_is_complete),
      TEST(the_deflated_frame_is_complete),
      TEST(a_message_is_deflated_only_where_that_is_wanted),
      TEST(what_deflate_does_not_shorten_goes_as_it_is),
      TEST(what_cannot_be_sent_is_refused),
      TEST(a_message_needs_no_configuration),
      TEST(it_goes_with_its_last_reference),
      TEST(every_allocation_may_fail),
      TEST(parts_of_a_run_lie_side_by_side),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
