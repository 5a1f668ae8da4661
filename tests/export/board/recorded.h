// What the Python run of a model gave, by what it took: the stand-in for the models themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "columns.h"
#include "golden.h"
#include "settings.h"

namespace recorded {

constexpr std::size_t kColumnBytes = zoo::kColumnValues * sizeof(zoo::ColumnValue);
constexpr std::size_t kWindowBytes = zoo::kWindowColumns * kColumnBytes;

// The recorded column that heard these samples; nullptr where none did.
inline const zoo::ColumnValue* ColumnOf(const void* field) {
  for (std::size_t i = 0; i < g_columns_len / kColumnBytes; ++i) {
    const std::int16_t* samples = g_golden_pcm + i * zoo::kColumnStrideSamples;
    if (std::memcmp(field, samples, zoo::kColumnFieldSamples * sizeof(*samples)) == 0) {
      return reinterpret_cast<const zoo::ColumnValue*>(g_columns + i * kColumnBytes);
    }
  }
  return nullptr;
}

// The scores of the recorded decision that was made on this window; nullptr where none was.
inline const zoo::Score* ScoresOf(const void* window) {
  for (std::size_t i = 0; i < g_golden_decisions; ++i) {
    if (std::memcmp(window, g_columns + i * g_golden_columns_per_decision * kColumnBytes, kWindowBytes) == 0) {
      return g_golden_scores + i * zoo::kClasses;
    }
  }
  return nullptr;
}

}  // namespace recorded
