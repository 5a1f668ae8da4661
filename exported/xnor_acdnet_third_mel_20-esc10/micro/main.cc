// Self-test: the golden sound goes through the stream in uneven chunks, and has to give the golden scores, byte for
// byte. Exit code 0 where it does, 1 where not.
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "classifier.h"
#include "decision.h"
#include "golden.h"

namespace {

// Printed as whole percents, because many boards print no floats.
void Print(const char* label, zoo::Score raw) {
  const float score = zoo::kScoreScale * static_cast<float>(raw - zoo::kScoreZeroPoint);
  std::printf("%s: %d %%\n", label, static_cast<int>(100.0f * score + 0.5f));
}

}  // namespace

int main() {
  static zoo::Classifier classifier(g_golden_columns_per_decision);
  if (!classifier.Begin()) return 1;
  zoo::Stream& stream = classifier.stream();

  std::size_t chunk = 1, decisions = 0, equal = 0;
  for (std::size_t fed = 0; fed < g_golden_pcm_len && !stream.Failed();) {
    chunk = chunk * 7 % 1009;
    const std::size_t left = g_golden_pcm_len - fed;
    fed += stream.Feed(g_golden_pcm + fed, chunk < left ? chunk : left);
    const zoo::Score* scores = stream.Decide();
    if (scores == nullptr) continue;
    zoo::Decide(scores, Print);
    if (decisions < g_golden_decisions) {
      const zoo::Score* expected = g_golden_scores + decisions * zoo::kClasses;
      equal += std::memcmp(scores, expected, zoo::kClasses * sizeof(zoo::Score)) == 0;
    }
    ++decisions;
  }
  const bool passed = !stream.Failed() && decisions == g_golden_decisions && equal == decisions;
  std::printf("%s: %u of %u decisions as expected; %u B of arena in use, %u B given, and %u B of stream\n",
              passed ? "passed" : "FAILED", static_cast<unsigned>(equal), g_golden_decisions,
              static_cast<unsigned>(classifier.ArenaUsedBytes()), static_cast<unsigned>(zoo::kArenaBytes),
              static_cast<unsigned>(sizeof(zoo::Stream)));
  return passed ? 0 : 1;
}
