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
71, 9, 29, 25, 36, 30, 54, 54, 6, 86,
    },
    {
60, -16, 22, 13, 20, 6, 43, 37, 2, 48,
    },
    {
-16, -21, 20, -29, 12, -25, -27, 18, -9, 27,
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
