/* subprotocol.c - reads the subprotocols a client offers. Work is linear but
 * for the search for duplicates, which sorts: a head full of names costs O(n
 * log n), whatever the names. */
#include "proto/subprotocol.h"

#include <string.h>

#include "base/detail.h"

#define PROTOCOL "Sec-WebSocket-Protocol"

/* -- Duplicates ------------------------------------------------------------ */

/* Restores the heap (no name is less than those below it) when only `root` may
 * be out of place. */
static void sift_down(const char **heap, size_t root, size_t count) {
  size_t child;
  while ((child = 2 * root + 1) < count) {
    if (child + 1 < count && strcmp(heap[child], heap[child + 1]) < 0) child++;
    if (strcmp(heap[root], heap[child]) >= 0) return;
    const char *const name = heap[root];
    heap[root] = heap[child];
    heap[child] = name;
    root = child;
  }
}

/* Heapsort, because qsort() promises neither a bound on its work nor to leave
 * malloc alone. */
static void sort(const char **names, size_t count) {
  for (size_t i = count / 2; i-- > 0;)
    sift_down(names, i, count);
  for (size_t last = count; last-- > 1;) {
    const char *const greatest = names[0];
    names[0] = names[last];
    names[last] = greatest;
    sift_down(names, 0, last);
  }
}

/* Leaves `names` sorted. */
static bool has_duplicate(const char **names, size_t count) {
  sort(names, count);
  for (size_t i = 1; i < count; i++) {
    if (strcmp(names[i - 1], names[i]) == 0) return true;
  }
  return false;
}

/* -- Reading --------------------------------------------------------------- */

/* Makes room for all names of the head: pointers to them, the same again to be
 * sorted, and their text, which is no longer than the headers. */
static int make_room(ws__subprotocols *list, const ws__http_head *head,
                     const ws_allocator *allocator, char **out_text) {
  size_t max_count = 0;
  size_t text_size = 0;
  const ws_header *header = NULL;
  while ((header = ws__http_next(head, PROTOCOL, header)) != NULL) {
    max_count++;
    text_size += header->value_len + 1;
    for (size_t i = 0; i < header->value_len; i++) {
      max_count += header->value[i] == ',';
    }
  }
  *out_text = NULL;
  if (max_count == 0) return 0;
  if (max_count > (SIZE_MAX - text_size) / (2 * sizeof(char *))) {
    return WS_ERR_NO_MEMORY;
  }
  const size_t size = 2 * max_count * sizeof(char *) + text_size;
  list->names = ws__alloc(allocator, size);
  if (list->names == NULL) return WS_ERR_NO_MEMORY;
  list->size = size;
  *out_text = (char *)(list->names + 2 * max_count);
  return 0;
}

/* Takes 1#token, the value of one header (RFC 6455 4.1 item 10), and copies the
 * tokens to `*text`. Empty elements are errors. */
static bool take_names(ws__subprotocols *list, const ws_header *header,
                       char **text) {
  const char *at = header->value;
  const char *const end = at + header->value_len;
  for (;;) {
    while (at < end && ws__http_is_blank(*at))
      at++;
    const char *const name = at;
    while (at < end && ws__http_is_token_char(*at))
      at++;
    if (at == name) return false;

    const size_t len = (size_t)(at - name);
    list->names[list->count++] = memcpy(*text, name, len);
    (*text)[len] = '\0';
    *text += len + 1;

    while (at < end && ws__http_is_blank(*at))
      at++;
    if (at == end) return true;
    if (*at++ != ',') return false;
  }
}

int ws__subprotocols_read(ws__subprotocols *list, const ws__http_head *head,
                          const ws_allocator *allocator, const char **reason) {
  char *text;
  *list = (ws__subprotocols){0};
  if (make_room(list, head, allocator, &text) != 0) {
    return ws__fail(WS_ERR_NO_MEMORY, "out of memory for subprotocols", reason);
  }
  if (text == NULL) return 0; /* No such header. */

  const ws_header *header = NULL;
  while ((header = ws__http_next(head, PROTOCOL, header)) != NULL) {
    if (!take_names(list, header, &text)) {
      ws__subprotocols_free(list, allocator);
      return ws__fail(WS_ERR_INVALID_SUBPROTOCOL, "malformed " PROTOCOL,
                      reason);
    }
  }
  const char **const sorted = list->names + list->count;
  memcpy(sorted, list->names, list->count * sizeof(*sorted));
  if (has_duplicate(sorted, list->count)) {
    ws__subprotocols_free(list, allocator);
    return ws__fail(WS_ERR_INVALID_SUBPROTOCOL, "subprotocol offered twice",
                    reason);
  }
  return 0;
}

void ws__subprotocols_free(ws__subprotocols *list,
                           const ws_allocator *allocator) {
  ws__free(allocator, (void *)list->names, list->size);
  *list = (ws__subprotocols){0};
}

bool ws__subprotocol_is_among(const char *name, const char *const *names,
                              size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(name, names[i]) == 0) return true;
  }
  return false;
}
