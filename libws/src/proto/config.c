/* config.c - fills in the defaults, checks the ranges, and copies what options
 * point to behind the struct in one block. */
#include "proto/config.h"

#include <string.h>

/* Times are compared in 32-bit arithmetic that wraps. */
#define MAX_TIMEOUT INT32_MAX

#define KIB 1024u
#define MIB (UINT64_C(1024) * KIB)

void ws_conn_options_init(ws_conn_options *options) {
  *options = (ws_conn_options){.size = sizeof(*options)};
}

#define DEFAULT(field, value)                          \
  do {                                                 \
    if (options->field == 0) options->field = (value); \
  } while (0)

/* The table of defaults; the header says the same in prose. */
static void fill_defaults(ws_conn_options *options, ws_role role) {
  const bool is_server = role == WS_ROLE_SERVER;
  if (options->allocator.reallocate == NULL) options->allocator = ws__malloc;

  DEFAULT(max_message, is_server ? 1 * MIB : 16 * MIB);
  DEFAULT(max_fragments, 131072);
  DEFAULT(max_send_queue, 16 * MIB);
  DEFAULT(send_high_water, 1 * MIB);

  DEFAULT(max_head, 16 * KIB);
  DEFAULT(max_head_line, 8 * KIB);
  DEFAULT(max_headers, 100);
  DEFAULT(max_response_body, 64 * KIB);

  DEFAULT(useless_burst, 1000);
  DEFAULT(useless_rate, 100);

  DEFAULT(handshake_timeout, is_server ? 10000 : 30000);
  DEFAULT(ping_interval, 20000);
  DEFAULT(ping_timeout, 20000);
  DEFAULT(message_timeout, 60000);
  DEFAULT(send_timeout, 30000);
  DEFAULT(close_timeout, 5000);

  DEFAULT(compression, is_server ? WS_COMPRESSION_OFF : WS_COMPRESSION_ON);
  DEFAULT(compression_threshold, 1024);
  DEFAULT(compression_level, 3);
  DEFAULT(compression_memory, 5);
  DEFAULT(server_max_window_bits, 12);
  DEFAULT(client_max_window_bits, 12);
}

static bool is_timeout(uint32_t ms) {
  return ms <= MAX_TIMEOUT || ms == WS_NEVER;
}

static bool is_window(uint8_t bits) {
  return bits >= 8 && bits <= 15;
}

/* Returns what is wrong with filled options, or NULL. */
static const char *find_fault(const ws_conn_options *o, ws_role role) {
  if (role != WS_ROLE_CLIENT && role != WS_ROLE_SERVER) return "role";
  if (role == WS_ROLE_CLIENT && o->random == NULL) {
    return "random: a client needs a source of masking keys";
  }
  if (!is_timeout(o->handshake_timeout)) return "handshake_timeout";
  if (!is_timeout(o->ping_interval)) return "ping_interval";
  if (!is_timeout(o->ping_timeout)) return "ping_timeout";
  if (!is_timeout(o->message_timeout)) return "message_timeout";
  if (!is_timeout(o->send_timeout)) return "send_timeout";
  if (!is_timeout(o->close_timeout)) return "close_timeout";
  if (o->compression > WS_COMPRESSION_ON) return "compression";
  if (o->compression_level > 9) return "compression_level: not 1 to 9";
  if (o->compression_memory > 9) return "compression_memory: not 1 to 9";
  if (!is_window(o->server_max_window_bits)) {
    return "server_max_window_bits: not 8 to 15";
  }
  if (!is_window(o->client_max_window_bits)) {
    return "client_max_window_bits: not 8 to 15";
  }
  return NULL;
}

/* -- Lists of strings, copied behind the struct in the same block ---------- */

/* Bytes for a NULL-terminated list and its strings; 0 for no list. */
static size_t list_size(const char *const *list) {
  if (list == NULL) return 0;
  size_t size = sizeof(*list);
  for (; *list != NULL; list++)
    size += sizeof(*list) + strlen(*list) + 1;
  return size;
}

static size_t list_length(const char *const *list) {
  size_t length = 0;
  while (list[length] != NULL)
    length++;
  return length;
}

/* Copies `list` to `*place`, pointers first, and moves `*place` behind it. */
static const char *const *copy_list(const char *const *list, char **place) {
  if (list == NULL) return NULL;
  const size_t length = list_length(list);
  const char **copy = (const char **)(void *)*place;
  char *text = *place + (length + 1) * sizeof(*copy);
  for (size_t i = 0; i < length; i++) {
    const size_t size = strlen(list[i]) + 1;
    memcpy(text, list[i], size);
    copy[i] = text;
    text += size;
  }
  copy[length] = NULL;
  *place = text;
  return copy;
}

/* The next address at which a list of pointers may stand. */
static size_t align(size_t size) {
  return (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
}

/* -- Making one ------------------------------------------------------------ */

static ws_conn_config *make(ws_role role, const ws_conn_options *options) {
  const size_t origins = sizeof(ws_conn_config);
  const size_t hosts = align(origins + list_size(options->origins));
  const size_t size = hosts + list_size(options->hosts);
  ws_conn_config *config = ws__alloc_zero(&options->allocator, size);
  if (config == NULL) return NULL;

  atomic_init(&config->references, 1);
  config->size = size;
  config->role = role;
  config->options = *options;
  char *place = (char *)config + origins;
  config->options.origins = copy_list(options->origins, &place);
  place = (char *)config + hosts;
  config->options.hosts = copy_list(options->hosts, &place);

  config->http_limits = (ws__http_limits){
      .max_head = options->max_head,
      .max_line = options->max_head_line,
      .max_headers = options->max_headers,
  };
  config->rules = (ws__server_rules){
      .origins = config->options.origins,
      .hosts = config->options.hosts,
      .is_secure = options->is_secure,
      .deflate.is_enabled = options->compression == WS_COMPRESSION_ON,
      .deflate.params =
          {
              .server_max_window_bits = options->server_max_window_bits,
              .client_max_window_bits = options->client_max_window_bits,
              .server_no_context_takeover = options->server_no_context_takeover,
              .client_no_context_takeover = options->client_no_context_takeover,
          },
  };
  return config;
}

bool ws__copy_sized(void *out, size_t out_size, const void *from, size_t size) {
  if (size < sizeof(size) || size > out_size) return false;
  memcpy(out, from, size);
  return true;
}

int ws_conn_config_new(ws_role role, const ws_conn_options *options,
                       ws_conn_config **out_config, const char **out_reason) {
  ws_conn_options filled;
  ws_conn_options_init(&filled);
  const char *fault = NULL;
  if (options != NULL &&
      !ws__copy_sized(&filled, filled.size, options, options->size)) {
    fault = "size: not set by ws_conn_options_init()";
  }
  fill_defaults(&filled, role);

  if (fault == NULL) fault = find_fault(&filled, role);
  if (fault != NULL) {
    if (out_reason != NULL) *out_reason = fault;
    return WS_ERR_INVALID_ARGUMENT;
  }
  *out_config = make(role, &filled);
  return *out_config != NULL ? 0 : WS_ERR_NO_MEMORY;
}

ws_conn_config *ws__config_ref(ws_conn_config *config) {
  atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
  return config;
}

void ws_conn_config_free(ws_conn_config *config) {
  if (config == NULL) return;
  if (atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) >
      1) {
    return;
  }
  const ws_allocator allocator = config->options.allocator;
  ws__free(&allocator, config, config->size);
}
