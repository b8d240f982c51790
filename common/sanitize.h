/* WITH_ASAN is 1 in builds with the address sanitizer, by gcc or clang: allocators then hide
 * nothing from it. */
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifndef WITH_ASAN
#define WITH_ASAN 0
#endif
