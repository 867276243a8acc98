#include "parcel.h"

#include <stdlib.h>
#include <string.h>

/* Where copies are put, one behind the other. Without a place it only measures:
 * so the same steps say how much is needed and fill it in. */
typedef struct packer {
  char *place; /* NULL to measure. */
  size_t used;
} packer;

#define ALIGNMENT _Alignof(max_align_t)

/* Copies `len` bytes and a NUL behind them. NULL when measuring. */
static const void *pack(packer *p, const void *data, size_t len) {
  const size_t at = p->used;
  p->used += (len + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (p->place == NULL) return NULL;
  char *copy = p->place + at;
  if (len > 0) memcpy(copy, data, len);
  copy[len] = '\0';
  return copy;
}

static const char *pack_text(packer *p, const char *text) {
  return text != NULL ? pack(p, text, strlen(text)) : NULL;
}

static const ws_header *pack_headers(packer *p, const ws_header *headers,
                                     size_t count) {
  char *copy = (char *)pack(p, headers, count * sizeof(*headers));
  for (size_t i = 0; i < count; i++) {
    ws_header header = headers[i];
    header.name = pack(p, header.name, header.name_len);
    header.value = pack(p, header.value, header.value_len);
    if (copy != NULL)
      memcpy(copy + i * sizeof(header), &header, sizeof(header));
  }
  return (const ws_header *)copy;
}

static const ws_response *pack_response(packer *p,
                                        const ws_response *response) {
  if (response == NULL) return NULL;
  ws_response is = *response;
  is.reason = pack_text(p, is.reason);
  is.headers = pack_headers(p, is.headers, is.header_count);
  is.body = pack(p, is.body, is.body_len);
  return pack(p, &is, sizeof(is));
}

static void pack_cause(packer *p, ws_cause *cause) {
  cause->message = pack_text(p, cause->message);
  cause->response = pack_response(p, cause->response);
}

/* Packs what the event points to, and has it point to the copies. */
static void pack_event(packer *p, ws_event *event) {
  switch (event->type) {
  case WS_EVENT_MESSAGE:
    event->u.message.data =
        pack(p, event->u.message.data, event->u.message.len);
    break;
  case WS_EVENT_PING:
  case WS_EVENT_PONG:
    event->u.control.data =
        pack(p, event->u.control.data, event->u.control.len);
    break;
  case WS_EVENT_OPEN:
    event->u.open.response = pack_response(p, event->u.open.response);
    break;
  case WS_EVENT_ERROR: pack_cause(p, &event->u.error); break;
  case WS_EVENT_CLOSE:
    event->u.close.reason =
        pack(p, event->u.close.reason, event->u.close.reason_len);
    break;
  case WS_EVENT_RECONNECT:
    pack_cause(p, &event->u.error);
    event->reconnect.close_reason = pack_text(p, event->reconnect.close_reason);
    break;
  case WS_EVENT_DRAIN:
  case WS_EVENT_REQUEST:
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: break;
  }
}

core_parcel *core_parcel_new(const ws_event *event) {
  packer measure = {.place = NULL, .used = 0};
  ws_event scratch = *event;
  pack_event(&measure, &scratch);

  const size_t head =
      (sizeof(core_parcel) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  core_parcel *parcel = malloc(head + measure.used);
  if (parcel == NULL) return NULL;
  *parcel = (core_parcel){.event = *event, .size = head + measure.used};
  packer fill = {.place = (char *)parcel + head, .used = 0};
  pack_event(&fill, &parcel->event);
  return parcel;
}
