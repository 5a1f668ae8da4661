#ifndef ZOO_GOLDEN_H_
#define ZOO_GOLDEN_H_

#include <cstdint>

#include "settings.h"

// Sound, and the raw scores of each decision on it: kClasses for each.
extern const std::int16_t g_golden_pcm[];
extern const unsigned int g_golden_pcm_len;
extern const unsigned int g_golden_columns_per_decision;
extern const unsigned int g_golden_decisions;
extern const zoo::Score g_golden_scores[];

#endif  // ZOO_GOLDEN_H_
