/* printf_like.h - lets the compiler check the arguments of our own printf. */
#ifndef CLI_PRINTF_LIKE_H
#define CLI_PRINTF_LIKE_H

#ifdef __GNUC__
#define PRINTF_LIKE(format_at, values_at) \
  __attribute__((format(printf, format_at, values_at)))
#else
#define PRINTF_LIKE(format_at, values_at)
#endif

#endif
