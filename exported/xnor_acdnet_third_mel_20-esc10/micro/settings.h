#ifndef ZOO_SETTINGS_H_
#define ZOO_SETTINGS_H_

#include <cstddef>
#include <cstdint>

namespace zoo {

constexpr std::uint32_t kSampleRateHz = 16000;

// Columns begin kColumnStrideSamples apart. Each hears kColumnFieldSamples, and is one call of the front end.
constexpr std::size_t kColumnStrideSamples = 320;
constexpr std::size_t kColumnFieldSamples = 800;
constexpr std::size_t kColumnValues = 20;
using ColumnValue = std::int8_t;

// What the body takes and gives. A score is kScoreScale * (raw - kScoreZeroPoint).
constexpr std::size_t kWindowColumns = 75;
constexpr std::size_t kClasses = 10;
using Score = std::int16_t;
constexpr float kScoreScale = 3.0517578125e-05f;
constexpr int kScoreZeroPoint = 0;

// For front end and body together: 4,120 B as measured on a 64-bit host (a 32-bit chip takes less), and as
// headroom 0 B, the scratch of CMSIS-NN for the widest convolution.
constexpr std::size_t kArenaBytes = 4128;

}  // namespace zoo

#endif  // ZOO_SETTINGS_H_
