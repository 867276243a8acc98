/* message.c - makes the frames of a message, and counts who holds it. Both
 * frames are complete: the plain one lies behind the struct, the deflated one
 * in a block of its own. */
#include "proto/message.h"

#include <string.h>

#include "proto/deflate.h"
#include "proto/frame.h"
#include "proto/utf8.h"

/* The longest head of a frame without a masking key. */
#define HEAD_MAX (WS__FRAME_HEAD_MAX - 4)

#define ALLOWED_FLAGS ((unsigned)WS_SEND_UNCOMPRESSED | WS_SEND_VALID_UTF8)

static const ws_allocator *allocator_of(const ws_conn_config *config) {
  return config != NULL ? ws__config_allocator(config) : &ws__malloc;
}

/* -- Deflating ------------------------------------------------------------- */

/* Deflates the payload by a stream of its own, so that it refers to no other
 * message, and leaves room for a head in front of it. Returns 0 or
 * WS_ERR_NO_MEMORY. */
static int pack(ws_message *message, const uint8_t *payload) {
  static const uint8_t head_room[HEAD_MAX] = {0};
  const ws_conn_options *options = &message->config->options;
  const ws_allocator *allocator = allocator_of(message->config);
  ws__deflate *deflate;
  int err = ws__deflate_new(allocator, &message->config->rules.deflate.params,
                            true, options->compression_level,
                            options->compression_memory, &deflate);
  if (err != 0) return err;

  ws__buf *packed = &message->packed;
  err = ws__buf_append(packed, allocator, head_room, sizeof(head_room));
  if (err == 0) {
    err = ws__deflate_compress(deflate, payload, message->len, true, packed);
  }
  ws__deflate_free(deflate);
  return err == 0 ? ws__buf_resize(packed, allocator, packed->len) : err;
}

static int add_deflated(ws_message *message, const uint8_t *payload) {
  int err = pack(message, payload);
  if (err != 0) return err;

  ws__buf *packed = &message->packed;
  const size_t len = packed->len - HEAD_MAX;
  if (len >= message->len) {
    ws__buf_free(packed, allocator_of(message->config));
    message->flags |= WS_SEND_UNCOMPRESSED;
    return 0;
  }
  const size_t head_len = ws__frame_head_size(len, false);
  uint8_t *frame = packed->data + HEAD_MAX - head_len;
  ws__frame_write(frame, (ws__opcode)message->type, true, true, len, NULL);
  message->deflated = (ws_slice){frame, head_len + len};
  message->window_bits = message->config->options.server_max_window_bits;
  return 0;
}

static bool wants_deflated(const ws_message *message) {
  if (message->config == NULL) return false;
  const ws_conn_options *options = &message->config->options;
  return message->config->role == WS_ROLE_SERVER &&
         options->compression == WS_COMPRESSION_ON &&
         (message->flags & WS_SEND_UNCOMPRESSED) == 0 &&
         message->len >= options->compression_threshold;
}

/* -- Life ------------------------------------------------------------------ */

static ws_message *make_plain(ws_conn_config *config, ws_message_type type,
                              const void *data, size_t len) {
  const size_t head_len = ws__frame_head_size(len, false);
  if (len > WS__BUF_MAX - sizeof(ws_message) - head_len) return NULL;
  ws_message *message =
      ws__alloc(allocator_of(config), sizeof(*message) + head_len + len);
  if (message == NULL) return NULL;

  *message = (ws_message){
      .config = config != NULL ? ws__config_ref(config) : NULL,
      .type = type,
      .flags = WS_SEND_VALID_UTF8, /* It has been checked. */
      .len = len,
      .plain = {message->bytes, head_len + len},
  };
  message->keeper = message;
  atomic_init(&message->references, 1);
  ws__frame_write(message->bytes, (ws__opcode)type, true, false, len, NULL);
  if (len > 0) memcpy(message->bytes + head_len, data, len);
  return message;
}

int ws__message_check(ws_message_type type, const void *data, size_t len,
                      unsigned flags) {
  if (type != WS_TEXT && type != WS_BINARY) return WS_ERR_INVALID_ARGUMENT;
  if ((flags & ~ALLOWED_FLAGS) != 0) return WS_ERR_INVALID_ARGUMENT;
  const bool is_checked =
      type == WS_BINARY || (flags & WS_SEND_VALID_UTF8) != 0;
  return is_checked || ws__utf8_is_valid(data, len) ? 0 : WS_ERR_INVALID_UTF8;
}

int ws_message_new(ws_conn_config *config, ws_message_type type,
                   const void *data, size_t len, unsigned flags,
                   ws_message **out_message) {
  int err = ws__message_check(type, data, len, flags);
  if (err != 0) return err;

  ws_message *message = make_plain(config, type, data, len);
  if (message == NULL) return WS_ERR_NO_MEMORY;
  message->flags |= flags;
  err = wants_deflated(message) ? add_deflated(message, data) : 0;
  if (err != 0) {
    ws_message_free(message);
    return err;
  }
  *out_message = message;
  return 0;
}

ws_message *ws_message_retain(ws_message *message) {
  atomic_fetch_add_explicit(&message->references, 1, memory_order_relaxed);
  return message;
}

void ws_message_free(ws_message *message) {
  if (message == NULL) return;
  if (atomic_fetch_sub_explicit(&message->references, 1, memory_order_acq_rel) >
      1) {
    return;
  }
  ws_conn_config *config = message->config;
  const ws_allocator *allocator = allocator_of(config);
  ws__buf_free(&message->packed, allocator);
  ws__free(allocator, message,
           sizeof(*message) + message->plain.len + message->room);
  ws_conn_config_free(config);
}

/* -- Attributes ------------------------------------------------------------ */

ws_message_type ws_message_get_type(const ws_message *message) {
  return message->type;
}

const uint8_t *ws_message_get_data(const ws_message *message, size_t *out_len) {
  *out_len = message->len;
  return message->plain.data + message->plain.len - message->len;
}

/* -- Runs ------------------------------------------------------------------ */

ws_message *ws__run_new(size_t room) {
  ws_message *run = ws__alloc(&ws__malloc, sizeof(*run) + room);
  if (run == NULL) return NULL;
  *run = (ws_message){.plain = {run->bytes, 0}, .keeper = run, .room = room};
  atomic_init(&run->references, 1);
  return run;
}

bool ws__run_add(ws_message *run, const ws_message *message,
                 ws_message *out_part) {
  const ws_slice frame = message->plain;
  if (frame.len > run->room) return false;
  uint8_t *place = run->bytes + run->plain.len;
  memcpy(place, frame.data, frame.len);
  run->plain.len += frame.len;
  run->room -= frame.len;
  *out_part = (ws_message){.type = message->type,
                           .flags = message->flags,
                           .len = message->len,
                           .plain = {place, frame.len},
                           .keeper = run};
  return true;
}
