/* files.h - plain files over HTTP: which file a request target names. */
#ifndef WS__FILES_H
#define WS__FILES_H

#include "base/hidden.h"
#include "ws/ws.h"

WS__HIDDEN_BEGIN

/* The largest file that is served: it is read into memory as a whole. */
#define WS__FILE_MAX ((size_t)8 * 1024 * 1024)

/* Room for the path of a file below its folder. */
#define WS__FILE_PATH_SIZE 1024

/* Writes the relative path that a path of a request names: decoded, without
 * query, "index.html" for a folder. False for one that must not be served: a
 * hidden name (so no ".." either), a NUL or backslash, an escape that is none,
 * or a path that is too long. */
bool ws__file_path(const char *target, char out_path[WS__FILE_PATH_SIZE]);

/* The media type that the end of a path stands for. */
const char *ws__file_type(const char *path);

WS__HIDDEN_END

#endif
