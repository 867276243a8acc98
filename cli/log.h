/* log.h - the lines that a server writes to stderr: when, who, what. */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include "ws/ws.h"

void log_open(const char *who, const ws_socket *socket, const ws_event *event);
void log_error(const char *who, const ws_event *event);
void log_close(const char *who, const ws_socket *socket, const ws_event *event);

#endif
