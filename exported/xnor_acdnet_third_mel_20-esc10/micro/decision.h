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
24774, 16070, 17365, 22081, 16867, 20114, 18334, 16386, 18313, 24906,
    },
    {
21356, 14345, 12485, 15678, 15543, 16265, 17591, 16140, 15240, 19782,
    },
    {
16077, 11776, 12485, 14623, 11903, 12978, 15871, 13963, 14867, 18243,
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
