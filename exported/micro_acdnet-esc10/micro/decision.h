// What is heard in a window: any number of labels, each from its own threshold on.
#ifndef ZOO_DECISION_H_
#define ZOO_DECISION_H_

#include <cstddef>

#include "labels.h"
#include "settings.h"

namespace zoo {

enum Sensitivity { kLow, kMedium, kHigh };
constexpr Score kThresholds[][kClasses] = {
    {
70, 16, 38, 27, 59, 66, 43, 84, 42, 61,
    },
    {
-22, 7, 35, -4, 37, 35, 40, 50, 39, 35,
    },
    {
-28, -19, 11, -20, -9, 22, 11, 37, 37, 19,
    },
};

// Calls heard(label, score) with each of them.
template <typename Heard>
void Decide(const Score* scores, Heard heard, Sensitivity sensitivity = kMedium) {
  for (std::size_t i = 0; i < kClasses; ++i) {
    if (scores[i] >= kThresholds[sensitivity][i]) heard(g_labels[i], scores[i]);
  }
}

}  // namespace zoo

#endif  // ZOO_DECISION_H_
