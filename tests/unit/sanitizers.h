/* Which sanitizer a test is built with, by either compiler's word for it. */
#ifndef TESTS_UNIT_SANITIZERS_H
#define TESTS_UNIT_SANITIZERS_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define IS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define IS_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define IS_ASAN 1
#endif

#endif
