/* report.h - what the probe prints: one line of JSON for each event. */
#ifndef PROBE_REPORT_H
#define PROBE_REPORT_H

#include "ws/ws.h"

/* Of socket `id`; 0 for none. */
void report_event(unsigned id, const ws_event *event);

void report_state(unsigned id, const ws_socket *socket);

void report_connecting(unsigned id);

void report_listening(const ws_server *server);

/* A call that returned `err`, or with 0 a command that is none. */
void report_refused(const char *command, int err, const char *message);

#endif /* PROBE_REPORT_H */
