// What both C++ files share: an exception becomes the first line of its text.

#pragma once

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include <c10/util/Exception.h>

namespace impasto {

// Stands in where there is no memory for an error's own text.
inline char no_memory[] = "out of memory";

inline char* first_line(const char* text) noexcept {
  const size_t length = std::strcspn(text, "\n");
  auto* copy = static_cast<char*>(std::malloc(length + 1));
  if (copy == nullptr) {
    return no_memory;
  }
  std::memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

// Does the work; nullptr, or the text of what it threw.
template <typename Work>
char* guarded(Work&& work) noexcept {
  try {
    work();
    return nullptr;
  } catch (const c10::Error& error) {
    return first_line(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return first_line(error.what());
  } catch (...) {
    return first_line("an exception that tells nothing of itself");
  }
}

}  // namespace impasto
