// What is heard in a window: the label of the highest score.
#ifndef ZOO_DECISION_H_
#define ZOO_DECISION_H_

#include <cstddef>

#include "labels.h"
#include "settings.h"

namespace zoo {

// Calls heard(label, score) with it.
template <typename Heard>
void Decide(const Score* scores, Heard heard) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < kClasses; ++i) {
    if (scores[i] > scores[best]) best = i;
  }
  heard(g_labels[best], scores[best]);
}

}  // namespace zoo

#endif  // ZOO_DECISION_H_
