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
74, 22, 16, 21, 24, 48, 62, 64, 29, 76,
    },
    {
61, 4, 16, 11, 20, 29, 53, 31, 13, 56,
    },
    {
-18, -15, -6, -33, 17, -15, -24, 25, 0, 30,
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
