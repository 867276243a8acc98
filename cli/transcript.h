/* transcript.h - tells what happens on a connection: in words, messages on
 * stdout and the rest on stderr; or as JSON, one object a line, on stdout. */
#ifndef CLI_TRANSCRIPT_H
#define CLI_TRANSCRIPT_H

#include "input.h"
#include "ws/ws.h"

typedef struct transcript {
  bool is_json;
  bool is_full; /* However long a message is. */
  input *in;    /* Its line is hidden while something is printed. */
  buffer line;
} transcript;

void transcript_open(transcript *t, const ws_socket *socket);
void transcript_message(transcript *t, const ws_event *event);
void transcript_error(transcript *t, const ws_cause *cause);
void transcript_reconnect(transcript *t, const ws_event *event);
void transcript_close(transcript *t, const ws_event *event);

/* Says something that is no event. */
void transcript_note(transcript *t, const char *note);

void transcript_free(transcript *t);

#endif
