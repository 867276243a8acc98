/* cpu.h - which vector instructions the compiler can be asked for, and whether
 * the CPU at hand has them. The only place of proto/ that looks at the
 * architecture; utf8 and mask pick their kernels with it. */
#ifndef WS__CPU_H
#define WS__CPU_H

#include <stdbool.h>

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define WS__CPU_X86 1
#else
#define WS__CPU_X86 0
#endif

/* All AArch64 CPUs have NEON. The kernels assume lanes in memory order. */
#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#define WS__CPU_NEON 1
#else
#define WS__CPU_NEON 0
#endif

#if WS__CPU_X86
/* These ask the CPU and the system (which must save the wider registers). The
 * compiler's library does so once, before main(). */
static inline bool ws__cpu_has_avx2(void) {
  return __builtin_cpu_supports("avx2") != 0;
}

static inline bool ws__cpu_has_ssse3(void) {
  return __builtin_cpu_supports("ssse3") != 0;
}

static inline bool ws__cpu_has_sse2(void) {
  return __builtin_cpu_supports("sse2") != 0;
}
#endif

/* For what always runs. */
static inline bool ws__cpu_is_any(void) {
  return true;
}

#endif
